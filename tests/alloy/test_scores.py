from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandgaps.alloy import measured_curves, scores
from bandgaps.alloy.scores import FRACTIONS

MEASURED = measured_curves.gap(("Si", "Ge"), FRACTIONS)
UNKNOWN = np.full(101, np.nan)
gaps = st.lists(st.floats(0, 3), min_size=2, max_size=6)


def some_curve() -> pd.DataFrame:
    line = 2.0 - 1.5 * FRACTIONS
    columns = {"band_gap": line, "band_gap_shared_site": np.sqrt(line), "band_gap_orderings": line}
    stds = {f"{name}_std": np.zeros(101) for name in columns}
    return pd.DataFrame({"x_Ge": FRACTIONS, "band_gap_measured": MEASURED, **columns, **stds})


def smooth(values: list[float]) -> np.ndarray:
    return np.interp(FRACTIONS, np.linspace(0, 1, len(values)), values)


@given(gaps, st.tuples(st.floats(0, 3), st.floats(0, 3)))
def test_anchoring_moves_the_ends_to_the_measured_ones_and_is_linear(
    values: list[float], ends: tuple[float, float]
) -> None:
    gap = smooth(values)
    shifted = scores.anchored(FRACTIONS, gap, ends)
    assert shifted[[0, -1]] == pytest.approx(ends, abs=1e-12)
    np.testing.assert_allclose(np.diff(shifted - gap, n=2), 0, atol=1e-12)
    np.testing.assert_allclose(scores.anchored(FRACTIONS, shifted, ends), shifted, atol=1e-12)


@given(gaps)
def test_scores_are_what_they_say(values: list[float]) -> None:
    gap, std = smooth(values), np.full(101, 0.1)
    found = scores.scores(gap, std, MEASURED, 1.5)
    assert found["0.51"] == gap[51]
    assert found["mean_absolute_deviation"] == pytest.approx(np.abs(gap - MEASURED).mean())
    outside = {round(x, 2) for x in FRACTIONS[np.abs(gap - MEASURED) > 0.15]}
    told = {round(x, 2) for x in FRACTIONS if any(low - 1e-9 <= x <= high + 1e-9 for low, high in found["outside_95"])}
    assert told == outside
    assert found["share_inside_95"] == pytest.approx(1 - len(outside) / 101)
    shifted = gap + np.interp(FRACTIONS, [0, 1], [1.155 - gap[0], 0.740 - gap[-1]])
    assert found["anchored"]["mean_absolute_deviation"] == pytest.approx(np.abs(shifted - MEASURED).mean())
    assert found["anchored"]["0.51"] == pytest.approx(shifted[51])


@pytest.mark.parametrize(
    ("values", "between", "monotone"),
    [([1.2, 0.9, 0.7], True, True), ([0.7, 1.2], True, True), ([1.2, 0.8, 1.0, 0.7], True, False),
     ([1.2, 1.3, 0.7], False, False), ([1.2, 0.5, 0.7], False, False)],
)  # fmt: skip
def test_order_of_the_gaps(values: list[float], between: bool, monotone: bool) -> None:
    found = scores.scores(smooth(values), np.zeros(101), MEASURED, 1.96)
    assert (found["between_ends"], found["monotone"]) == (between, monotone)


def test_what_is_not_known_is_none() -> None:
    found = scores.scores(smooth([1, 0]), UNKNOWN, MEASURED, 1.96)
    assert found["share_inside_95"] is found["outside_95"] is None
    assert found["mean_absolute_deviation"] > 0.1
    found = scores.scores(smooth([1, 0]), np.ones(101), UNKNOWN, 1.96)
    unknown = {key for key, value in found.items() if value is None}
    assert unknown == {"share_inside_95", "outside_95", "mean_absolute_deviation", "anchored"}


def test_the_anchored_curve_is_named_so_and_has_the_measured_ends() -> None:
    curve = some_curve()
    shifted = scores.anchored_curve(curve)
    assert shifted.columns.tolist() == [
        "x_Ge", "band_gap_anchored", "band_gap_measured",
        "band_gap_shared_site_anchored", "band_gap_orderings_anchored",
    ]  # fmt: skip
    for column in shifted.columns[shifted.columns.str.endswith("anchored")]:
        assert shifted[column].iloc[[0, -1]].tolist() == pytest.approx([1.155, 0.740])
    np.testing.assert_allclose(shifted["band_gap_anchored"], 1.155 - 0.415 * FRACTIONS, atol=1e-9)


def test_the_straight_line_is_the_one_between_the_measured_ends() -> None:
    curve = some_curve()
    results = scores.results(curve, 1.96)
    assert results["straight-line"] == pytest.approx({"0.51": 0.943, "mean_absolute_deviation": 0.046}, abs=5e-4)
    assert results["curves"]["orderings"]["anchored"] == pytest.approx(results["straight-line"])
    assert set(results["curves"]) == {"shared-site", "orderings"}
    assert results["measured"]["0.51"] == pytest.approx(0.989, abs=5e-4)
