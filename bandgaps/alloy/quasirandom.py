"""Special quasirandom structures: cells whose correlations are nearest to those of a random alloy.

Zunger et al., Phys. Rev. Lett. 65, 353.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np
from pymatgen.core import Lattice, Structure

from bandgaps.alloy.orderings import sublattice
from bandgaps.formulas import System

SIZES = (64, 100)  # sites of the sublattice; wanted at least, and at most where the composition allows it
STEPS = 4000  # of the annealing
LARGEST = 1000  # sites of the sublattice; such a cell takes half a minute
_CORRELATION_CUTOFFS = (1.3, 0.9)  # of pairs and triplets, in units of the conventional lattice constant


def special_quasirandom_structure(parent: Structure, elements: System, x: Fraction, seed: int = 0) -> Structure:
    """A cell of exactly this composition whose pair and triplet correlations are nearest to those of a random alloy.

    The annealing over occupations is icet's; the cell is the compact one of its size.

    Args:
        parent: the crystal; its sites of the first element are occupied by both.
        elements: the two elements.
        x: fraction of the second.
        seed: of the annealing.
    """
    sites = len(sublattice(parent, elements[0]))
    if x in (0, 1):
        pure = parent.copy()
        pure.replace_species({elements[0]: elements[int(x)]})
        return pure
    return _annealed(parent, elements, cell_size(x, sites) // sites, float(x), seed)


def cell_size(x: Fraction, basis: int) -> int:
    """Sites of the sublattice in a quasirandom structure: whole cells, at least 64 sites if 100 are enough for that.

    Args:
        x: fraction of the second element.
        basis: sites of the sublattice in the parent's cell.
    """
    unit = math.lcm(x.denominator, basis)
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
    atoms = generate_sqs_from_supercells(space, [supercell], target, n_steps=STEPS, random_seed=seed)
    return AseAtomsAdaptor.get_structure(atoms)


@lru_cache(maxsize=8)
def _compact_cell(lattice: Lattice, cells: int) -> np.ndarray:
    """The supercell of so many cells that is nearest to a primitive cell of the fcc lattice, an integer matrix."""
    from ase.build import find_optimal_cell_shape

    return find_optimal_cell_shape(lattice.matrix, cells, "fcc")
