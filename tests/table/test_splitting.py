from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from spellings import polymorphs

from bandgaps.table import columns, splitting

SEEDS = st.integers(0, 2**32 - 1)


@given(polymorphs(), SEEDS)
def test_no_two_spellings_of_a_composition_are_separated(table: pd.DataFrame, seed: int) -> None:
    metal = table["metal"].to_numpy()
    table["split"] = splitting.split_compositions(table, metal, seed, ["As2Ga2"])
    assert not table.drop_duplicates(["composition", "split"])["composition"].duplicated().any()
    assert set(table["split"][table["composition"] == "GaAs"]) <= {"train"}
    one = columns.represents_composition(table)
    expected = splitting.split(metal[one], seed, (table["composition"] == "GaAs").to_numpy()[one])
    assert table["split"][one].tolist() == expected.tolist()


@given(st.permutations(["Al0.5Ga0.5N1", "AlGaN2", "Si2Ge2", "SiGe", *(f"Li{n}O" for n in range(1, 30))]), SEEDS)
def test_fractional_and_multiple_formulas_go_with_the_reduced_one(formulas: list[str], seed: int) -> None:
    table = pd.DataFrame({"formula": formulas})
    part = dict(zip(formulas, splitting.split_compositions(table, np.zeros(33, dtype=bool), seed), strict=True))
    assert part["Al0.5Ga0.5N1"] == part["AlGaN2"] and part["Si2Ge2"] == part["SiGe"]
    assert list(part.values()).count("test") in (6, 7, 8)  # a fifth of 31, of which two are there twice


@given(st.lists(st.booleans(), min_size=1, max_size=99), SEEDS)
def test_where_compositions_are_unique_they_are_split_as_rows(metals: list[bool], seed: int) -> None:
    metal = np.array(metals)
    table = pd.DataFrame({"formula": [f"Si{n + 1}Ge" for n in range(len(metal))], "energy_per_atom": -metal.cumsum()})
    expected = splitting.split(metal, seed, np.arange(len(metal)) == 3)
    assert (splitting.split_compositions(table, metal, seed, ["Si4Ge"]) == expected).all()


@given(st.lists(st.booleans(), min_size=30, max_size=400), SEEDS)
def test_metals_and_others_are_split_in_the_same_proportions(metals: list[bool], seed: int) -> None:
    metal = np.array(metals)
    parts = splitting.split(metal, seed)
    assert set(parts) <= set(columns.PARTS)
    for stratum in (metal, ~metal):
        rows = stratum.sum()
        found = {part: (parts[stratum] == part).sum() for part in columns.PARTS}
        assert abs(found["test"] - 0.2 * rows) <= 0.5
        for part in ("validation", "calibration"):
            assert abs(found[part] - 0.1 * (rows - found["test"])) <= 0.5
        assert sum(found.values()) == rows
    assert (parts == splitting.split(metal, seed)).all()


@given(SEEDS)
def test_calibration_rows_are_drawn_anew_with_each_seed(seed: int) -> None:
    metal = np.zeros(1000, dtype=bool)
    one, other = splitting.split(metal, seed), splitting.split(metal, (seed + 1) % 2**32)
    for part in ("test", "validation", "calibration"):
        assert 0 < ((one == part) & (other == part)).sum() < 0.5 * (one == part).sum()


def test_a_table_keeps_the_split_it_has() -> None:
    table = pd.DataFrame({"formula": ["Si", "Ge"], "band_gap": [1.1, 0.0], "split": ["test", "calibration"]})
    assert splitting.with_split(table, "band_gap") is table


def test_a_table_without_split_gets_that_of_seed_0() -> None:
    names = [f"Li{n}O{m}" for n in range(1, 9) for m in range(1, 9)]
    gaps = [(n % 3) / 2 for n in range(64)]
    table = pd.DataFrame({"formula": names, "band_gap_hse": gaps, "density": 1.0, "energy_per_atom": 0.0})
    found = splitting.with_split(table, "band_gap_hse")
    expected = splitting.split_compositions(table, np.array(gaps) == 0, seed=0)
    assert found["split"].tolist() == expected.tolist() and set(expected) == set(columns.PARTS)
    assert found.drop(columns="split").equals(table) and "split" not in table


def test_another_seed_is_another_split() -> None:
    metal = np.zeros(100, dtype=bool)
    assert (splitting.split(metal, 0) != splitting.split(metal, 1)).any()


@given(st.integers(0, 2**32))
def test_pinned_rows_are_for_training(seed: int) -> None:
    metal = np.arange(50) < 20
    pinned = np.arange(50) % 7 == 0
    parts = splitting.split(metal, seed, pinned)
    assert set(parts[pinned]) == {"train"}
    assert (parts == "test").sum() == 10
    assert (parts[metal] == "test").sum() == 4


def test_pinning_everything_leaves_nothing_to_test() -> None:
    assert set(splitting.split(np.zeros(9, dtype=bool), 0, np.ones(9, dtype=bool))) == {"train"}
