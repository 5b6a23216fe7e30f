"""The compositions of crystal graphs: Magpie features, and what counting electrons says.

A crystal whose sites are shared has the mean over the ordered crystals that it is made of: of Si(1-x)Ge(x) that of
silicon and germanium, as much of each as there is. So features are linear in x, also those that would jump where the
second element enters, such as the greatest electronegativity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from bandgaps import electrons, magpie
from bandgaps.elements import PROPERTIES, elemental_table
from bandgaps.structure.graphs import FIRST_MIXTURE, Graphs

_COUNTED = [k for k, label in enumerate(electrons.LABELS) if label != "ionic charge"]  # which jumps within an alloy
ELECTRONS = len(_COUNTED)
LABELS = (*magpie.LABELS, *(electrons.LABELS[k] for k in _COUNTED))
RADII = elemental_table()[:, PROPERTIES.index("CovalentRadius")]  # pm, by atomic number less 1
HALF = 0.1  # charge per atom that counts half as much as the greatest
MOST_ENDS = 64  # ordered crystals that one is made of; with more, its own composition stands for them


def features(graphs: Graphs) -> np.ndarray:
    """Magpie features and electron counts of each crystal, float64, shape (crystals, LABELS)."""
    return _mean_over_ends(graphs, _features, len(LABELS))


def electron_counts(graphs: Graphs) -> np.ndarray:
    """Electron counts of each crystal, float32, shape (crystals, ELECTRONS)."""
    return _mean_over_ends(graphs, _electron_counts, ELECTRONS).astype(np.float32)


def size_mismatch(graphs: Graphs) -> np.ndarray:
    """How unlike in size the elements are that share sites, mean over these sites, shape (crystals,); 0 without such.

    Four times the variance of the covalent radius over its mean squared: for two elements, half of each, the square of
    the relative difference. Alloys bow by about this much more than ordered crystals tell (Van Vechten & Bergstresser,
    Phys. Rev. B 1, 3351, on electronegativities).
    """
    shared = graphs.atomic_numbers >= FIRST_MIXTURE
    crystal = np.repeat(np.arange(len(graphs)), graphs.atom_counts)[shared]
    parts = graphs.mixtures[graphs.atomic_numbers[shared] - FIRST_MIXTURE][:, 1 : len(RADII) + 1]
    mean = parts @ RADII
    mismatch = 4 * (parts @ RADII**2 - mean**2) / mean**2
    copies = graphs.atom_copies[shared]
    total = np.bincount(crystal, weights=copies, minlength=len(graphs))
    return np.bincount(crystal, weights=copies * mismatch, minlength=len(graphs)) / np.maximum(total, 1e-9)


def _features(numbers: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """Features of compositions with equally many elements; numbers and atoms have the shape (elements, rows)."""
    return np.hstack([magpie.statistics(numbers, atoms), _electron_counts(numbers, atoms)])


def _electron_counts(numbers: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """What `electrons.features` says of compositions, its charges saturating at 1, shape (rows, ELECTRONS)."""
    counted = electrons.features(numbers, atoms)[:, _COUNTED]
    counted[:, :-1] /= counted[:, :-1] + HALF
    return counted


def _mean_over_ends(
    graphs: Graphs, function: Callable[[np.ndarray, np.ndarray], np.ndarray], columns: int
) -> np.ndarray:
    """The mean of a function of compositions over the ordered crystals that each crystal is made of."""
    crystal, share, atoms = _ends(graphs)
    result = np.zeros((len(graphs), columns))
    for rows, numbers, counts in _by_size(atoms):
        np.add.at(result, crystal[rows], share[rows, None] * function(numbers, counts))
    return result


def _ends(graphs: Graphs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ordered crystals that crystals are made of.

    Returns:
        The crystal that each belongs to, and its share in it, each of shape (ends,); its atoms of each element (column:
        atomic number), shape (ends, FIRST_MIXTURE).
    """
    crystal = np.repeat(np.arange(len(graphs)), graphs.atom_counts)
    shared = graphs.atomic_numbers >= FIRST_MIXTURE
    atoms = np.zeros((len(graphs), FIRST_MIXTURE))
    np.add.at(atoms, (crystal[~shared], graphs.atomic_numbers[~shared]), graphs.atom_copies[~shared])
    mixed = np.unique(crystal[shared])
    ordered = np.setdiff1d(np.arange(len(graphs)), mixed)
    rows, shares, compositions = [ordered], [np.ones(len(ordered))], [atoms[ordered]]
    for row in mixed.tolist():
        own = shared & (crystal == row)
        kinds, kind = np.unique(graphs.atomic_numbers[own], return_inverse=True)
        copies = np.bincount(kind, weights=graphs.atom_copies[own])
        share, added = _combinations(graphs.mixtures[kinds - FIRST_MIXTURE], copies)
        rows.append(np.full(len(share), row))
        shares.append(share)
        compositions.append(atoms[row] + added)
    return np.concatenate(rows), np.concatenate(shares), np.concatenate(compositions)


def _combinations(mixtures: np.ndarray, copies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every way to put one element on all sites of each mixture, shape (ways,), and the atoms it adds."""
    choices = [np.flatnonzero(parts).tolist() for parts in mixtures]
    if np.prod([len(each) for each in choices]) > MOST_ENDS:
        return np.ones(1), (copies[:, None] * mixtures).sum(axis=0)[None]
    ways = [*product(*choices)]
    share, added = np.ones(len(ways)), np.zeros((len(ways), FIRST_MIXTURE))
    for way, elements in enumerate(ways):
        for parts, element, count in zip(mixtures, elements, copies, strict=True):
            share[way] *= parts[element]
            added[way, element] += count
    return share, added


def _by_size(atoms: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows, atomic numbers and atoms of compositions with equally many elements.

    Yields:
        Rows, shape (rows,); atomic numbers and atoms, each of shape (elements, rows).
    """
    counts = (atoms > 0).sum(axis=1)
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        numbers = np.nonzero(atoms[rows])[1].reshape(len(rows), count)
        yield rows, numbers.T, np.take_along_axis(atoms[rows], numbers, axis=1).T
