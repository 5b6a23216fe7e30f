"""Special quasirandom structures: cells whose correlations are nearest to those of a random alloy.

Zunger et al., Phys. Rev. Lett. 65, 353.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from pymatgen.core import Composition, Lattice, Structure

from bandgaps.errors import InputError

_QUASIRANDOM_SIZES = (64, 100)  # atoms; wanted at least, and at most where the composition allows it
_CORRELATION_CUTOFFS = (1.3, 0.9)  # of pairs and triplets, in units of the conventional lattice constant


def special_quasirandom_structure(
    parent: Structure, composition: Composition, elements: tuple[str, str], seed: int = 0
) -> Structure:
    """A cell of exactly this composition whose pair and triplet correlations are nearest to those of a random alloy.

    The annealing over occupations is icet's; the cell is the compact one of its size.

    Args:
        parent: the crystal whose sites are occupied; its own elements do not matter.
        composition: such as Si49Ge51; small ones are repeated to at least 64 atoms where that fits into 100.
        elements: the two elements.
        seed: of the annealing.

    Raises:
        InputError: the composition has other elements, or fractional amounts.
    """
    check_composition(composition, elements)
    amounts = np.array([composition[element] for element in elements])
    atoms = _quasirandom_size(int(amounts.sum()), len(parent))
    if not amounts.all():
        pure = elements[int(np.argmax(amounts))]
        return Structure(parent.lattice, [pure] * len(parent), parent.frac_coords)
    return _annealed(parent, elements, atoms // len(parent), float(amounts[1] / amounts.sum()), seed)


def check_composition(composition: Composition, elements: tuple[str, str]) -> None:
    """Raise InputError if this is not a whole number of atoms of the two elements and no others."""
    amounts = np.array([composition[element] for element in elements])
    if set(composition.as_dict()) - set(elements) or not amounts.any() or np.any(amounts != np.round(amounts)):
        raise InputError(
            f"--composition: {composition.formula} is not a whole number of {' and '.join(elements)} atoms; "
            f"write it as in {elements[0]}49{elements[1]}51"
        )


def _quasirandom_size(atoms: int, basis: int) -> int:
    """The least multiple of `atoms` that fills whole cells and has at least 64 atoms, if that is not above 100."""
    unit = int(np.lcm(atoms, basis))
    wanted, most = _QUASIRANDOM_SIZES
    enough = unit * -(-wanted // unit)
    return enough if enough <= most else unit


def _annealed(parent: Structure, elements: Sequence[str], cells: int, fraction: float, seed: int) -> Structure:
    import logging

    from ase.build import make_supercell
    from icet import ClusterSpace
    from icet.tools.structure_generation import generate_sqs_from_supercells
    from pymatgen.io.ase import AseAtomsAdaptor

    logging.getLogger("icet").setLevel(logging.ERROR)
    primitive = AseAtomsAdaptor.get_atoms(parent, msonable=False)
    supercell = make_supercell(primitive, _compact_cell(parent.lattice, cells))
    length = (8 * parent.volume / len(parent)) ** (1 / 3)
    space = ClusterSpace(primitive, [length * cutoff for cutoff in _CORRELATION_CUTOFFS], list(elements))
    target = dict(zip(elements, (1 - fraction, fraction), strict=True))
    atoms = generate_sqs_from_supercells(space, [supercell], target, n_steps=4000, random_seed=seed)
    return AseAtomsAdaptor.get_structure(atoms)


@lru_cache(maxsize=8)
def _compact_cell(lattice: Lattice, cells: int) -> np.ndarray:
    """The supercell of so many cells that is nearest to a primitive cell of the fcc lattice, an integer matrix."""
    from ase.build import find_optimal_cell_shape

    return find_optimal_cell_shape(lattice.matrix, cells, "fcc")
