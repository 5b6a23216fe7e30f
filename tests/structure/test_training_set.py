from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bandgaps.structure.training_set import MANY_BONDS, RAREST, known_values, sampling_weights, summary


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
    fidelity = np.array([0, 1, 0, 0, 0])
    bonds = np.array([10, 10, MANY_BONDS, 2 * MANY_BONDS, 1000 * MANY_BONDS])
    found = sampling_weights(["pbe", "gllbsc"], fidelity, bonds)
    assert found == pytest.approx([1, 2, 1, 0.5, RAREST])


def test_gaps_are_counted_by_fidelity() -> None:
    table = pd.DataFrame({"band_gap": [0.0, 1.0, 2.0], "band_gap_hse": [None, 1.5, None]})
    found = summary(table, ["band_gap", "band_gap_hse"], ["pbe", "hse"])
    assert found == {"rows": 3, "gaps": {"pbe": 3, "hse": 1}, "means": {"pbe": 1.0, "hse": 1.5}}
    assert summary(table, ["band_gap"], []) == {"rows": 3, "gaps": {"band_gap": 3}, "means": {"band_gap": 1.0}}
