"""How wide an ensemble's uncertainty has to be, from its errors on rows that it was not fitted to.

The spread of the members tells which predictions to doubt more, not by how much: members share what they have not
seen. So the spread is scaled until its intervals hold the share of held-out rows that they should (split conformal
prediction with a normalised score; Lei et al., J. Am. Stat. Assoc. 113, 1094). Polymorphs of one composition err alike,
so each composition counts once, however many rows it has (Lee, Barber & Willett, arXiv 2306.06342).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandgaps.errors import InputError

ONE_SIGMA, WIDE = 0.6827, 0.95  # shares that intervals shall hold
FLOORS = np.geomspace(0.002, 1.0, 40)  # eV; those that are tried
FEWEST = 20  # compositions; the twentieth part, which an interval of 95 % leaves out, is one of them


@dataclass(frozen=True)
class Calibration:
    """From the spread of an ensemble's members to intervals that hold what they promise.

    Attributes:
        floor: what is left of the uncertainty where all members agree, eV.
        scale: sigma = scale × √(spread² + floor²); an interval of ± sigma holds 68 % of the rows.
        wide: an interval of ± wide × sigma holds 95 % of them; 1.96 if errors were normally distributed.
        compositions: how many compositions it was fitted to; 0 if that is not known.
        rows: which rows it was fitted to, in words.
    """

    floor: float = 0.0
    scale: float = 1.0
    wide: float = 1.96
    compositions: int = 0
    rows: str = ""

    def sigma(self, spread: np.ndarray) -> np.ndarray:
        """Calibrated standard deviation, eV, shape of `spread`."""
        return self.scale * np.hypot(spread, self.floor)


def fit(error: np.ndarray, spread: np.ndarray, composition: np.ndarray, rows: str = "") -> Calibration:
    """Calibrate on rows that the members were not fitted to.

    The floor is the likeliest one if errors have a Laplace distribution, whose tails theirs resemble. The two factors
    are then quantiles, a little above the shares themselves because the compositions are finitely many.

    Args:
        error: predicted less actual, eV, shape (rows,). One smaller than the smallest of `FLOORS` counts as that.
        spread: standard deviation of the members, eV, shape (rows,).
        composition: key of each row's composition, shape (rows,).
        rows: which rows these are, in words.

    Raises:
        InputError: fewer than 20 compositions.
    """
    weights = composition_weights(composition)
    compositions = len(np.unique(composition))
    if compositions < FEWEST:
        raise InputError(f"{compositions} compositions to calibrate sigma on; a table with at least {FEWEST} is needed")
    error = np.maximum(np.abs(error), FLOORS[0])
    widths = np.hypot(spread[:, None], FLOORS)
    likely = np.average(np.log(widths), axis=0, weights=weights) + np.log(
        np.average(error[:, None] / widths, axis=0, weights=weights)
    )
    floor = float(FLOORS[int(np.argmin(likely))])
    score = error / np.hypot(spread, floor)
    one, wide = (_quantile(score, weights, share * (compositions + 1)) for share in (ONE_SIGMA, WIDE))
    return Calibration(floor, one, wide / one, compositions, rows)


def composition_weights(composition: np.ndarray) -> np.ndarray:
    """Weights with which each composition counts once: 1 over the number of its rows, shape (rows,)."""
    _, index, counts = np.unique(composition, return_inverse=True, return_counts=True)
    return 1 / counts[index]


def coverage(held: np.ndarray, composition: np.ndarray) -> float:
    """Share of rows that intervals hold, each composition counting once; NaN without rows.

    Args:
        held: which rows lie in their interval, shape (rows,).
        composition: key of each row's composition, shape (rows,).
    """
    return float(np.average(held, weights=composition_weights(composition))) if len(held) else float("nan")


def _quantile(values: np.ndarray, weights: np.ndarray, rank: float) -> float:
    """The smallest value up to which weights add up to `rank`, else the largest value."""
    order = np.argsort(values)
    reached = np.searchsorted(np.cumsum(weights[order]), rank - 1e-9)
    return float(values[order][min(int(reached), len(values) - 1)])
