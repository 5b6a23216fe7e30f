from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from spellings import polymorphs

from bandgaps.errors import InputError
from bandgaps.table import columns


def test_rows_without_target_are_counted_and_named(table: pd.DataFrame) -> None:
    assert columns.target_values(table, "band_gap", "t").tolist() == [0.61, 0.0, 1.4, 11.0]
    with pytest.raises(InputError, match="2 of 4 rows have no number in column band_gap_hse, first row 1"):
        columns.target_values(table, "band_gap_hse", "t")
    with pytest.raises(InputError, match="no column density"):
        columns.target_values(table, "density", "t")


def test_metals_are_rows_without_gap_whatever_the_target(table: pd.DataFrame) -> None:
    assert columns.is_metal(table).tolist() == [False, True, False, False]
    assert columns.is_metal(table, "energy_per_atom").tolist() == [False, True, False, False]


@given(polymorphs())
def test_the_lowest_polymorph_represents_its_composition(table: pd.DataFrame) -> None:
    chosen = table[columns.represents_composition(table)]
    assert chosen["composition"].is_unique and set(chosen["composition"]) == set(table["composition"])
    for row, (composition, _, energy, _) in chosen.iterrows():
        others = table[table["composition"] == composition]
        known = others["energy_per_atom"].astype(float).dropna()
        assert energy == known.min() if len(known) else row == others.index[0]
    without = table.drop(columns="energy_per_atom")
    assert (columns.represents_composition(without) == ~without["composition"].duplicated()).all()


def test_the_energy_above_the_hull_is_asked_first() -> None:
    table = pd.DataFrame(
        {"formula": ["Si", "Si2"], "formation_energy_per_atom": [-2.0, -1.0], "energy_above_hull": [0.2, 0.1]}
    )
    assert columns.energy_column(table) == "energy_above_hull"
    assert columns.represents_composition(table).tolist() == [False, True]
    assert columns.represents_composition(table.assign(energy_above_hull=np.nan)).tolist() == [True, False]
    assert columns.energy_column(table[["formula"]]) is None


@given(polymorphs())
def test_keys_tell_compositions_apart_and_spellings_not(table: pd.DataFrame) -> None:
    pairs = set(zip(table["composition"], columns.keys(table), strict=True))
    assert len(pairs) == table["composition"].nunique() == columns.keys(table).nunique()


@pytest.mark.parametrize("formula", ["Xx", "", None, 7.0, ["Si"]])
def test_a_formula_that_cannot_be_read_names_its_row(formula: object) -> None:
    table = pd.DataFrame({"formula": ["Si", formula]})
    with pytest.raises(InputError, match=r"t\.json: row 1: formula .*correct or remove the row"):
        columns.keys(table, "t.json")
    with pytest.raises(InputError, match="row 1: formula"):
        columns.represents_composition(table)


def test_rows_without_target_may_be_dropped(table: pd.DataFrame) -> None:
    with pytest.raises(columns.MissingNumbersError, match=r"first row 1 \(Si: nan\); drop such rows from the table"):
        columns.target_values(table, "band_gap_hse", "t")


def test_rows_are_counted_by_part_metal_and_fidelity(table: pd.DataFrame) -> None:
    parts = ["train", "test", "calibration", "train"]
    assert columns.counts(table.assign(split=parts), "band_gap") == {
        "train": 2,
        "validation": 0,
        "calibration": 1,
        "test": 1,
        "metals": 1,
        "non-metals": 3,
        "with band_gap_hse": 2,
    }
