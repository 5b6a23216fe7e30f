"""Levels of theory that a table may hold gaps of, and the rows that a network of several learns from.

A network of several fidelities is told which of them a gap is of (Chen et al., Nat. Comput. Sci. 1, 46), so that the
many cheap gaps teach it what the few good ones have in common with them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

COLUMNS = {
    "pbe": "band_gap",
    "gllbsc": "band_gap_gllbsc",
    "hse": "band_gap_hse",
    "experiment": "band_gap_experiment",
}  # of the shared table, eV; in the order in which published models know them


def known_values(table: pd.DataFrame, columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every gap that a table has at these levels of theory.

    Args:
        table: with a column for each, NaN where a gap is not known.
        columns: the columns, one for each level of theory.

    Returns:
        Position of the row in the table, index of the level and value (eV) of each, shape (values,).
    """
    values = table[list(columns)].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    row, level = np.nonzero(np.isfinite(values))
    return row, level.astype(np.int32), values[row, level]
