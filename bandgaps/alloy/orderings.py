"""Ordered superstructures of a parent crystal, and the mean of a property over them.

A disordered alloy is represented by the symmetry-distinct orderings of its two elements on a sublattice of the parent
(Hart & Forcade, Phys. Rev. B 77, 224115), each counted as often as there are labelings equivalent to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Lattice, Structure

from bandgaps.errors import InputError
from bandgaps.table.records import ordered

SYMPREC = 1e-4  # Å; the parents are ideal crystals
MOST_LABELINGS = 20_000_000  # some 60,000 orderings of Si-Ge, which take a quarter of a minute and 0.6 GB
MOST_ATOMS = 2_000_000  # in all orderings together


@dataclass(frozen=True)
class Ordering:
    """An ordered superstructure of the parent, and how many labelings of the sublattice are equivalent to it."""

    structure: Structure
    multiplicity: int


def orderings(parent: Structure, elements: tuple[str, str], max_atoms: int) -> list[Ordering]:
    """Every symmetry-distinct ordering of two elements on a sublattice, in cells of up to `max_atoms` atoms.

    Superlattices are enumerated as Hermite normal forms, labelings as bits; what the parent's space group or a
    translation maps onto each other counts once. Multiplicities are the sizes of these classes.

    Args:
        parent: the crystal; its sites of the first element are the sublattice.
        elements: the two elements.
        max_atoms: of a cell, spectators included.

    Raises:
        InputError: `max_atoms` is below the parent's number of atoms, or makes for too many labelings.
    """
    sites = sublattice(parent, elements[0])
    check_size(parent, elements[0], max_atoms)
    operations = _SiteOperations.of(parent, sites)
    found: list[Ordering] = []
    for cells in range(1, max_atoms // len(parent) + 1):
        for matrix, symmetries, copies in _distinct_superlattices(cells, operations.rotations):
            labels, orbits = _distinct_labelings(matrix, operations.taking(symmetries))
            structures = _decorated(parent, sites, matrix, labels, elements)
            found += [Ordering(s, int(copies * orbit)) for s, orbit in zip(structures, orbits, strict=True)]
    return found


def sublattice(parent: Structure, element: str) -> list[int]:
    """The sites that hold an element."""
    return [number for number, site in enumerate(parent) if site.specie.symbol == element]


def check_size(parent: Structure, element: str, max_atoms: int) -> None:
    """Raise InputError if the orderings in cells of up to `max_atoms` cannot be enumerated.

    Args:
        parent: the crystal.
        element: the one on its sublattice.
        max_atoms: of a cell.
    """
    atoms, sites = len(parent), len(sublattice(parent, element))
    if max_atoms < atoms:
        raise InputError(f"cells of up to {max_atoms} atoms: the parent cell has {atoms}; allow at least as many")
    operations = len(space_group(parent)["rotations"])
    labelings, found, largest = 0, 0.0, 0
    for cells in range(1, max_atoms // atoms + 1):
        own = sum(a * a * c for a, c, _ in _diagonals(cells)) << (cells * sites)
        labelings += own
        found += math.exp(min(math.log(own) - math.log(operations * cells), 700))
        if labelings <= MOST_LABELINGS and found * cells * atoms <= MOST_ATOMS:
            largest = cells * atoms
    if largest < max_atoms // atoms * atoms:
        allowed = f"allow at most {largest} atoms" if largest else "take ends with fewer such sites"
        raise InputError(
            f"cells of up to {max_atoms} atoms have {_rounded(labelings)} labelings, that is about {_rounded(found)} "
            f"orderings, more than can be compared and predicted; {allowed}"
        )


def _rounded(count: float) -> str:
    """A count in full, or its power of ten."""
    return f"{round(count):,}" if count < 10**15 else f"10^{math.log10(count):.0f}"


@dataclass(frozen=True)
class _SiteOperations:
    """The space group as it acts on the sublattice: cell c and basis site b go to R c + shift[b] and image[b]."""

    rotations: np.ndarray  # (operations, 3, 3), integer, acting on columns of fractional coordinates
    images: np.ndarray  # (operations, basis)
    shifts: np.ndarray  # (operations, basis, 3)

    @classmethod
    def of(cls, parent: Structure, sites: list[int]) -> _SiteOperations:
        symmetry, basis = space_group(parent), parent.frac_coords[sites]
        moved = np.einsum("oij,bj->obi", symmetry["rotations"], basis) + symmetry["translations"][:, None]
        offset = moved[:, :, None] - basis  # (operations, basis, candidate image, 3)
        images = np.abs(offset - np.round(offset)).sum(axis=-1).argmin(axis=-1)
        shifts = np.take_along_axis(offset, images[:, :, None, None], axis=2)[:, :, 0]
        return cls(symmetry["rotations"].astype(int), images, np.round(shifts).astype(int))

    def taking(self, which: np.ndarray) -> _SiteOperations:
        return _SiteOperations(self.rotations[which], self.images[which], self.shifts[which])


def _distinct_superlattices(cells: int, rotations: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Superlattices of `cells` parent cells that no rotation maps onto each other.

    Yields:
        The Hermite normal form (rows are superlattice vectors), which rotations leave the superlattice unchanged, and
        how many superlattices it stands for.
    """
    matrices = np.array(list(_hermite_normal_forms(cells)))
    adjugates = np.round(cells * np.linalg.inv(matrices)).astype(int)
    seen = np.zeros(len(matrices), dtype=bool)
    for number, matrix in enumerate(matrices):
        if seen[number]:
            continue
        rotated = matrix @ rotations.transpose(0, 2, 1)
        same = ~np.any((rotated[:, None] @ adjugates[None]) % cells, axis=(2, 3))  # (rotations, superlattices)
        orbit = same.any(axis=0)
        seen |= orbit
        yield matrix, np.flatnonzero(same[:, number]), int(orbit.sum())


def _hermite_normal_forms(determinant: int) -> Iterator[list[list[int]]]:
    """Lower triangular integer matrices, each the unique basis of one superlattice of that index."""
    for a, c, f in _diagonals(determinant):
        for b in range(a):
            for d in range(a):
                for e in range(c):
                    yield [[a, 0, 0], [b, c, 0], [d, e, f]]


def _diagonals(determinant: int) -> list[tuple[int, int, int]]:
    """Every three positive integers with this product."""
    divisors = [d for d in range(1, determinant + 1) if determinant % d == 0]
    return [(a, c, determinant // (a * c)) for a in divisors for c in divisors if determinant % (a * c) == 0]


def _cells(matrix: np.ndarray) -> np.ndarray:
    """One parent cell (integer coordinates) for each coset of the superlattice, in the order of `_cell_number`."""
    return np.stack(np.meshgrid(*(np.arange(n) for n in np.diag(matrix)), indexing="ij"), axis=-1).reshape(-1, 3)


def _cell_number(cells: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Number of the coset that each cell, shape (..., 3), belongs to."""
    cells = cells.copy()
    for axis in (2, 1, 0):
        cells -= (cells[..., axis] // matrix[axis, axis])[..., None] * matrix[axis]
    _, c, f = np.diag(matrix)
    return (cells[..., 0] * c + cells[..., 1]) * f + cells[..., 2]


def _distinct_labelings(matrix: np.ndarray, operations: _SiteOperations) -> tuple[np.ndarray, np.ndarray]:
    """Labelings of a superlattice's sites that no symmetry maps onto each other and no smaller cell describes.

    Args:
        matrix: the superlattice, as a Hermite normal form.
        operations: the operations that leave it unchanged.

    Returns:
        The labelings, bit i telling which element sits on site i, and the number of labelings in each one's class.
    """
    permutations = _permutations(matrix, operations)  # (operations, translations, sites)
    count, cells, sites = permutations.shape
    labels = np.arange(2**sites)
    identity = np.flatnonzero(np.all(permutations == np.arange(sites), axis=2).any(axis=1))[0]
    least = labels.copy()
    periodic = np.zeros(len(labels), dtype=bool)
    for permutation in permutations[identity]:
        image = _permuted(labels, permutation)
        if np.any(permutation != np.arange(sites)):
            periodic |= image == labels
        np.minimum(least, image, out=least)
    labels = labels[(least == labels) & ~periodic]
    least = labels.copy()
    stabilizers = np.zeros(len(labels), dtype=int)
    for permutation in permutations.reshape(-1, sites):
        image = _permuted(labels, permutation)
        stabilizers += image == labels
        np.minimum(least, image, out=least)
    kept = least == labels
    return labels[kept], count * cells // stabilizers[kept]


def _permutations(matrix: np.ndarray, operations: _SiteOperations) -> np.ndarray:
    """Where each operation, followed by each translation, takes each site; shape (operations, translations, sites)."""
    cells = _cells(matrix)
    basis = operations.images.shape[1]
    rotated = np.einsum("oij,cj->oci", operations.rotations, cells)
    moved = rotated[:, :, None] + operations.shifts[:, None]  # (operations, cells, basis, 3)
    translated = moved[:, None] + cells[None, :, None, None]
    sites = _cell_number(translated, matrix) * basis + operations.images[:, None, None]
    return sites.reshape(len(rotated), len(cells), len(cells) * basis)


def _permuted(labels: np.ndarray, permutation: np.ndarray) -> np.ndarray:
    """Labelings after a permutation of sites; each half of the bits is looked up in a table of its images."""
    half = len(permutation) // 2
    low, high = _images(permutation[:half]), _images(permutation[half:])
    return low[labels & (2**half - 1)] | high[labels >> half]


def _images(targets: np.ndarray) -> np.ndarray:
    """For every pattern of len(targets) bits, the pattern in which bit i has moved to bit targets[i]."""
    images = np.zeros(1, dtype=np.int64)
    for target in targets:
        images = np.concatenate([images, images | (1 << int(target))])
    return images


def _decorated(
    parent: Structure, sites: list[int], matrix: np.ndarray, labels: np.ndarray, elements: tuple[str, str]
) -> Iterator[Structure]:
    lattice = Lattice(matrix @ parent.lattice.matrix).get_lll_reduced_lattice()
    places = (_cells(matrix)[:, None] + parent.frac_coords).reshape(-1, 3)
    coordinates = lattice.get_fractional_coords(places @ parent.lattice.matrix) % 1
    symbols = np.array([site.specie.symbol for site in parent] * len(_cells(matrix)), dtype=object)
    labelled = (len(parent) * np.arange(len(_cells(matrix)))[:, None] + sites).ravel()
    for bits in (labels[:, None] >> np.arange(len(labelled))) & 1:
        symbols[labelled] = np.array(elements, dtype=object)[bits]
        yield ordered(lattice, symbols.tolist(), coordinates.copy())


def composition_means(points: pd.DataFrame, x: str) -> pd.DataFrame:
    """Mean gap of the orderings at each composition, each counted as often as there are labelings equivalent to it.

    Args:
        points: columns `x`, `multiplicity`, `band_gap` and `band_gap_std` (eV), one row an ordering.
        x: name of the column with the composition.

    Returns:
        One row a composition, ascending: `x`, `orderings`, `band_gap` (weighted mean, eV), `band_gap_spread` (weighted
        standard deviation over orderings, eV), `band_gap_plain` (mean that counts each ordering once, eV) and
        `band_gap_std` (weighted mean of sigma, eV: sigma of the mean if the errors of all orderings are one and the
        same, which is the worst case and not far from the truth for crystals that are so much alike).
    """
    rows = []
    for fraction, group in points.groupby(x):
        weights, gaps = group["multiplicity"].to_numpy(float), group["band_gap"].to_numpy(float)
        mean = np.average(gaps, weights=weights)
        spread = np.sqrt(np.average((gaps - mean) ** 2, weights=weights))
        sigma = np.average(group["band_gap_std"].to_numpy(float), weights=weights)
        rows.append((fraction, len(group), mean, spread, gaps.mean(), sigma))
    columns = [x, "orderings", "band_gap", "band_gap_spread", "band_gap_plain", "band_gap_std"]
    return pd.DataFrame(rows, columns=columns)


def space_group(structure: Structure) -> Any:
    """Rotations and translations (fractional coordinates) of the space group, one for each coset of translations."""
    import spglib

    cell: Any = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    return spglib.get_symmetry(cell, symprec=SYMPREC)
