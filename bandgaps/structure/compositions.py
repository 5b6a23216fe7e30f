"""The compositions of crystal graphs, and what counting their electrons says."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bandgaps import electrons
from bandgaps.structure.graphs import FIRST_MIXTURE, Graphs

COUNTED = [k for k, label in enumerate(electrons.LABELS) if label != "ionic charge"]  # it jumps within an alloy
ELECTRONS = len(COUNTED)
HALF = 0.1  # charge per atom that counts half as much as the greatest


def amounts(graphs: Graphs) -> np.ndarray:
    """Atoms of each element (column: atomic number) in each crystal, shape (crystals, FIRST_MIXTURE)."""
    crystal = np.repeat(np.arange(len(graphs)), graphs.atom_counts)
    result = np.zeros((len(graphs), FIRST_MIXTURE))
    shared = graphs.atomic_numbers >= FIRST_MIXTURE
    np.add.at(result, (crystal[~shared], graphs.atomic_numbers[~shared]), graphs.atom_copies[~shared])
    parts = graphs.mixtures[graphs.atomic_numbers[shared] - FIRST_MIXTURE]
    np.add.at(result, crystal[shared], graphs.atom_copies[shared, None] * parts)
    return result


def by_size(amounts: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows, atomic numbers and atoms of compositions with equally many elements, as `magpie.statistics` takes them.

    Args:
        amounts: as `amounts` gives them, shape (crystals, FIRST_MIXTURE).

    Yields:
        Rows, shape (rows,); atomic numbers and atoms, each of shape (elements, rows).
    """
    counts = (amounts > 0).sum(axis=1)
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        numbers = np.nonzero(amounts[rows])[1].reshape(len(rows), count)
        yield rows, numbers.T, np.take_along_axis(amounts[rows], numbers, axis=1).T


def electron_counts(graphs: Graphs) -> np.ndarray:
    """What `electrons.features` says of each crystal, charges saturating at 1, float32, (crystals, ELECTRONS)."""
    result = np.zeros((len(graphs), ELECTRONS), dtype=np.float32)
    for rows, numbers, atoms in by_size(amounts(graphs)):
        result[rows] = electrons.features(numbers, atoms)[:, COUNTED]
    result[:, :-1] /= result[:, :-1] + HALF
    return result
