from __future__ import annotations

import numpy as np
import pandas as pd

from bandgaps.structure.training_set import (
    LONGER,
    MANY_BONDS,
    estimated_passes,
    estimated_values,
    known_values,
    passes,
    shrinkage,
)


def test_every_known_value_comes_with_its_row_and_level() -> None:
    table = pd.DataFrame({"band_gap": [0.0, 1.0, 2.0], "band_gap_hse": [None, 1.5, None], "other": 7.0})
    row, level, value = known_values(table, ["band_gap", "band_gap_hse"])
    assert sorted(zip(row.tolist(), level.tolist(), value.tolist(), strict=True)) == [
        (0, 0, 0.0),
        (1, 0, 1.0),
        (1, 1, 1.5),
        (2, 0, 2.0),
    ]


def test_rare_gaps_come_more_often_and_large_crystals_less() -> None:
    level = np.array([0, 0, 1, 1, 1])
    value = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    bonds = np.array([10, 10, 10, 10, MANY_BONDS + 1])
    calculated, metal, measured, measured_metal, large = passes(["pbe", "experiment"], level, value, bonds)
    assert measured > calculated == metal == measured_metal == 1
    assert large < measured


def test_estimates_are_gaps_at_the_level_of_experiment() -> None:
    table = pd.DataFrame({"band_gap": [0.0, 1.0], "band_gap_experiment_estimate": [np.nan, 1.7]})
    levels = ["pbe", "hse", "experiment"]
    assert [values.tolist() for values in estimated_values(table, levels)] == [[1], [2], [1.7]]
    for known, asked in ((table, ["pbe", "hse"]), (table[["band_gap"]], levels)):
        assert [len(values) for values in estimated_values(known, asked)] == [0, 0, 0]


def test_estimates_come_less_often_than_what_was_measured() -> None:
    bonds = np.array([10, 10, MANY_BONDS + 1])
    measured = passes(["experiment"], np.zeros(3, dtype=int), np.array([1.0, 0.0, 1.0]), bonds)
    estimated = estimated_passes(bonds)
    assert (estimated > 0).all() and (estimated < measured / 2).all() and estimated[2] < estimated[0]


def test_only_crystals_with_measured_gaps_are_shrunk() -> None:
    assert shrinkage(["pbe", "experiment", "hse"], np.array([0, 1, 2, 1])).tolist() == [0, LONGER, 0, LONGER]
    assert not shrinkage(["pbe", "hse"], np.array([0, 1])).any()
