from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from helpers import SAMPLE
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Structure

from bandgaps.alloy import known_alloys
from bandgaps.alloy.known_alloys import KnownGap
from bandgaps.errors import InputError
from bandgaps.table import storage

# GaAs, InAs and AlAs are zincblende in the sample; NaCl is rock salt
MEASURED = {"Ga0.4In0.6As": 0.7, "Al2GaAs3": 2.2, "Ga0.98In0.02As": 1.4, "Ga0.5Na0.5As": 1.0, "GaAs": 1.5}


@cache
def table() -> pd.DataFrame:
    rows = storage.read(SAMPLE)
    return rows[rows["formula"].isin(["GaAs", "InAs", "AlAs", "NaCl"])].assign(split="train")


@cache
def found() -> list[KnownGap]:
    formulas = pd.Series(list(MEASURED))
    return list(known_alloys.find(table(), formulas, pd.Series(list(MEASURED.values()))))


def crystal(formula: str) -> Structure:
    rows = table()[table()["formula"] == formula]
    return rows.loc[rows["energy_per_atom"].idxmin(), "structure"]


def test_alloys_whose_ends_are_in_the_table_are_found_and_no_others() -> None:
    assert [(known.formula, known.gap) for known in found()] == [("Ga0.4In0.6As", 0.7), ("Al2GaAs3", 2.2)]
    first, second = found()
    assert (first.alloy.names, first.alloy.elements) == (("GaAs", "InAs"), ("Ga", "In"))
    assert (first.x, second.x) == pytest.approx((0.6, 1 / 3))


def test_an_alloy_lies_between_its_ends() -> None:
    for known in found():
        one, other = map(crystal, known.alloy.names)
        expected = (1 - known.x) * one.lattice.a + known.x * other.lattice.a
        assert known.alloy.shared_site(known.x).lattice.a == pytest.approx(expected, rel=1e-6)
        energies = [table().set_index("formula").loc[[end], "energy_per_atom"].min() for end in known.alloy.names]
        assert min(energies) < known.energy < max(energies)


def test_the_ends_of_an_alloy_are_those_crystals() -> None:
    for known in found():
        for end, name in zip(known.alloy.ends, known.alloy.names, strict=True):
            assert end.composition.reduced_formula == name
            assert StructureMatcher(scale=False).fit(end, crystal(name))


def test_both_elements_share_the_site() -> None:
    for known in found():
        shared = known.alloy.shared_site(known.x)
        expected = Composition(known.formula).fractional_composition
        assert shared.composition.fractional_composition.almost_equals(expected)
        assert {dict(site.species.as_dict())["As"] for site in shared if "As" in site.species} == {1.0}


def test_only_alloys_of_training_rows_join_the_table() -> None:
    formulas, gaps = pd.Series(list(MEASURED)), pd.Series(list(MEASURED.values()))
    rows = known_alloys.rows(table(), formulas, gaps)
    assert rows["formula"].tolist() == ["Ga0.4In0.6As", "Al2GaAs3"]
    assert rows["band_gap_experiment"].tolist() == [0.7, 2.2] and set(rows["split"]) == {"train"}
    assert not any(structure.is_ordered for structure in rows["structure"])
    held_out = table().assign(split=np.where(table()["formula"] == "InAs", "test", "train"))
    assert known_alloys.rows(held_out, formulas, gaps)["formula"].tolist() == ["Al2GaAs3"]
    assert known_alloys.rows(table().assign(split="test"), formulas, gaps).empty


def test_what_has_no_structures_is_refused() -> None:
    with pytest.raises(InputError, match="measured alloys: the table has no structures or no energies"):
        known_alloys.rows(table().drop(columns="structure"), pd.Series(["Ga0.4In0.6As"]), pd.Series([0.7]))
