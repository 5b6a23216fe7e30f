from __future__ import annotations

import numpy as np
import pandas as pd

from bandgaps.structure.training_set import (
    LARGEST_STRAIN,
    MANY_BONDS,
    known_values,
    largest_strain,
    pseudo_label_weights,
    pseudo_labels,
    sampling_weights,
    summary,
)


def test_every_known_value_comes_with_its_row_and_fidelity() -> None:
    table = pd.DataFrame({"band_gap": [0.0, 1.0, 2.0], "band_gap_hse": [None, 1.5, None], "other": 7.0})
    row, fidelity, value = known_values(table, ["band_gap", "band_gap_hse"])
    assert sorted(zip(row.tolist(), fidelity.tolist(), value.tolist(), strict=True)) == [
        (0, 0, 0.0),
        (1, 0, 1.0),
        (1, 1, 1.5),
        (2, 0, 2.0),
    ]


def test_rare_gaps_come_more_often_and_large_crystals_less() -> None:
    fidelity = np.array([0, 0, 1, 1, 1])
    value = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    bonds = np.array([10, 10, 10, 10, MANY_BONDS + 1])
    calculated, metal, measured, measured_metal, large = sampling_weights(["pbe", "experiment"], fidelity, value, bonds)
    assert measured > calculated == metal == measured_metal == 1
    assert large < measured


def test_pseudo_labels_are_measured_gaps() -> None:
    table = pd.DataFrame({"band_gap": [0.0, 1.0], "band_gap_experiment_estimate": [np.nan, 1.7]})
    levels = ["pbe", "hse", "experiment"]
    assert [values.tolist() for values in pseudo_labels(table, levels)] == [[1], [2], [1.7]]
    for known, asked in ((table, ["pbe", "hse"]), (table[["band_gap"]], levels)):
        assert [len(values) for values in pseudo_labels(known, asked)] == [0, 0, 0]


def test_pseudo_labels_come_less_often_than_what_was_measured() -> None:
    bonds = np.array([10, 10, MANY_BONDS + 1])
    measured = sampling_weights(["experiment"], np.zeros(3, dtype=int), np.array([1.0, 0.0, 1.0]), bonds)
    guessed = pseudo_label_weights(bonds)
    assert (guessed > 0).all() and (guessed < measured / 2).all() and guessed[2] < guessed[0]


def test_only_crystals_with_measured_gaps_are_strained() -> None:
    found = largest_strain(["pbe", "experiment", "hse"], np.array([0, 1, 2, 1]))
    assert found.tolist() == [0, LARGEST_STRAIN, 0, LARGEST_STRAIN]
    assert not largest_strain(["pbe", "hse"], np.array([0, 1])).any()


def test_gaps_and_pseudo_labels_are_counted_apart() -> None:
    table = pd.DataFrame(
        {
            "band_gap": [0.0, 1.0, 2.0],
            "band_gap_experiment": [None, 1.5, None],
            "band_gap_experiment_estimate": [0.5, np.nan, 2.5],
        }
    )
    found = summary(table, ["band_gap", "band_gap_experiment"], ["pbe", "experiment"])
    gaps = {"pbe": 3, "experiment": 1}
    assert found == {"rows": 3, "gaps": gaps, "means": {"pbe": 1.0, "experiment": 1.5}, "pseudo_labels": 2}
    one = summary(table, ["band_gap"], [])
    assert one == {"rows": 3, "gaps": {"band_gap": 3}, "means": {"band_gap": 1.0}, "pseudo_labels": 0}
