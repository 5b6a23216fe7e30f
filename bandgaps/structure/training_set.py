"""The gaps that a network learns from, of one fidelity or of several.

A network of several fidelities is told which of them a gap is of (Chen et al., Nat. Comput. Sci. 1, 46), so that the
many cheap gaps teach it what the few good ones have in common with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bandgaps.structure.graphs import Graphs, merged

FORMATION_ENERGY = "formation_energy_per_atom"  # eV/atom; the auxiliary target
MANY_BONDS = 500  # in a crystal, merged; crystals with more come less often
RAREST = 0.25  # how often the largest come


@dataclass(frozen=True)
class Rows:
    """Rows to train or to validate on.

    Attributes:
        graphs: the crystals.
        targets: the target of each crystal, eV for a band gap, shape (crystals,).
        fidelity: index of each target's fidelity, shape (crystals,); None if all are of the first.
        auxiliary: another property of each crystal, which is learnt beside the target, in any unit, shape (crystals,);
            NaN where it is not known, None if it is known nowhere. The formation energy teaches the network chemistry
            at no cost.
        sampling_weights: how often an epoch samples each row, on average, shape (crystals,); None if each comes once.
            Rows that are rare and matter deserve more, large crystals, which cost as much as many small ones, less.
    """

    graphs: Graphs
    targets: np.ndarray
    fidelity: np.ndarray | None = None
    auxiliary: np.ndarray | None = None
    sampling_weights: np.ndarray | None = None

    @property
    def fidelities(self) -> np.ndarray:
        """Index of each row's fidelity, shape (crystals,)."""
        return np.zeros(len(self.graphs), dtype=np.int32) if self.fidelity is None else np.asarray(self.fidelity)

    @property
    def auxiliary_known(self) -> int:
        """In how many rows the auxiliary target is known."""
        return 0 if self.auxiliary is None else int(np.isfinite(self.auxiliary).sum())


def training_rows(table: pd.DataFrame, graphs: Graphs, columns: Sequence[str], fidelities: Sequence[str]) -> Rows:
    """Every gap known of a table's crystals, with its graph, its fidelity, and how training samples it.

    Args:
        table: rows with these columns; where it has formation energies, they are the auxiliary target.
        graphs: the crystals of its rows.
        columns: what is to be learnt, one column for each fidelity, eV.
        fidelities: their names; none if there is only one.
    """
    row, fidelity, value = known_values(table, columns)
    chosen = merged(graphs).select(row)
    weights = sampling_weights(fidelities, fidelity, chosen.bond_counts) if fidelities else None
    return Rows(chosen, value, fidelity, _auxiliary(table, columns, row), weights)


def _auxiliary(table: pd.DataFrame, columns: Sequence[str], row: np.ndarray) -> np.ndarray | None:
    """The formation energy of each row, unless none is known or it is what is to be learnt."""
    if FORMATION_ENERGY not in table or FORMATION_ENERGY in columns:
        return None
    energy = pd.to_numeric(table[FORMATION_ENERGY], errors="coerce").to_numpy(dtype=float)[row]
    return np.where(np.isfinite(energy), energy, np.nan) if np.isfinite(energy).any() else None


def known_values(table: pd.DataFrame, columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every gap that a table has of these fidelities.

    Args:
        table: rows with a column for each fidelity, NaN where a gap is not known.
        columns: the columns, one for each fidelity.

    Returns:
        Position of the row in the table, index of the fidelity and value (eV) of each gap, shape (values,).
    """
    values = table[list(columns)].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    row, fidelity = np.nonzero(np.isfinite(values))
    return row, fidelity.astype(np.int32), values[row, fidelity]


def summary(table: pd.DataFrame, columns: Sequence[str], fidelities: Sequence[str]) -> dict[str, Any]:
    """What a model learns from a table's rows, for its card.

    Args:
        table: the training rows.
        columns: what is to be learnt, one column for each fidelity, eV.
        fidelities: their names; none if there is only one, which the name of its column then stands for.

    Returns:
        Number of `rows`; number of `gaps` and their `means` (eV), by fidelity.
    """
    _, fidelity, value = known_values(table, columns)
    values = {name: value[fidelity == k] for k, name in enumerate(fidelities or columns)}
    return {
        "rows": len(table),
        "gaps": {name: len(each) for name, each in values.items()},
        "means": {name: float(each.mean()) for name, each in values.items() if len(each)},
    }


def sampling_weights(fidelities: Sequence[str], fidelity: np.ndarray, bonds: np.ndarray) -> np.ndarray:
    """How often an epoch samples each row, shape (rows,).

    GLLB-SC gaps are few, so they come twice. Large crystals cost most of the time and are few, so they come less often,
    which leaves time for more epochs.

    Args:
        fidelities: names of the fidelities.
        fidelity: index of each row's fidelity, shape (rows,).
        bonds: number of bonds of its crystal, merged, shape (rows,).
    """
    weights = np.where(np.asarray(fidelities)[fidelity] == "gllbsc", 2.0, 1.0)
    return weights * np.clip(MANY_BONDS / np.maximum(bonds, 1), RAREST, 1.0)
