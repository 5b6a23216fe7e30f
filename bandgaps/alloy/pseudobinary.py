"""A pseudobinary alloy A(1-x)B(x): two crystals of one structure that differ in the element on one sublattice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from pymatgen.core import Composition, Lattice, Structure

from bandgaps.alloy import measured_curves, orderings
from bandgaps.errors import InputError
from bandgaps.formulas import System

RANDOM_SITES = 8  # of the sublattice in a random cell


@dataclass(frozen=True)
class PseudobinaryAlloy:
    """The alloy of two end crystals, x being the fraction of the second.

    Attributes:
        first: the crystal at x = 0.
        elements: the element on the sublattice at x = 0, which is on no other site, and the one at x = 1.
        second_volume: volume of the crystal at x = 1, Å³, with as many atoms.
        lattice_constant: takes x, shape (n,), to the cubic lattice constant, Å. None: volumes follow Zen's law, which
            is linear in x.
    """

    first: Structure
    elements: System
    second_volume: float
    lattice_constant: Callable[[np.ndarray], np.ndarray] | None = None

    @classmethod
    def of_elements(cls, system: System) -> PseudobinaryAlloy:
        """The alloy of two elements on diamond sites.

        Lattice constants are measured ones where they are known, as of Si-Ge, and else follow Vegard's law.

        Raises:
            InputError: the lattice constant of an element is not known.
        """

        def constant(x: np.ndarray) -> np.ndarray:
            return measured_curves.lattice_constant(system, x)

        ends = constant(np.array([0.0, 1.0]))
        if np.isnan(ends).any():
            known = ", ".join(measured_curves.DIAMOND)
            raise InputError(f"no diamond lattice constant known for {'-'.join(system)}; choose two of {known}")
        return cls(diamond(system[0], float(ends[0])), system, float(ends[1]) ** 3 / 4, constant)

    @property
    def ends(self) -> tuple[Structure, Structure]:
        """The crystals at x = 0 and x = 1, their sites in the same order."""
        second = self.first.copy()
        second.replace_species({self.elements[0]: self.elements[1]})
        return self.first, second.scale_lattice(self.second_volume)

    @cached_property
    def names(self) -> tuple[str, str]:
        """Formulas of the ends, such as GaAs and AlAs."""
        a, b = self.elements
        composition = self.first.composition
        return composition.reduced_formula, composition.replace({a: b}).reduced_formula

    @property
    def label(self) -> str:
        """Such as Si-Ge or GaAs-AlAs."""
        return "-".join(self.names)

    @cached_property
    def sublattice(self) -> list[int]:
        """The sites of the first crystal on which the ends differ."""
        return orderings.sublattice(self.first, self.elements[0])

    def composition(self, x: float) -> Composition:
        """What the first crystal's cell holds at x."""
        a, b = self.elements
        count = len(self.sublattice)
        return self.first.composition - Composition({a: count}) + Composition({a: (1 - x) * count, b: x * count})

    def fraction(self, crystal: Structure) -> float:
        """The x of a crystal of this alloy."""
        first, second = (crystal.composition[element] for element in self.elements)
        return second / (first + second)

    def volume(self, x: ArrayLike) -> np.ndarray:
        """Volume at x of as many atoms as the first crystal has, Å³, shape of x."""
        x = np.asarray(x, dtype=float)
        if self.lattice_constant is None:
            return (1 - x) * self.first.volume + x * self.second_volume
        return self.first.volume * (self.lattice_constant(x) / self.lattice_constant(np.zeros_like(x))) ** 3

    def scaled(self, crystal: Structure) -> Structure:
        """A crystal of this alloy at the volume that belongs to its x."""
        cells = len(crystal) / len(self.first)
        return crystal.copy().scale_lattice(cells * float(self.volume(self.fraction(crystal))))

    def shared_site(self, x: float) -> Structure:
        """The virtual crystal: both elements on each site of the sublattice."""
        a, b = self.elements
        crystal = self.first.copy()
        crystal.replace_species({a: {element: part for element, part in ((a, 1 - x), (b, x)) if part > 0}})
        return self.scaled(crystal)

    def orderings(self, max_atoms: int) -> list[orderings.Ordering]:
        """Every symmetry-distinct ordering of the sublattice in cells of up to `max_atoms`, at the first volume."""
        return orderings.orderings(self.first, self.elements, max_atoms)

    def random_cell(self, count: int, generator: np.random.Generator) -> Structure:
        """A cell with the second element on `count` of eight sites of the sublattice, drawn at random.

        The first crystal has one or two such sites.
        """
        crystal = self.first.copy()
        crystal.make_supercell([2, 2, RANDOM_SITES // 4 // len(self.sublattice)])
        for site in generator.permutation(orderings.sublattice(crystal, self.elements[0]))[:count]:
            crystal.replace(int(site), self.elements[1])
        return self.scaled(crystal)


def diamond(element: str, lattice_constant: float) -> Structure:
    """The two-atom diamond crystal of `element`, cubic lattice constant in Å."""
    lattice = Lattice(lattice_constant / 2 * (1 - np.eye(3)))
    return Structure(lattice, [element] * 2, np.array([[0, 0, 0], [0.25, 0.25, 0.25]]))
