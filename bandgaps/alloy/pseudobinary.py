"""A pseudobinary alloy A(1-x)B(x): two crystals of one structure that differ in the element on one sublattice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Lattice, Structure

from bandgaps import formulas
from bandgaps.alloy import lattice_constants, orderings, quasirandom
from bandgaps.errors import InputError
from bandgaps.formulas import System

RANDOM_SITES = 8  # of the sublattice in a random cell
LEAST_SHIFT = 1e-6  # of a fractional coordinate between the ends; what is less is rounding
FINEST = 10**9  # denominator of an x that is read from a formula


@dataclass(frozen=True)
class PseudobinaryAlloy:
    """The alloy of two end crystals, x being the fraction of the second.

    Attributes:
        first: the crystal at x = 0.
        second: the crystal at x = 1, its sites in the same order and near the same fractional coordinates.
        elements: the element on the sublattice at x = 0, which is on no other site, and the one at x = 1.
        names: formulas of the ends, such as GaAs and AlAs.
        bowing: b in l(x) = (1 - x) l0 + x l1 - b l0 x (1 - x), the lengths of the cell. 0 is Vegard's law.
    """

    first: Structure
    second: Structure
    elements: System
    names: System
    bowing: float = 0.0

    @classmethod
    def of_elements(cls, system: System) -> PseudobinaryAlloy:
        """The alloy of two elements on diamond sites.

        Lattice constants are measured ones where they are known, as of Si-Ge, and else follow Vegard's law.

        Raises:
            InputError: the lattice constant of an element is not known.
        """
        ends = lattice_constants.diamond(system, [0.0, 1.0])
        if np.isnan(ends).any():
            known = ", ".join(lattice_constants.diamonds())
            raise InputError(f"no diamond lattice constant known for {'-'.join(system)}; choose two of {known}")
        first, second = (diamond(element, float(end)) for element, end in zip(system, ends, strict=True))
        return cls(first, second, system, system, lattice_constants.bowing(system, "diamond") / float(ends[0]))

    @classmethod
    def between(cls, first: Structure, second: Structure, names: System | None = None) -> PseudobinaryAlloy:
        """The alloy of two crystals, each in any cell.

        Args:
            first: the crystal at x = 0.
            second: the crystal at x = 1.
            names: their formulas, reduced ones by default.

        Raises:
            InputError: a site is shared or has an oxidation state, the crystals do not differ in one element, or they
                have different structures; the message says how they differ.
        """
        names = names or (first.composition.reduced_formula, second.composition.reduced_formula)
        for crystal, name in zip((first, second), names, strict=True):
            if not crystal.is_ordered:
                raise InputError(f"{name}: has partial occupancies; an end has one element on each site")
        one, other = (_primitive(crystal) for crystal in (first, second))
        a, b = formulas.exchanged(names)
        replaced = one.copy()
        replaced.replace_species({a: b})
        matcher = StructureMatcher(primitive_cell=False, attempt_supercell=False)
        matched = matcher.get_s2_like_s1(replaced, other) if len(one) == len(other) else None
        if matched is None:
            own = [f"{name} {described(crystal)}" for name, crystal in zip(names, (one, other), strict=True)]
            raise InputError(f"the ends have different structures: {', '.join(own)}")
        return cls(one, matched, (a, b), names)

    @property
    def ends(self) -> tuple[Structure, Structure]:
        """The crystals at x = 0 and x = 1, their sites in the same order."""
        return self.first, self.second

    @property
    def label(self) -> str:
        """The formulas of the ends, such as Si-Ge or GaAs-AlAs."""
        return "-".join(self.names)

    @cached_property
    def sublattice(self) -> list[int]:
        """The sites of the first crystal on which the ends differ."""
        return orderings.sublattice(self.first, self.elements[0])

    def composition(self, x: float) -> Composition:
        """The composition of the first crystal's cell at x."""
        a, b = self.elements
        count = len(self.sublattice)
        return self.first.composition - Composition({a: count}) + Composition({a: (1 - x) * count, b: x * count})

    def formula(self, x: Fraction) -> str:
        """The formula of an alloy in whole atoms, such as SiGe3 or Ga3AlAs4; of an end, its name."""
        if x in (0, 1):
            return self.names[int(x)]
        first, second = (Composition(name) for name in self.names)
        mixed = first * (x.denominator - x.numerator) + second * x.numerator
        return "".join(f"{e}{amount:g}" if amount != 1 else str(e) for e, amount in mixed.items())

    def fraction(self, crystal: Structure) -> float:
        """The x of a crystal of this alloy."""
        first, second = (crystal.composition[element] for element in self.elements)
        return second / (first + second)

    def read(self, formula: str) -> Fraction:
        """The x of a formula of this alloy, such as Al0.3Ga0.7As.

        Raises:
            InputError: it cannot be read, is not of this alloy, or needs too large a quasirandom structure.
        """
        shown = formula[:80]
        how = f"write it as in {formulas.mixture(self.names, 1, 3)}"
        try:
            formulas.composition_key(formula)  # which knows how large a formula may be
            composition = Composition(formula)
        except (ValueError, ArithmeticError) as error:
            raise InputError(f"cannot read {shown!r} ({error}); {how}") from None
        of_end = Composition(self.names[0]).as_dict()
        own = of_end.pop(self.elements[0])
        first, second = (composition[element] for element in self.elements)
        sites = first + second
        wanted = {spectator: amount / own * sites for spectator, amount in of_end.items()}
        others = {str(element) for element in composition} - {*self.elements, *wanted}
        if others or not 0 < sites < math.inf or any(abs(composition[e] - n) > 1e-6 * n for e, n in wanted.items()):
            raise InputError(f"{shown!r} is not an alloy of {self.names[0]} and {self.names[1]}; {how}")
        x = Fraction(second / sites).limit_denominator(FINEST)
        least = quasirandom.cell_size(x, len(self.sublattice)) if first and second else 1
        if first and second and x in (0, 1):
            least = round(sites / min(first, second))
        if least > quasirandom.LARGEST:
            raise InputError(
                f"{shown!r}: needs a cell of {least:,} {' and '.join(self.elements)} atoms, and "
                f"{quasirandom.LARGEST:,} are the most that work; round the amounts"
            )
        return x

    def lattice(self, x: float) -> Lattice:
        """The cell of the first crystal's sites at x: lengths and angles by Vegard's law, lengths with `bowing`."""
        ends = np.array([crystal.lattice.parameters for crystal in self.ends])
        parameters = (1 - x) * ends[0] + x * ends[1]
        parameters[:3] -= self.bowing * x * (1 - x) * ends[0, :3]
        upright, at_x = (Lattice.from_parameters(*each).matrix for each in (ends[0], parameters))
        return Lattice(at_x @ np.linalg.solve(upright, self.first.lattice.matrix))

    def volume(self, x: float) -> float:
        """Volume at x of as many atoms as the first crystal has, Å³."""
        return float(self.lattice(x).volume)

    def scaled(self, crystal: Structure) -> Structure:
        """A crystal of this alloy with the cell and the free coordinates that belong to its x.

        Args:
            crystal: with the cell and the coordinates of the first, as orderings and quasirandom structures are made.
        """
        x = self.fraction(crystal)
        parent, own = self.first.lattice, self.lattice(x)
        lattice = Lattice(crystal.lattice.matrix @ np.linalg.solve(parent.matrix, own.matrix))
        places = crystal.frac_coords
        shifts = self._shifts
        if shifts.any():
            within = parent.get_fractional_coords(crystal.cart_coords)[:, None] - self.first.frac_coords
            sites = np.abs(within - np.round(within)).sum(axis=2).argmin(axis=1)
            places = places + lattice.get_fractional_coords(own.get_cartesian_coords(x * shifts[sites]))
        return Structure(lattice, [site.species for site in crystal], places)

    @cached_property
    def _shifts(self) -> np.ndarray:
        """How far the sites of the second crystal are from those of the first, fractional, shape (sites, 3)."""
        shifts = self.second.frac_coords - self.first.frac_coords
        shifts = shifts - np.round(shifts)
        shifts = shifts - shifts.mean(axis=0)  # the origin is free where the crystal is polar
        return np.where(np.abs(shifts) < LEAST_SHIFT, 0, shifts)

    def shared_site(self, x: float) -> Structure:
        """The virtual crystal: both elements on each site of the sublattice."""
        a, b = self.elements
        crystal = self.first.copy()
        crystal.replace_species({a: {element: part for element, part in ((a, 1 - x), (b, x)) if part > 0}})
        return self.scaled(crystal)

    def orderings(self, max_atoms: int) -> list[orderings.Ordering]:
        """Every symmetry-distinct ordering of the sublattice in cells of up to `max_atoms`, in the first's cell."""
        return orderings.orderings(self.first, self.elements, max_atoms)

    def quasirandom(self, x: Fraction, seed: int) -> Structure:
        """A special quasirandom structure of the sublattice at x, with the cell that belongs to it."""
        return self.scaled(quasirandom.special_quasirandom_structure(self.first, self.elements, x, seed))

    def random_cell(self, count: int, generator: np.random.Generator) -> Structure:
        """A cell with the second element on `count` of eight sites of the sublattice, drawn at random.

        The first crystal has one or two such sites.
        """
        crystal = self.first.copy()
        crystal.make_supercell([2, 2, RANDOM_SITES // 4 // len(self.sublattice)])
        for site in generator.permutation(orderings.sublattice(crystal, self.elements[0]))[:count]:
            crystal.replace(int(site), self.elements[1])
        return self.scaled(crystal)


def _primitive(crystal: Structure) -> Structure:
    """The primitive cell; the crystal itself where it is one."""
    bare = crystal.copy().remove_oxidation_states()
    smaller = bare.get_primitive_structure()
    return smaller if len(smaller) < len(bare) else bare


def described(crystal: Structure) -> str:
    """Space group and number of atoms of a crystal in its primitive cell, such as P6_3mc with 4 atoms a cell."""
    return f"{crystal.get_space_group_info()[0]} with {len(crystal)} atoms a cell"


def diamond(element: str, lattice_constant: float) -> Structure:
    """The two-atom diamond crystal of `element`, cubic lattice constant in Å."""
    lattice = Lattice(lattice_constant / 2 * (1 - np.eye(3)))
    return Structure(lattice, [element] * 2, np.array([[0, 0, 0], [0.25, 0.25, 0.25]]))
