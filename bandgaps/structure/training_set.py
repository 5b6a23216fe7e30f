"""Levels of theory that a table may hold gaps of, and the rows that a network of several learns from.

A network of several fidelities is told which of them a gap is of (Chen et al., Nat. Comput. Sci. 1, 46), so that the
many cheap gaps teach it what the few good ones have in common with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bandgaps.levels import PSEUDO_LABEL
from bandgaps.structure.graphs import Graphs, merged

FORMATION_ENERGY = "formation_energy_per_atom"  # eV/atom
MANY_BONDS = 600  # of a crystal
LONGER = 0.025  # PBE lattice constants exceed measured ones by up to that part, on average by half of it


def training_rows(table: pd.DataFrame, graphs: Graphs, columns: Sequence[str], levels: Sequence[str]) -> Rows:
    """Every gap known of a table's crystals, each with its graph and its level, and how training passes it.

    Where all formation energies are known, they are learnt beside the gap.

    Args:
        table: with the columns.
        graphs: of its rows.
        columns: what is to be learnt, one for each level of theory, eV.
        levels: their names; none if there is but one.
    """
    known, guessed = known_values(table, columns), estimated_values(table, levels)
    row, level, value = (np.concatenate(pair) for pair in zip(known, guessed, strict=True))
    chosen = merged(graphs).select(row)
    companion = table[FORMATION_ENERGY].to_numpy(dtype=float)[row] if _has_companion(table, columns) else None
    if not levels:
        return Rows(chosen, value, level, companion)
    bonds, first = chosen.bond_counts, len(known[0])
    often = passes(levels, level[:first], value[:first], bonds[:first])
    often = np.concatenate([often, estimated_passes(bonds[first:])])
    shrunk = shrinkage(levels, level)
    return Rows(chosen, value, level, companion, often, shrunk if shrunk.any() else None)


def _has_companion(table: pd.DataFrame, columns: Sequence[str]) -> bool:
    """Whether the formation energy is known of all rows, and is not what is to be learnt."""
    known = FORMATION_ENERGY in table and FORMATION_ENERGY not in columns
    return known and bool(table[FORMATION_ENERGY].notna().all())


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
    if "experiment" not in levels or PSEUDO_LABEL not in table:
        return known_values(table, [])
    row, level, value = known_values(table, [PSEUDO_LABEL])
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


@dataclass(frozen=True)
class Rows:
    """Rows to train or to validate on.

    Attributes:
        graphs: of the crystals.
        targets: eV for a band gap, shape (crystals,).
        fidelity: index of each target's level of theory, shape (crystals,); None: all are of the first.
        companion: another property of each crystal that is learnt beside the target, in any unit, shape (crystals,).
            One that is known of all crystals, as the formation energy is, teaches the network chemistry at no cost.
        passes: how often an epoch passes each row, on average, shape (crystals,); None: once. Rows that are rare and
            matter deserve more, large crystals, which cost as much as many small ones, less.
        shrinkage: by how much of their lengths each crystal is shrunk at most when it is passed, shape (crystals,);
            None: not at all. For gaps that belong to a somewhat smaller crystal than the one at hand.
    """

    graphs: Graphs
    targets: np.ndarray
    fidelity: np.ndarray | None = None
    companion: np.ndarray | None = None
    passes: np.ndarray | None = None
    shrinkage: np.ndarray | None = None

    @property
    def levels(self) -> np.ndarray:
        """The level of theory of each row, shape (crystals,)."""
        return np.zeros(len(self.graphs), dtype=np.int32) if self.fidelity is None else np.asarray(self.fidelity)
