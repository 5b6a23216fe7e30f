"""Structures as crystal graphs: every atom a node, every pair of atoms within a cutoff a bond.

All crystals lie one behind the other in flat arrays, so that any selection of them is cut out by indexing alone.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bandgaps.errors import InputError
from bandgaps.files import replacing

if TYPE_CHECKING:
    from pymatgen.core import Structure

SAME_POSITION = 1e-8  # Å; an atom is no neighbour of itself, but its periodic images are


@dataclass(frozen=True)
class Graphs:
    """Crystal graphs, one behind the other; bonds are directed, so each pair of atoms has two.

    Attributes:
        cutoff: Å; atoms closer than this share a bond.
        atomic_numbers: shape (atoms,).
        distances: length of each bond, Å, shape (bonds,).
        first: the atom at which a bond starts, counted within its crystal and ascending there, shape (bonds,).
        second: the atom at which it ends, counted within its crystal, shape (bonds,).
        atom_offsets: the atoms of crystal k are `atom_offsets[k]` to `atom_offsets[k + 1]`, shape (crystals + 1,).
        bond_offsets: the same for bonds, shape (crystals + 1,).
    """

    cutoff: float
    atomic_numbers: np.ndarray
    distances: np.ndarray
    first: np.ndarray
    second: np.ndarray
    atom_offsets: np.ndarray
    bond_offsets: np.ndarray

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
        atoms = _ranges(self.atom_offsets[rows], self.atom_counts[rows])
        bonds = _ranges(self.bond_offsets[rows], self.bond_counts[rows])
        return Graphs(
            self.cutoff,
            self.atomic_numbers[atoms],
            self.distances[bonds],
            self.first[bonds],
            self.second[bonds],
            _offsets(self.atom_counts[rows]),
            _offsets(self.bond_counts[rows]),
        )

    def between(self, start: int, stop: int) -> Graphs:
        """The crystals `start` to `stop` (not included), without copying bonds."""
        atoms = slice(self.atom_offsets[start], self.atom_offsets[stop])
        bonds = slice(self.bond_offsets[start], self.bond_offsets[stop])
        return Graphs(
            self.cutoff,
            self.atomic_numbers[atoms],
            self.distances[bonds],
            self.first[bonds],
            self.second[bonds],
            self.atom_offsets[start : stop + 1] - self.atom_offsets[start],
            self.bond_offsets[start : stop + 1] - self.bond_offsets[start],
        )

    def batches(self, bonds: int) -> Iterator[Graphs]:
        """All crystals in order, in batches of at most `bonds` bonds (or of one crystal that has more)."""
        start = 0
        while start < len(self):
            within = int(np.searchsorted(self.bond_offsets, self.bond_offsets[start] + bonds, side="right")) - 1
            stop = max(within, start + 1)
            yield self.between(start, stop)
            start = stop


def build(structures: Sequence[Structure], cutoff: float, names: Sequence[str] | None = None) -> Graphs:
    """Find all bonds of all structures.

    Args:
        structures: ordered structures.
        cutoff: Å.
        names: what to call each structure in an error; its formula where there are none.

    Raises:
        InputError: a site is shared by several elements, or an atom has no neighbour within the cutoff.
    """
    crystals = [
        _bonds(structure, cutoff, f"structure {row} ({structure.formula})" if names is None else names[row])
        for row, structure in enumerate(structures)
    ]
    empty = np.zeros(0)
    columns = zip(*crystals, strict=True) if crystals else [(empty,)] * 4
    numbers, first, second, distances = (list(column) for column in columns)
    return Graphs(
        float(cutoff),
        np.concatenate(numbers).astype(np.int32),
        np.concatenate(distances).astype(np.float32),
        np.concatenate(first).astype(np.int32),
        np.concatenate(second).astype(np.int32),
        _offsets([len(crystal[0]) for crystal in crystals]),
        _offsets([len(crystal[1]) for crystal in crystals]),
    )


def cached(
    structures: Sequence[Structure], cutoff: float, folder: Path | str, names: Sequence[str] | None = None
) -> Graphs:
    """The same as `build`, kept in `folder` under a key made of the structures and the cutoff.

    A cache that is damaged is built again; one that cannot be written is done without.
    """
    path = Path(folder) / f"graphs-{_key(structures, cutoff)}.npz"
    with suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return _read(path)
    graphs = build(structures, cutoff, names)
    with suppress(OSError), replacing(path) as temporary:
        np.savez(temporary, **{field.name: getattr(graphs, field.name) for field in fields(Graphs)})
    return graphs


def _bonds(structure: Structure, cutoff: float, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Atomic numbers, first atom, second atom and length of the bonds, sorted by first atom."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    if not structure.is_ordered:
        shared = next(site for site in structure if not site.is_ordered)
        raise InputError(
            f"{name}: a site is shared ({shared.species_string}); give ordered structures, such as "
            "special quasirandom ones or the orderings that explore_structure.py lists"
        )
    positions = np.ascontiguousarray(structure.cart_coords, dtype=float)
    first, second, _, distances = find_points_in_spheres(
        positions,
        positions,
        r=float(cutoff),
        pbc=np.ascontiguousarray(structure.pbc, dtype=np.int64),
        lattice=np.ascontiguousarray(structure.lattice.matrix, dtype=float),
        tol=SAME_POSITION,
    )
    bonds = np.flatnonzero((first != second) | (distances > SAME_POSITION))
    bonds = bonds[np.argsort(first[bonds], kind="stable")]
    neighbours = np.bincount(first[bonds], minlength=len(structure))
    if not neighbours.all():
        atom = int(np.argmin(neighbours))
        raise InputError(
            f"{name}: atom {atom} ({structure[atom].species_string}) has no neighbour within {cutoff:g} Å; "
            "leave this structure out or use a larger cutoff"
        )
    return np.array(structure.atomic_numbers), first[bonds], second[bonds], distances[bonds]


def _offsets(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The integers starts[k] … starts[k] + lengths[k] - 1 for each k, concatenated."""
    before = _offsets(lengths)
    return np.repeat(starts - before[:-1], lengths) + np.arange(before[-1])


def _key(structures: Sequence[Structure], cutoff: float) -> str:
    digest = hashlib.sha256(np.float64(cutoff).tobytes())
    for structure in structures:
        species = structure.atomic_numbers if structure.is_ordered else [site.species_string for site in structure]
        digest.update(repr((list(species), structure.pbc)).encode())
        digest.update(structure.lattice.matrix.tobytes())
        digest.update(structure.frac_coords.tobytes())
    return digest.hexdigest()[:32]


def _read(path: Path) -> Graphs:
    with np.load(path, allow_pickle=False) as content:
        arrays = {field.name: content[field.name] for field in fields(Graphs)}
    return Graphs(**{**arrays, "cutoff": float(arrays["cutoff"])})
