"""Levels of theory that a table may hold gaps of, and the rows that a network of several learns from.

A network of several fidelities is told which of them a gap is of (Chen et al., Nat. Comput. Sci. 1, 46), so that the
many cheap gaps teach it what the few good ones have in common with them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bandgaps.dataset import ESTIMATE, EXPERIMENT

COLUMNS = {
    "pbe": "band_gap",
    "gllbsc": "band_gap_gllbsc",
    "hse": "band_gap_hse",
    "experiment": EXPERIMENT,
}  # of the shared table, eV; in the order in which published models know them

MANY_BONDS = 600  # of a crystal
LONGER = 0.025  # PBE lattice constants exceed measured ones by up to that part, on average by half of it


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


def estimated_values(table: pd.DataFrame, levels: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The measured gaps that a table guesses, as `known_values`; none where it does not or no level is experiment."""
    if "experiment" not in levels or ESTIMATE not in table:
        return known_values(table, [])
    row, level, value = known_values(table, [ESTIMATE])
    return row, level + list(levels).index("experiment"), value


def passes(levels: Sequence[str], level: np.ndarray, value: np.ndarray, bonds: np.ndarray) -> np.ndarray:
    """How often a training epoch passes each row, shape (rows,); settled by errors on validation rows.

    Measured gaps that are not 0 and GLLB-SC gaps are few, so they come more often. Crystals with many bonds that differ
    are a tenth of the rows and half of the cost, so they come less often, which leaves time for more epochs.

    Args:
        levels: names of the levels of theory.
        level: index of each row's, shape (rows,).
        value: its gap, eV, shape (rows,).
        bonds: of its crystal, what is alike counted once, shape (rows,).
    """
    name = np.asarray(levels)[level]
    often = np.where((name == "experiment") & (value > 0), 10.0, np.where(name == "gllbsc", 2.0, 1.0))
    return _of_large(often, bonds)


def estimated_passes(bonds: np.ndarray) -> np.ndarray:
    """The same for rows whose measured gap is a guess, of which there are many."""
    return _of_large(np.full(len(bonds), 0.3), bonds)


def _of_large(often: np.ndarray, bonds: np.ndarray) -> np.ndarray:
    return np.where(bonds > MANY_BONDS, often / 3, often)


def shrinkage(levels: Sequence[str], level: np.ndarray) -> np.ndarray:
    """By how much of their lengths crystals may be shrunk in training, shape (rows,).

    A measured gap is that of the crystal at its measured volume, but tables have the volume of least PBE energy, which
    is larger (Haas et al., Phys. Rev. B 79, 085104: by 1 % in length on average, and twice that in germanium). How much
    larger is not known of each crystal, so anything up to `LONGER` is shown.

    Args:
        levels: names of the levels of theory.
        level: index of each row's, shape (rows,).
    """
    return np.where(np.asarray(levels)[level] == "experiment", LONGER, 0.0)
