"""Crystals as the network takes them: a batch is one graph of many."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bandgaps.structure.backend import tf
from bandgaps.structure.compositions import ELECTRONS
from bandgaps.structure.graphs import FIRST_MIXTURE, Graphs


class Batch(NamedTuple):
    """Crystals as one graph without bonds between them."""

    occupancies: Any  # parts of the elements (columns: atomic numbers) in each kind of site, (kinds, FIRST_MIXTURE)
    kind: Any  # of each atom, an index of occupancies, (atoms,)
    atom_copies: Any  # how many atoms of its crystal each stands for, (atoms,)
    crystal: Any  # of each atom, (atoms,)
    distances: Any  # all lengths of bonds, each once, Å, (lengths,)
    length: Any  # of each bond, an index of distances, (bonds,)
    bond_copies: Any  # how many bonds of its first atom each stands for, (bonds,)
    first: Any  # atom at which a bond starts, ascending, (bonds,)
    second: Any  # atom at which it ends, (bonds,)
    fidelity: Any  # (crystals,)
    electrons: Any  # what counting electrons says of each composition, (crystals, ELECTRONS)


def of(graphs: Graphs, fidelity: np.ndarray | None = None, electrons: np.ndarray | None = None) -> Batch:
    """One batch of all crystals.

    Args:
        graphs: the crystals.
        fidelity: index of each crystal's fidelity, shape (crystals,); by default all are of the first.
        electrons: `compositions.electron_counts` of the crystals, for networks that ask for it.
    """
    shift = np.repeat(graphs.atom_offsets[:-1], graphs.bond_counts).astype(np.int32)
    distances, length = np.unique(graphs.distances, return_inverse=True)
    numbers, kind = np.unique(graphs.atomic_numbers, return_inverse=True)
    return Batch(
        occupancies(numbers, graphs.mixtures),
        kind.astype(np.int32),
        graphs.atom_copies.astype(np.float32),
        np.repeat(np.arange(len(graphs), dtype=np.int32), graphs.atom_counts),
        distances,
        length.astype(np.int32),
        graphs.bond_copies.astype(np.float32),
        graphs.first + shift,
        graphs.second + shift,
        np.zeros(len(graphs), dtype=np.int32) if fidelity is None else np.asarray(fidelity, dtype=np.int32),
        np.zeros((len(graphs), ELECTRONS), dtype=np.float32) if electrons is None else electrons,
    )


def occupancies(numbers: np.ndarray, mixtures: np.ndarray) -> np.ndarray:
    """The fraction of each element on sites of these kinds, shape (numbers, FIRST_MIXTURE)."""
    parts = (numbers[:, None] == np.arange(FIRST_MIXTURE)).astype(np.float32)
    shared = numbers >= FIRST_MIXTURE
    parts[shared] = mixtures[numbers[shared] - FIRST_MIXTURE]
    return parts


def signature() -> Batch:
    """What a batch looks like to TensorFlow, so that one trace serves batches of every size."""
    whole, real = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)
    parts, counted = (tf.TensorSpec([None, columns], tf.float32) for columns in (FIRST_MIXTURE, ELECTRONS))
    return Batch(parts, whole, real, whole, real, whole, real, whole, whole, whole, counted)
