"""Measured gaps of alloys A(1-x)B(x)C, and the crystals that go with them.

Lists of measured gaps name alloys by formula only. Where both ends AC and BC are in a table, with one structure, the
alloy has that structure too: at the volume between theirs (Zen's law), A and B sharing a site.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Structure

from bandgaps.errors import InputError
from bandgaps.levels import EXPERIMENT
from bandgaps.table.account import Step
from bandgaps.table.columns import ALLOY_ID, energy_column
from bandgaps.table.measured_gaps import together
from bandgaps.table.sources import Filters, Source

SITES = 8  # of A and B in an ordered cell
DILUTE = 0.05  # what has less of an element says nothing about mixtures
LARGEST = 4  # atoms in the cell of an end: zincblende, rock salt, wurtzite
Polymorph = tuple[Structure, float]  # energy in eV/atom


@dataclass(frozen=True)
class MeasuredAlloy:
    """An alloy A(1-x)B(x)C.

    Attributes:
        formula: as the list has it.
        a: element of the first end.
        b: element of the second.
        x: share of b.
        ends: formulas of AC and BC.
        parent: the crystal of AC at the alloy's volume.
        volumes: of AC and of BC, with as many atoms as the parent, Å³.
        gap: measured, eV.
        energy: on the straight line between those of the ends, eV/atom.
    """

    formula: str
    a: str
    b: str
    x: float
    ends: tuple[str, str]
    parent: Structure
    volumes: tuple[float, float]
    gap: float
    energy: float

    @property
    def system(self) -> str:
        """Its elements, such as Al-As-Ga."""
        return "-".join(sorted(element.symbol for element in Composition(self.formula)))

    def shared_site(self) -> Structure:
        """A and B on every site of A."""
        crystal = self.parent.copy()
        crystal.replace_species({self.a: {self.a: 1 - self.x, self.b: self.x}})
        return crystal

    def end(self, number: int) -> Structure:
        """The crystal of AC (0) or BC (1) that belongs to the alloy's, at its own volume."""
        crystal = self.parent.copy()
        crystal.replace_species({self.a: (self.a, self.b)[number]})
        return crystal.scale_lattice(self.volumes[number])

    def ordered(self, count: int, generator: np.random.Generator) -> Structure:
        """B on so many sites, chosen at random, of the eight that a supercell has."""
        crystal = self.parent.copy()
        crystal.make_supercell([2, 2, 2 * 2 // len(crystal)])
        sites = [k for k, site in enumerate(crystal) if site.specie.symbol == self.a]
        for k in generator.permutation(sites)[:count]:
            crystal.replace(int(k), self.b)
        return crystal


def find(table: pd.DataFrame, formulas: pd.Series, gaps: pd.Series) -> Iterator[MeasuredAlloy]:
    """The alloys in a list of measured gaps whose ends are in a table with one structure.

    Args:
        table: with the columns formula and structure and an energy, all polymorphs of each formula.
        formulas: of the list.
        gaps: of the list, eV.

    Raises:
        InputError: the table has no structures or no energies.
    """
    energy_name = _energy_name(table)
    polymorphs = {
        formula: list(rows[["structure", energy_name]].itertuples(index=False))
        for formula, rows in table.groupby("formula")
    }
    for formula, gap in zip(formulas, gaps, strict=True):
        composition = Composition(formula).fractional_composition
        for c in composition if len(composition) == 3 and gap > 0 else ():
            a, b = sorted((element for element in composition if element != c), key=str)
            x = composition[b] / (composition[a] + composition[b])
            ends = (Composition({a: 1, c: 1}).reduced_formula, Composition({b: 1, c: 1}).reduced_formula)
            if abs(composition[c] - 0.5) > 1e-3 or not DILUTE <= x <= 1 - DILUTE or not polymorphs.keys() >= set(ends):
                continue
            found = _parent(polymorphs[ends[0]], polymorphs[ends[1]], a.symbol, b.symbol, x)
            if found:
                parent, volumes, energy = found
                yield MeasuredAlloy(formula, a.symbol, b.symbol, x, ends, parent, volumes, float(gap), energy)


def _energy_name(table: pd.DataFrame) -> str:
    """The column of energies in a table that also has structures."""
    name = energy_column(table)
    if name is None or "structure" not in table:
        raise InputError("--alloys: needs structures and energies to know the crystals of alloys by; leave it out")
    return name


def _parent(
    first: Iterable[Polymorph], second: Iterable[Polymorph], a: str, b: str, x: float
) -> tuple[Structure, tuple[float, float], float] | None:
    """The crystal of AC at the alloy's volume, of the polymorphs of least energy that differ in A and B only.

    With it, the volumes of the two (Å³), and the energy on the line between theirs, eV/atom. None where no polymorph of
    one is one of the other.
    """
    matcher = StructureMatcher(attempt_supercell=False)
    for (one, low), (other, high) in sorted(product(first, second), key=lambda pair: pair[0][1] + pair[1][1]):
        one, other = one.get_primitive_structure(), other.get_primitive_structure()
        replaced = one.copy()
        replaced.replace_species({a: b})
        if len(one) <= LARGEST and len(one) == len(other) and matcher.fit(replaced, other):
            alloy = one.copy().scale_lattice((1 - x) * one.volume + x * other.volume)
            return alloy, (one.volume, other.volume), (1 - x) * low + x * high
    return None


def rows(table: pd.DataFrame, formulas: pd.Series, gaps: pd.Series) -> pd.DataFrame:
    """The alloys both of whose ends a table has for training, as further rows of it.

    The others are left for judging what a model makes of alloys that it has never seen.

    Args:
        table: as for `find`, with the column split.
        formulas: of the list.
        gaps: of the list, eV.
    """
    learnt = set(table["formula"][table["split"] == "train"])
    found = [alloy for alloy in find(table, formulas, gaps) if learnt >= set(alloy.ends)]
    return pd.DataFrame(
        {
            "material_id": [f"{ALLOY_ID}{number}" for number in range(len(found))],
            "formula": [alloy.formula for alloy in found],
            "structure": [alloy.shared_site() for alloy in found],
            _energy_name(table): [alloy.energy for alloy in found],
            EXPERIMENT: [alloy.gap for alloy in found],
            "split": "train",
        }
    )


def with_measured_alloys(
    table: pd.DataFrame, measured: Collection[Source], filters: Filters
) -> tuple[pd.DataFrame, Step]:
    """Add the alloys in lists of measured gaps that `rows` finds, but none that is to be left out."""
    formulas, gaps = together(measured, filters)
    alloys = rows(table, formulas, gaps)
    table = pd.concat([table, alloys], ignore_index=True)
    return table, Step("with measured alloys", len(table))
