"""Cells that no crystal has, found before anything is searched in them.

A search for neighbours takes time and memory by the number of neighbours and of periodic images. Both are without bound
in a cell that is too small, too flat or too skewed.
"""

from __future__ import annotations

import numpy as np

LONGEST = 1000.0  # Å, of a lattice vector
MOST_ATOMS = 10_000  # in a cell; pairs of them are counted
DENSEST = 1.0  # atoms/Å³; diamond has 0.18
REACH = 5.0  # Å; how far neighbours are looked for where nothing else is said
MOST_IMAGES = 2_000_000  # of all atoms of a cell, within reach
MOST_NEIGHBORS = 5_000  # of an atom, within reach


def faults(lattices: np.ndarray, atoms: np.ndarray, reach: float = REACH) -> dict[int, str]:
    """What is wrong with some cells, and what to do, by row.

    Args:
        lattices: lattice vectors as rows, Å, shape (crystals, 3, 3).
        atoms: of each cell, shape (crystals,).
        reach: how far neighbours are looked for, Å.
    """
    found: dict[int, str] = {}
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(lattices, axis=2)
        across = np.cross(lattices[:, [1, 2, 0]], lattices[:, [2, 0, 1]])
        volumes = np.abs(np.einsum("ij,ij->i", lattices[:, 0], across[:, 0]))
        spacings = volumes[:, None] / np.linalg.norm(across, axis=2)  # of the lattice planes, Å
        images = atoms * np.prod(2 * reach / spacings + 1, axis=1)
        density = atoms / volumes
        neighbors = 4 / 3 * np.pi * reach**3 * density
        sound = (lengths <= LONGEST).all(axis=1) & (density <= DENSEST) & (atoms <= MOST_ATOMS)
        sound &= (images <= MOST_IMAGES) & (neighbors <= MOST_NEIGHBORS)
    for row in np.flatnonzero(~sound).tolist():
        found[row] = _fault(
            lengths[row], volumes[row], int(atoms[row]), float(images[row]), float(neighbors[row]), reach
        )
    return found


def _fault(lengths: np.ndarray, volume: float, atoms: int, images: float, neighbors: float, reach: float) -> str:
    if not np.isfinite(lengths).all():
        return "a lattice vector that is not a number; correct or remove it"
    if lengths.max() > LONGEST:
        return f"a lattice vector of {lengths.max():g} Å, the longest is {LONGEST:,.0f} Å; correct or remove it"
    if atoms > MOST_ATOMS:
        return f"{atoms:,} atoms in a cell, the most is {MOST_ATOMS:,}; give a smaller cell"
    if not volume > 1e-9 * lengths.prod():
        return "a lattice without volume; correct or remove it"
    if atoms > DENSEST * volume:
        return f"{atoms} atoms in {volume:.3g} Å³, which no crystal has; correct or remove it"
    if neighbors > MOST_NEIGHBORS:
        return f"some {neighbors:,.0f} neighbours of each atom within {reach:g} Å; use a smaller cutoff"
    return f"a cell so skewed that {images:.1e} periodic images are within {reach:g} Å; give it with a reduced cell"
