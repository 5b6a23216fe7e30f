"""Alloys A(1-x)B(x)C whose gap was measured, and the crystals that go with them.

Lists of measured gaps name alloys by formula only. Where both ends AC and BC are in a table, with one structure, the
alloy has that structure too, in a cell between theirs (Vegard's law).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import product

import pandas as pd
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Structure

from bandgaps.alloy.pseudobinary import PseudobinaryAlloy
from bandgaps.errors import InputError
from bandgaps.formulas import System, reduced_formula
from bandgaps.levels import EXPERIMENT
from bandgaps.table.account import Step
from bandgaps.table.columns import ALLOY_ID, energy_column
from bandgaps.table.measured_gaps import together
from bandgaps.table.sources import Filters, Source

DILUTE = 0.05  # what has less of an element says nothing about mixtures
LARGEST = 4  # atoms in the cell of an end: zincblende, rock salt, wurtzite
Polymorphs = dict[str, list[tuple[Structure, float]]]  # of each formula: crystal, energy in eV/atom


@dataclass(frozen=True)
class KnownGap:
    """The gap of an alloy at one composition.

    Attributes:
        alloy: with its ends.
        x: fraction of the second end.
        formula: as its list has it.
        gap: eV.
        energy: on the straight line between those of the ends, eV/atom.
    """

    alloy: PseudobinaryAlloy
    x: float
    formula: str
    gap: float
    energy: float


def find(table: pd.DataFrame, formulas: pd.Series, gaps: pd.Series) -> Iterator[KnownGap]:
    """The alloys in a list of measured gaps whose ends are in a table with one structure.

    Args:
        table: with the columns formula and structure and an energy, all polymorphs of each formula.
        formulas: of the list.
        gaps: of the list, eV.

    Raises:
        InputError: the table has no structures or no energies.
    """
    crystals = polymorphs(table)
    for formula, gap in zip(formulas, gaps, strict=True):
        composition = Composition(formula).fractional_composition
        for c in composition if len(composition) == 3 and gap > 0 else ():
            a, b = sorted((element for element in composition if element != c), key=str)
            x = composition[b] / (composition[a] + composition[b])
            if abs(composition[c] - 0.5) > 1e-3 or not DILUTE <= x <= 1 - DILUTE:
                continue
            if found := between(crystals, f"{a}{c}", f"{b}{c}"):
                alloy, (low, high) = found
                yield KnownGap(alloy, x, formula, float(gap), (1 - x) * low + x * high)


def polymorphs(table: pd.DataFrame) -> Polymorphs:
    """The crystals of each formula of a table.

    Raises:
        InputError: the table has no structures or no energies.
    """
    rows = table[["formula", "structure", _energy_name(table)]].itertuples(index=False)
    found: Polymorphs = {}
    for formula, structure, energy in rows:
        found.setdefault(formula, []).append((structure, energy))
    return found


def _energy_name(table: pd.DataFrame) -> str:
    """The column of energies in a table that also has structures."""
    name = energy_column(table)
    if name is None or "structure" not in table:
        raise InputError(
            "measured alloys: the table has no structures or no energies to know their crystals by; leave them out"
        )
    return name


def between(crystals: Polymorphs, first: str, second: str) -> tuple[PseudobinaryAlloy, tuple[float, float]] | None:
    """The alloy of two compounds, of their polymorphs of least energy that have one structure.

    Args:
        crystals: as `polymorphs` finds them.
        first: formula of the end at x = 0.
        second: formula of the other, from which it differs in one element.

    Returns:
        The alloy and the energies of its ends, eV/atom; None where no polymorph of one has the structure of one of the
        other.
    """
    a, b = _replaced(first, second)
    matcher = StructureMatcher(attempt_supercell=False)
    pairs = product(*(crystals.get(reduced_formula(formula), []) for formula in (first, second)))
    for (one, low), (other, high) in sorted(pairs, key=lambda pair: pair[0][1] + pair[1][1]):
        one, other = one.get_primitive_structure(), other.get_primitive_structure()
        replaced = one.copy()
        replaced.replace_species({a: b})
        if len(one) <= LARGEST and len(one) == len(other) and matcher.fit(replaced, other):
            return PseudobinaryAlloy.between(one, other), (low, high)
    return None


def _replaced(first: str, second: str) -> System:
    """The element that only the first formula has, and the one that only the second has."""
    one, other = (set(Composition(formula).as_dict()) for formula in (first, second))
    (a,), (b,) = one - other, other - one
    return a, b


def rows(table: pd.DataFrame, formulas: pd.Series, gaps: pd.Series) -> pd.DataFrame:
    """The alloys both of whose ends a table has for training, as further rows of it.

    The others are left for judging what a model makes of alloys that it has never seen.

    Args:
        table: as for `find`, with the column split.
        formulas: of the list.
        gaps: of the list, eV.
    """
    learnt = set(table["formula"][table["split"] == "train"])
    found = [known for known in find(table, formulas, gaps) if learnt >= set(known.alloy.names)]
    return pd.DataFrame(
        {
            "material_id": [f"{ALLOY_ID}{number}" for number in range(len(found))],
            "formula": [known.formula for known in found],
            "structure": [known.alloy.shared_site(known.x) for known in found],
            _energy_name(table): [known.energy for known in found],
            EXPERIMENT: [known.gap for known in found],
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
