"""Loops over atoms and bonds, compiled: finding the bonds of crystals, and merging those that are alike.

Compiled once an installation and kept beside this file (where that can be written, else in numba's own folder).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder that can be written
        return njit(nogil=True)(function)


@_compiled
def search(
    triangles: np.ndarray,
    periodic: np.ndarray,
    positions: np.ndarray,
    offsets: np.ndarray,
    cutoff: float,
    tolerance: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Find the bonds of crystals, each pair of atoms once, and write them down from both ends.

    Fincke & Pohst, Math. Comput. 44, 463: with the lattice vectors as columns of an upper triangle, each coordinate
    bounds the number of cells to look into along the next, so that none but the pairs within reach are tried.

    Args:
        triangles: lattice vectors as columns, turned such that they are upper triangles with a positive diagonal, Å,
            shape (crystals, 3, 3).
        periodic: along each lattice vector, shape (crystals, 3).
        positions: fractions of the lattice vectors, shape (atoms, 3).
        offsets: of atoms, shape (crystals + 1,).
        cutoff: Å.
        tolerance: on the square of the cutoff, Å².

    Returns:
        Bonds of each atom, shape (atoms,); of each bond, sorted by first atom, the length (Å), first and second atom
        counted within their crystal, shape (bonds,).
    """
    square = cutoff * cutoff + tolerance
    crystals, pairs = len(offsets) - 1, 0
    for crystal in range(crystals):
        size = offsets[crystal + 1] - offsets[crystal]
        pairs += size * (size + 1) // 2
    images = np.zeros(pairs, np.int32)  # bonds of each pair of atoms
    counts = np.zeros(len(positions), np.int64)
    halves = np.empty(32 * len(positions) + 64, np.float32)
    pair, total = 0, 0
    for crystal in range(crystals):
        r = triangles[crystal]
        width, depth, height = r[0, 0], r[1, 1], r[2, 2]
        per_width, per_depth, reach = 1 / width, 1 / depth, np.sqrt(square) / height
        lean_01, lean_02, lean_12 = r[0, 1] / width, r[0, 2] / width, r[1, 2] / depth
        along_0, along_1, along_2 = periodic[crystal]
        for i in range(offsets[crystal], offsets[crystal + 1]):
            for j in range(i, offsets[crystal + 1]):
                before = total
                d0 = positions[j, 0] - positions[i, 0]
                d1 = positions[j, 1] - positions[i, 1]
                d2 = positions[j, 2] - positions[i, 2]
                low_2, high_2 = _cells(-d2, reach, along_2)
                for n2 in range(low_2, high_2):
                    z = height * (d2 + n2)
                    left = max(square - z * z, 0.0)
                    lean = d1 + lean_12 * (d2 + n2)
                    low_1, high_1 = _cells(-lean, np.sqrt(left) * per_depth, along_1)
                    for n1 in range(low_1, high_1):
                        y = depth * (lean + n1)
                        shift = d0 + lean_01 * (d1 + n1) + lean_02 * (d2 + n2)
                        low_0, high_0 = _cells(-shift, np.sqrt(max(left - y * y, 0.0)) * per_width, along_0)
                        if total + high_0 - low_0 > len(halves):
                            halves = _longer(halves, len(halves) + high_0 - low_0)
                        for n0 in range(low_0, high_0):
                            if i == j and n0 == 0 and n1 == 0 and n2 == 0:
                                continue  # the atom itself
                            x = width * (shift + n0)
                            halves[total] = np.sqrt(x * x + y * y + z * z)
                            total += 1
                images[pair] = total - before
                counts[i] += total - before
                if i != j:  # else the opposite bond is found as one of its own
                    counts[j] += total - before
                pair += 1

    cursor, bonds = np.empty(len(counts), np.int64), 0
    for i in range(len(counts)):
        cursor[i] = bonds
        bonds += counts[i]
    distances, first, second = np.empty(bonds, np.float32), np.empty(bonds, np.int32), np.empty(bonds, np.int32)
    pair, total = 0, 0
    for crystal in range(crystals):
        start = offsets[crystal]
        for i in range(start, offsets[crystal + 1]):
            for j in range(i, offsets[crystal + 1]):
                for _ in range(images[pair]):
                    at = cursor[i]
                    distances[at], first[at], second[at] = halves[total], i - start, j - start
                    cursor[i] += 1
                    if i != j:
                        at = cursor[j]
                        distances[at], first[at], second[at] = halves[total], j - start, i - start
                        cursor[j] += 1
                    total += 1
                pair += 1
    return counts, distances, first, second


@_compiled
def _longer(array: np.ndarray, more: int) -> np.ndarray:
    """The same array with so many places more."""
    longer = np.empty(len(array) + more, array.dtype)
    for at in range(len(array)):
        longer[at] = array[at]
    return longer


@_compiled
def _cells(middle: float, reach: float, periodic: bool) -> tuple[int, int]:
    """The whole numbers within reach of the middle, as a range; 0 or none where nothing repeats."""
    if not periodic:
        return 0, 1 if abs(middle) <= reach else 0
    return int(np.ceil(middle - reach)), int(np.floor(middle + reach)) + 1


@_compiled
def merge(
    atomic_numbers: np.ndarray,
    atom_copies: np.ndarray,
    atom_offsets: np.ndarray,
    distances: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    bond_copies: np.ndarray,
    bond_offsets: np.ndarray,
    same: float,
) -> tuple[np.ndarray, ...]:
    """Merge the atoms and bonds of crystals that are alike; see `graphs.merged`.

    Args:
        atomic_numbers: shape (atoms,).
        atom_copies: how many atoms each stands for already, shape (atoms,).
        atom_offsets: shape (crystals + 1,).
        distances: Å, shape (bonds,).
        first: of each bond, counted within the crystal, ascending, shape (bonds,).
        second: likewise, in any order.
        bond_copies: how many bonds each stands for already, shape (bonds,).
        bond_offsets: shape (crystals + 1,).
        same: Å; lengths within such an interval are one.

    Returns:
        Of the atoms that are left: atomic number, copies; atoms of each crystal; of the bonds that are left: length,
        first, second, copies; bonds of each crystal.
    """
    crystals, atoms, bonds = len(atom_offsets) - 1, len(atomic_numbers), len(distances)
    numbers, atoms_of, atom_counts = np.empty(atoms, np.int32), np.empty(atoms, np.int32), np.zeros(crystals, np.int64)
    lengths, bonds_of = np.empty(bonds, np.float32), np.empty(bonds, np.int32)
    ones, others, bond_counts = np.empty(bonds, np.int32), np.empty(bonds, np.int32), np.zeros(crystals, np.int64)
    atom, bond = 0, 0
    for crystal in range(crystals):
        begin, end = bond_offsets[crystal], bond_offsets[crystal + 1]
        d, i, j, copies = distances[begin:end], first[begin:end], second[begin:end], bond_copies[begin:end]
        begin, end = atom_offsets[crystal], atom_offsets[crystal + 1]
        z, members = atomic_numbers[begin:end], atom_copies[begin:end]
        shell, mean = _shells(d, copies, same)
        kind, representative = _kinds(z, i, j, shell, copies)
        shells = len(mean)

        atom_counts[crystal] = len(representative)
        atoms_of[atom : atom + len(representative)] = 0
        for a in range(len(z)):
            atoms_of[atom + kind[a]] += members[a]
        low = 0
        for a in range(len(representative)):
            numbers[atom + a] = z[representative[a]]
            while low < len(i) and i[low] < representative[a]:
                low += 1
            high = low
            while high < len(i) and i[high] == representative[a]:
                high += 1
            ends = np.empty(high - low, np.int64)
            for b in range(high - low):
                ends[b] = kind[j[low + b]] * shells + shell[low + b]
            previous = -1
            for b in _order(ends):
                if ends[b] == previous:
                    bonds_of[bond - 1] += copies[low + b]
                    continue
                previous = ends[b]
                ones[bond], others[bond], lengths[bond] = a, previous // shells, mean[previous % shells]
                bonds_of[bond] = copies[low + b]
                bond_counts[crystal] += 1
                bond += 1
        atom += len(representative)
    left = numbers[:atom], atoms_of[:atom], atom_counts
    return (*left, lengths[:bond], ones[:bond], others[:bond], bonds_of[:bond], bond_counts)


@_compiled
def _order(keys: np.ndarray) -> np.ndarray:
    """The indices that bring integers in ascending order; sorting is compiled once, for it takes seconds."""
    return np.argsort(keys)


@_compiled
def _shells(distances: np.ndarray, copies: np.ndarray, same: float) -> tuple[np.ndarray, np.ndarray]:
    """Lengths as integers, those within one interval of width `same` as one; and the mean length of each."""
    shell, mean = np.empty(len(distances), np.int64), np.empty(len(distances), np.float64)
    last, low, total, members = -1, -np.inf, 0.0, 0
    bits, keys = distances.view(np.int32), np.empty(len(distances), np.int64)
    for b in range(len(keys)):
        keys[b] = bits[b]  # which have the order of the lengths, for these are above 0
    for b in _order(keys):
        if distances[b] > low + same:
            last, low, total, members = last + 1, distances[b], 0.0, 0
        total += copies[b] * float(distances[b])
        members += copies[b]
        shell[b], mean[last] = last, total / members
    return shell, mean[: last + 1]


@_compiled
def _kinds(
    atomic_numbers: np.ndarray, first: np.ndarray, second: np.ndarray, shell: np.ndarray, copies: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The kind of each atom of a crystal, and the first atom of each kind.

    Atoms are coloured by element, then again and again by the colours of their neighbours, until that tells no more of
    them apart.
    """
    atoms = len(atomic_numbers)
    colour = np.empty(atoms, np.uint64)
    for a in range(atoms):
        colour[a] = _mixed(np.uint64(atomic_numbers[a]))
    kind, representative = _numbered(colour)
    while True:
        around = np.zeros(atoms, np.uint64)
        for b in range(len(shell)):
            around[first[b]] += np.uint64(copies[b]) * _mixed(_mixed(np.uint64(shell[b])) + colour[second[b]])
        for a in range(atoms):
            colour[a] = _mixed(colour[a] + _mixed(around[a]))
        before = len(representative)
        kind, representative = _numbered(colour)
        if len(representative) == before:
            return kind, representative


@_compiled
def _numbered(colour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours as integers in the order in which they appear, and the first atom of each."""
    kind, representative, kinds = np.empty(len(colour), np.int64), np.empty(len(colour), np.int64), 0
    for a in range(len(colour)):
        k = 0
        while k < kinds and colour[representative[k]] != colour[a]:
            k += 1
        if k == kinds:
            representative[kinds] = a
            kinds += 1
        kind[a] = k
    return kind, representative[:kinds]


@_compiled
def _mixed(x: np.uint64) -> np.uint64:
    """A number that depends on every bit of another; Steele et al., OOPSLA 2014 (SplitMix)."""
    x += np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
