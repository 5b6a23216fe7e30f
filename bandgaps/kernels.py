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
    cursor: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    distances: np.ndarray,
    fill: bool,
) -> None:
    """Find the bonds of crystals; advance `cursor` of each atom by its bonds and, if asked, write them down there.

    Fincke & Pohst, Math. Comput. 44, 463: with the lattice vectors as columns of an upper triangle, each coordinate
    bounds the number of cells to look into along the next, so that hardly any but the pairs within reach are tried.

    Args:
        triangles: lattice vectors as columns, turned such that they are upper triangles with a positive diagonal, Å,
            shape (crystals, 3, 3).
        periodic: along each lattice vector, shape (crystals, 3).
        positions: fractions of the lattice vectors, shape (atoms, 3).
        offsets: of atoms, shape (crystals + 1,).
        cutoff: Å.
        tolerance: on the square of a distance, Å²; atoms closer than this to themselves are themselves.
        cursor: where the next bond of each atom goes, shape (atoms,).
        first: of each bond, counted within the crystal, shape (bonds,).
        second: likewise.
        distances: Å, shape (bonds,).
        fill: whether to write first, second and distances.
    """
    square = cutoff * cutoff + tolerance
    for crystal in range(len(offsets) - 1):
        start, stop = offsets[crystal], offsets[crystal + 1]
        r = triangles[crystal]
        width, depth, height = r[0, 0], r[1, 1], r[2, 2]
        lean_01, lean_02, lean_12 = r[0, 1] / width, r[0, 2] / width, r[1, 2] / depth
        along_0, along_1, along_2 = periodic[crystal]
        for i in range(start, stop):
            for j in range(i, stop):
                d0 = positions[j, 0] - positions[i, 0]
                d1 = positions[j, 1] - positions[i, 1]
                d2 = positions[j, 2] - positions[i, 2]
                low_2, high_2 = _cells(-d2, np.sqrt(square) / height, along_2)
                for n2 in range(low_2, high_2):
                    z = height * (d2 + n2)
                    left = square - z * z
                    if left < 0:
                        continue
                    lean = d1 + lean_12 * (d2 + n2)
                    low_1, high_1 = _cells(-lean, np.sqrt(left) / depth, along_1)
                    for n1 in range(low_1, high_1):
                        y = depth * (lean + n1)
                        rest = left - y * y
                        if rest < 0:
                            continue
                        shift = d0 + lean_01 * (d1 + n1) + lean_02 * (d2 + n2)
                        low_0, high_0 = _cells(-shift, np.sqrt(rest) / width, along_0)
                        for n0 in range(low_0, high_0):
                            x = width * (shift + n0)
                            distance = x * x + y * y + z * z
                            if distance > square or (i == j and distance <= tolerance):
                                continue
                            if fill:
                                first[cursor[i]], second[cursor[i]] = i - start, j - start
                                distances[cursor[i]] = np.sqrt(distance)
                            cursor[i] += 1
                            if i == j:  # the opposite bond is found as one of its own
                                continue
                            if fill:
                                first[cursor[j]], second[cursor[j]] = j - start, i - start
                                distances[cursor[j]] = np.sqrt(distance)
                            cursor[j] += 1


@_compiled
def _cells(middle: float, reach: float, periodic: bool) -> tuple[int, int]:
    """The whole numbers within reach of the middle, as a range; only 0 where nothing repeats."""
    if not periodic:
        return 0, 1
    return int(np.ceil(middle - reach)), int(np.floor(middle + reach)) + 1


@_compiled
def merge(
    atomic_numbers: np.ndarray,
    distances: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    atom_offsets: np.ndarray,
    bond_offsets: np.ndarray,
    same: float,
) -> tuple[np.ndarray, ...]:
    """Merge the atoms and bonds of crystals that are alike; see `graphs.merged`.

    Args:
        atomic_numbers: shape (atoms,).
        distances: Å, shape (bonds,).
        first: of each bond, counted within the crystal, ascending, shape (bonds,).
        second: likewise, in any order.
        atom_offsets: shape (crystals + 1,).
        bond_offsets: shape (crystals + 1,).
        same: Å; lengths within such an interval are one.

    Returns:
        Of the atoms that are left: atomic number, copies; atoms of each crystal; of the bonds that are left: length,
        first, second, copies; bonds of each crystal.
    """
    crystals, atoms, bonds = len(atom_offsets) - 1, len(atomic_numbers), len(distances)
    numbers, atom_copies, atom_counts = (
        np.empty(atoms, np.int32),
        np.empty(atoms, np.int32),
        np.zeros(crystals, np.int64),
    )
    lengths, copies = np.empty(bonds, np.float32), np.empty(bonds, np.int32)
    ones, others = np.empty(bonds, first.dtype), np.empty(bonds, first.dtype)
    atom_counts, bond_counts = np.zeros(crystals, np.int64), np.zeros(crystals, np.int64)
    atom, bond = 0, 0
    for crystal in range(crystals):
        here = slice(bond_offsets[crystal], bond_offsets[crystal + 1])
        z = atomic_numbers[atom_offsets[crystal] : atom_offsets[crystal + 1]]
        d, i, j = distances[here], first[here], second[here]

        # Lengths to integers: those within one interval share a number.
        shell, mean = np.empty(len(d), np.int64), np.empty(len(d), np.float64)
        shells, begin, total, members = -1, -np.inf, 0.0, 0
        for b in np.argsort(d):
            if d[b] > begin + same:
                shells, begin, total, members = shells + 1, d[b], 0.0, 0
            total, members = total + d[b], members + 1
            shell[b], mean[shells] = shells, total / members

        # Colours of atoms, refined by those of their neighbours until there are no more of them.
        colour = np.empty(len(z), np.uint64)
        for a in range(len(z)):
            colour[a] = _mixed(np.uint64(z[a]))
        kind, representative, kinds = _kinds(colour)
        while True:
            bonded = np.zeros(len(z), np.uint64)
            for b in range(len(d)):
                bonded[i[b]] += _mixed(_mixed(np.uint64(shell[b])) + colour[j[b]])
            for a in range(len(z)):
                colour[a] = _mixed(colour[a] + _mixed(bonded[a]))
            before = kinds
            kind, representative, kinds = _kinds(colour)
            if kinds == before:
                break

        # One atom of each colour, and of its bonds one of each length and end.
        for a in range(kinds):
            numbers[atom + a], atom_copies[atom + a] = z[representative[a]], 0
        for a in range(len(z)):
            atom_copies[atom + kind[a]] += 1
        for a in range(kinds):
            low, high = np.searchsorted(i, representative[a]), np.searchsorted(i, representative[a], side="right")
            alike = np.empty(high - low, np.int64)
            for b in range(low, high):
                alike[b - low] = kind[j[b]] * (shells + 1) + shell[b]
            alike.sort()
            for k in range(len(alike)):
                if k > 0 and alike[k] == alike[k - 1]:
                    copies[bond - 1] += 1
                    continue
                end, length = divmod(alike[k], shells + 1)
                ones[bond], others[bond], lengths[bond], copies[bond] = a, end, mean[length], 1
                bond_counts[crystal], bond = bond_counts[crystal] + 1, bond + 1
        atom_counts[crystal], atom = kinds, atom + kinds
    return (
        numbers[:atom].copy(),
        atom_copies[:atom].copy(),
        atom_counts,
        lengths[:bond].copy(),
        ones[:bond].copy(),
        others[:bond].copy(),
        copies[:bond].copy(),
        bond_counts,
    )


@_compiled
def _mixed(x: np.uint64) -> np.uint64:
    """A number that depends on every bit of another; Steele et al., OOPSLA 2014 (SplitMix)."""
    x += np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@_compiled
def _kinds(colour: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Colours as integers in the order in which they appear, the first atom of each, and their number."""
    kind, representative, kinds = np.empty(len(colour), np.int64), np.empty(len(colour), np.int64), 0
    for a in range(len(colour)):
        k = 0
        while k < kinds and colour[representative[k]] != colour[a]:
            k += 1
        if k == kinds:
            representative[kinds] = a
            kinds += 1
        kind[a] = k
    return kind, representative, kinds
