"""How wide an ensemble's uncertainty has to be, from its errors on rows that it was not fitted to.

The spread of the members tells which predictions to doubt more, not by how much: members share what they have not
seen. So the spread is scaled until its intervals hold the share of held-out rows that they should (split conformal
prediction with a normalised score; Lei et al., J. Am. Stat. Assoc. 113, 1094).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandgaps.errors import InputError

ONE_SIGMA, WIDE = 0.6827, 0.95  # shares of rows that intervals shall hold
FLOORS = np.geomspace(0.002, 1.0, 40)  # eV; tried
FEWEST = 20  # rows; a share of 95 % is one of at least twenty


@dataclass(frozen=True)
class Calibration:
    """From the spread of an ensemble's members to intervals that hold what they promise.

    Attributes:
        floor: what is left of the uncertainty where all members agree, eV.
        scale: sigma = scale × √(spread² + floor²); an interval of ± sigma holds 68 % of the rows.
        wide: an interval of ± wide × sigma holds 95 % of them; 1.96 if errors were normally distributed.
    """

    floor: float = 0.0
    scale: float = 1.0
    wide: float = 1.96

    def sigma(self, spread: np.ndarray) -> np.ndarray:
        """Calibrated standard deviation, eV, shape of `spread`."""
        return self.scale * np.hypot(spread, self.floor)


def fit(error: np.ndarray, spread: np.ndarray) -> Calibration:
    """Calibrate on rows that the members were not fitted to.

    The floor is the likeliest one if errors have a Laplace distribution, whose tails theirs resemble; the two factors
    are then quantiles, a little above the shares themselves because the rows are finitely many (ibid., section 2.2).

    Args:
        error: predicted less actual, eV, shape (rows,).
        spread: standard deviation of the members, eV, shape (rows,).

    Raises:
        InputError: fewer than 20 rows.
    """
    error = np.abs(error)
    if len(error) < FEWEST:
        raise InputError(f"{len(error)} rows to calibrate sigma on; a table with at least {FEWEST} is needed")
    widths = np.hypot(spread[:, None], FLOORS)
    surprise = np.log(widths).mean(axis=0) + np.log((error[:, None] / widths).mean(axis=0))
    floor = float(FLOORS[int(np.argmin(surprise))])
    score = error / np.hypot(spread, floor)
    shares = np.ceil((len(score) + 1) * np.array([ONE_SIGMA, WIDE])) / len(score)
    one, wide = np.quantile(score, np.minimum(shares, 1), method="inverted_cdf")
    return Calibration(floor, float(one), float(wide / one))
