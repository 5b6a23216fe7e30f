"""Write the gaps of alloys that bowing parameters stand for, as a list of measured gaps.

    python data/alloys/expand.py

Reads `bowing.csv`, writes `gaps.csv`. Of an alloy of the crystals 0 and 1, x being the share of 1, each extremum of the
conduction band lies at

    E(x) = (1 - x) E0 + x E1 - x (1 - x) (c0 + c1 x)

above the valence band (Vurgaftman et al., J. Appl. Phys. 89, 5815, on ternary alloys); the gap is the lowest.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from pymatgen.core import Composition

HERE = Path(__file__).parent
FRACTIONS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])


def gap(extrema: pd.DataFrame, x: np.ndarray) -> np.ndarray:
    """The gap of an alloy at the fractions x, eV; `extrema` are its rows of `bowing.csv`."""
    e0, e1, c0, c1 = extrema[["band_gap_0", "band_gap_1", "bowing_0", "bowing_1"]].to_numpy().T[:, :, None]
    return np.min((1 - x) * e0 + x * e1 - x * (1 - x) * (c0 + c1 * x), axis=0)


def formula(ends: tuple[str, str], x: float) -> str:
    """Both ends mixed, such as Ga0.9Al0.1As."""
    mixed = Composition(ends[0]) * (1 - x) + Composition(ends[1]) * x
    return "".join(f"{element.symbol}{round(amount, 6):g}" for element, amount in mixed.items())


def main() -> None:
    """Expand the table."""
    rows = [
        (formula(ends, x), f"{value:.3f}", extrema["reference"].iloc[0])
        for ends, extrema in pd.read_csv(HERE / "bowing.csv").groupby(["end_0", "end_1"], sort=False)
        for x, value in zip(FRACTIONS, gap(extrema, FRACTIONS), strict=True)
    ]
    pd.DataFrame(rows, columns=["formula", "band_gap", "reference"]).to_csv(HERE / "gaps.csv", index=False)


if __name__ == "__main__":
    main()
