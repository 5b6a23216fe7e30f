"""Structures as crystal graphs: every atom a node, every pair of atoms within a cutoff a bond.

All crystals lie one behind the other in flat arrays, so that any selection of them is cut out by indexing alone. A site
that several elements share is one node, of a mixture, which counts as a further element (Chen et al., Nat. Comput. Sci.
1, 46).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from bandgaps.elements import SYMBOLS
from bandgaps.structure import threads

SAME_DISTANCE = 2e-5  # Å; bonds whose lengths differ by less are alike, for relaxed positions have that much noise
FIRST_MIXTURE = len(SYMBOLS) + 1  # mixtures of elements are numbered on from the elements
BONDS_A_PART = 200_000


@dataclass(frozen=True)
class Graphs:
    """Crystal graphs, one behind the other; bonds are directed, so each pair of atoms has two.

    Attributes:
        cutoff: Å; atoms closer than this share a bond.
        atomic_numbers: shape (atoms,); `FIRST_MIXTURE` + k for a site that elements share in the proportions
            `mixtures[k]`.
        distances: length of each bond, Å, shape (bonds,).
        first: the atom at which a bond starts, counted within its crystal and ascending there, shape (bonds,).
        second: the atom at which it ends, counted within its crystal, shape (bonds,).
        atom_offsets: the atoms of crystal k are `atom_offsets[k]` to `atom_offsets[k + 1]`, shape (crystals + 1,).
        bond_offsets: the same for bonds, shape (crystals + 1,).
        atom_copies: how many atoms of its crystal each atom stands for, shape (atoms,); 1 unless graphs are `merged`.
        bond_copies: how many bonds of its first atom each bond stands for, shape (bonds,); 1 unless `merged`.
        mixtures: the part that each element (column: atomic number) has in each mixture, shape (mixtures,
            FIRST_MIXTURE); rows add up to 1.
    """

    cutoff: float
    atomic_numbers: np.ndarray
    distances: np.ndarray
    first: np.ndarray
    second: np.ndarray
    atom_offsets: np.ndarray
    bond_offsets: np.ndarray
    atom_copies: np.ndarray
    bond_copies: np.ndarray
    mixtures: np.ndarray

    def __len__(self) -> int:
        return len(self.atom_offsets) - 1

    @property
    def atom_counts(self) -> np.ndarray:
        """Number of atoms of each crystal, shape (crystals,)."""
        return np.diff(self.atom_offsets)

    @property
    def bond_counts(self) -> np.ndarray:
        """Number of bonds of each crystal, shape (crystals,)."""
        return np.diff(self.bond_offsets)

    def select(self, rows: np.ndarray) -> Graphs:
        """The crystals `rows` (indices or a mask), in that order."""
        rows = np.arange(len(self))[rows]
        atoms = ranges(self.atom_offsets[rows], self.atom_counts[rows])
        bonds = ranges(self.bond_offsets[rows], self.bond_counts[rows])
        return self._part(atoms, bonds, offsets_of(self.atom_counts[rows]), offsets_of(self.bond_counts[rows]))

    def between(self, start: int, stop: int) -> Graphs:
        """The crystals `start` to `stop` (not included), without copying bonds."""
        atoms = slice(self.atom_offsets[start], self.atom_offsets[stop])
        bonds = slice(self.bond_offsets[start], self.bond_offsets[stop])
        atom_offsets, bond_offsets = (offsets[start : stop + 1] for offsets in (self.atom_offsets, self.bond_offsets))
        return self._part(atoms, bonds, atom_offsets - atom_offsets[0], bond_offsets - bond_offsets[0])

    def _part(
        self, atoms: np.ndarray | slice, bonds: np.ndarray | slice, atom_offsets: np.ndarray, bond_offsets: np.ndarray
    ) -> Graphs:
        """Crystals made of these atoms and bonds."""
        return Graphs(
            self.cutoff,
            self.atomic_numbers[atoms],
            self.distances[bonds],
            self.first[bonds],
            self.second[bonds],
            atom_offsets,
            bond_offsets,
            self.atom_copies[atoms],
            self.bond_copies[bonds],
            self.mixtures,
        )

    def batches(self, bonds: int) -> Iterator[Graphs]:
        """All crystals in order, in batches of at most `bonds` bonds (or of one crystal that has more)."""
        start = 0
        while start < len(self):
            within = int(np.searchsorted(self.bond_offsets, self.bond_offsets[start] + bonds, side="right")) - 1
            stop = max(within, start + 1)
            yield self.between(start, stop)
            start = stop


def merged(graphs: Graphs) -> Graphs:
    """The same crystals with equivalent atoms merged into one, and equivalent bonds too.

    Atoms of an element are equivalent if their bonds are alike, in length and in the atoms they lead to. A network that
    starts from elements and distances gives them the same vectors in every layer. One of each is kept, with the number
    that it stands for. The classes are those of colour refinement (the coarsest equitable partition; Berkholz et al.,
    Theory Comput. Syst. 60, 581), within `SAME_DISTANCE`. A bond gets the mean length of its class.
    """
    from bandgaps.structure.kernels import merge

    def run(start: int, stop: int) -> tuple[np.ndarray, ...]:
        part = graphs.between(start, stop)
        numbers, atom_copies, first, second, bond_copies = (
            np.require(array, np.int32, ["C", "W"])  # one kind of array, for which all is compiled once
            for array in (part.atomic_numbers, part.atom_copies, part.first, part.second, part.bond_copies)
        )
        atoms, bonds = (numbers, atom_copies, part.atom_offsets), (part.distances, first, second, bond_copies)
        return merge(*atoms, *bonds, part.bond_offsets, SAME_DISTANCE)

    bounds = np.searchsorted(graphs.bond_offsets, np.arange(0, graphs.bond_offsets[-1], BONDS_A_PART)).tolist()
    bounds = sorted({0, *bounds, len(graphs)}) if len(graphs) else [0, 0]
    with ThreadPoolExecutor(threads.count()) as pool:
        columns = zip(*pool.map(run, bounds[:-1], bounds[1:]), strict=True)
    atoms, atom_copies, atom_counts, distances, first, second, bond_copies, bond_counts = map(np.concatenate, columns)
    first, second = (ends.astype(graphs.first.dtype, copy=False) for ends in (first, second))
    offsets = offsets_of(atom_counts), offsets_of(bond_counts)
    return Graphs(graphs.cutoff, atoms, distances, first, second, *offsets, atom_copies, bond_copies, graphs.mixtures)


def offsets_of(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Where each of several stretches of such lengths begins, and where the last ends, shape (stretches + 1,)."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The integers starts[k] … starts[k] + lengths[k] - 1 for each k, concatenated."""
    before = offsets_of(lengths)
    return np.repeat(starts - before[:-1], lengths) + np.arange(before[-1])
