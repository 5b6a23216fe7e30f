"""Write the gaps of alloys that bowing parameters stand for, as a list of measured gaps to train on.

    python data/alloys/expand.py

Reads those of `bowing.csv` that are for training, writes `gaps.csv`. The others are left for judging models by.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from bandgaps.alloy.bowing_parameters import LISTED, formula, gap  # noqa: E402


def main() -> None:
    """Expand the table."""
    table = pd.read_csv(HERE / "bowing.csv")
    rows = [
        (formula(ends, x), f"{value:.3f}", extrema["reference"].iloc[0])
        for ends, extrema in table[table["use"] == "training"].groupby(["end_0", "end_1"], sort=False)
        for x, value in zip(LISTED, gap(extrema, LISTED), strict=True)
    ]
    pd.DataFrame(rows, columns=["formula", "band_gap", "reference"]).to_csv(HERE / "gaps.csv", index=False)


if __name__ == "__main__":
    main()
