"""Special quasirandom structures: cells whose correlations are nearest to those of a random alloy.

Zunger et al., Phys. Rev. Lett. 65, 353.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from pymatgen.core import Composition, Lattice, Structure

from bandgaps.alloy.orderings import sublattice
from bandgaps.errors import InputError
from bandgaps.formulas import System

SIZES = (64, 100)  # sites of the sublattice; wanted at least, and at most where the composition allows it
LARGEST = 1000  # sites of the sublattice; such a cell takes half a minute
_CORRELATION_CUTOFFS = (1.3, 0.9)  # of pairs and triplets, in units of the conventional lattice constant


def special_quasirandom_structure(
    parent: Structure, composition: Composition, elements: System, seed: int = 0
) -> Structure:
    """A cell of exactly this composition whose pair and triplet correlations are nearest to those of a random alloy.

    The annealing over occupations is icet's; the cell is the compact one of its size.

    Args:
        parent: the crystal; its sites of the first element are occupied by both.
        composition: of these sites, such as Si49Ge51; small ones are repeated to at least 64 where that fits into 100.
        elements: the two elements.
        seed: of the annealing.

    Raises:
        InputError: as `check_composition`.
    """
    sites = sublattice(parent, elements[0])
    check_composition(composition, elements, len(sites))
    amounts = [int(composition[element]) for element in elements]
    if not all(amounts):
        pure = parent.copy()
        pure.replace_species({elements[0]: elements[int(np.argmax(amounts))]})
        return pure
    cells = _size(sum(amounts), len(sites)) // len(sites)
    return _annealed(parent, elements, cells, amounts[1] / sum(amounts), seed)


def read_composition(text: str, elements: System, sites: int) -> Composition:
    """Read the composition of a sublattice, such as Si49Ge51, in whole atoms.

    Raises:
        InputError: it cannot be read, or as `check_composition`.
    """
    try:
        composition = Composition(text)
    except ValueError as error:
        raise InputError(f"cannot read {text[:80]!r} ({error}); write it as in Si49Ge51") from None
    check_composition(composition, elements, sites)
    return composition


def check_composition(composition: Composition, elements: System, sites: int) -> None:
    """Raise InputError unless a cell can hold the composition: a whole number of atoms of the two elements, not many.

    Args:
        composition: of the sublattice.
        elements: the two elements.
        sites: on the sublattice of the parent's cell.
    """
    amounts = [composition[element] for element in elements]
    if set(composition.as_dict()) - set(elements) or not any(amounts) or any(n != round(n) for n in amounts):
        raise InputError(
            f"{composition.formula or 'no atoms'}: not a whole number of {' and '.join(elements)} atoms; "
            f"write it as in {elements[0]}49{elements[1]}51"
        )
    size = _size(int(sum(amounts)), sites)
    if size > LARGEST and all(amounts):
        raise InputError(
            f"{composition.formula}: needs a cell of {size:,} {' and '.join(elements)} atoms, and {LARGEST:,} are the "
            "most that work; round the amounts"
        )


def _size(atoms: int, basis: int) -> int:
    """The least multiple of `atoms` that fills whole cells and has at least 64 atoms, if that is not above 100."""
    unit = math.lcm(atoms, basis)
    wanted, most = SIZES
    enough = unit * -(-wanted // unit)
    return enough if enough <= most else unit


def _annealed(parent: Structure, elements: System, cells: int, fraction: float, seed: int) -> Structure:
    import logging

    from ase.build import make_supercell
    from icet.tools.structure_generation import generate_sqs_from_supercells
    from pymatgen.io.ase import AseAtomsAdaptor

    from bandgaps.alloy.cluster_space import OneCellSpace

    logging.getLogger("icet").setLevel(logging.ERROR)
    primitive = AseAtomsAdaptor.get_atoms(parent, msonable=False)
    supercell = make_supercell(primitive, _compact_cell(parent.lattice, cells))
    allowed = [list(elements) if site.specie.symbol == elements[0] else [site.specie.symbol] for site in parent]
    length = (8 * parent.volume / len(parent)) ** (1 / 3)
    space = OneCellSpace(primitive, [length * cutoff for cutoff in _CORRELATION_CUTOFFS], allowed)
    target = dict(zip(elements, (1 - fraction, fraction), strict=True))
    atoms = generate_sqs_from_supercells(space, [supercell], target, n_steps=4000, random_seed=seed)
    return AseAtomsAdaptor.get_structure(atoms)


@lru_cache(maxsize=8)
def _compact_cell(lattice: Lattice, cells: int) -> np.ndarray:
    """The supercell of so many cells that is nearest to a primitive cell of the fcc lattice, an integer matrix."""
    from ase.build import find_optimal_cell_shape

    return find_optimal_cell_shape(lattice.matrix, cells, "fcc")
