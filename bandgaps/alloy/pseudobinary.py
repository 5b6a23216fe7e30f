"""The crystals of an alloy on diamond sites."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Lattice, Structure


def diamond(element: str, lattice_constant: float) -> Structure:
    """The two-atom diamond crystal of `element`, cubic lattice constant in Å."""
    lattice = Lattice(lattice_constant / 2 * (1 - np.eye(3)))
    return Structure(lattice, [element] * 2, np.array([[0, 0, 0], [0.25, 0.25, 0.25]]))


def scaled(structure: Structure, lattice_constant: float) -> Structure:
    """The same orderings of diamond sites at another cubic lattice constant (Å), eight atoms a cubic cell."""
    return structure.copy().scale_lattice(lattice_constant**3 / 8 * len(structure))


def shared_site(parent: Structure, elements: tuple[str, str], fraction: float) -> Structure:
    """The parent with both elements on every site, `fraction` of the second."""
    parts = {element: part for element, part in zip(elements, (1 - fraction, fraction), strict=True) if part > 0}
    return Structure(parent.lattice, [parts] * len(parent), parent.frac_coords)
