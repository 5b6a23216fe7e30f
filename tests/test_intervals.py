"""Intervals hold as many gaps as they promise, on rows that they were not fitted to."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import trim_mean

from bandgaps import intervals
from bandgaps.intervals import SHARES, Distribution, Intervals

TREES = 25


def forest_says(rows: int, seed: int) -> tuple[Distribution, np.ndarray, np.ndarray]:
    """A made-up forest that is too sure of itself, true gaps (eV), and which rows are metals."""
    generator = np.random.default_rng(seed)
    metal = generator.random(rows) < 0.4
    actual = np.where(metal, 0, generator.gamma(2, 1, rows))
    scale = generator.uniform(0.1, 1, rows)
    centre = actual + scale * generator.standard_t(4, rows)
    values = np.maximum(centre[:, None] + 0.5 * scale[:, None] * generator.normal(size=(rows, TREES)), 0)
    values[generator.random((rows, TREES)) < np.where(metal, 0.7, 0.1)[:, None]] = 0
    values = np.sort(values, axis=1).astype(np.float32)
    return Distribution(values, values.std(axis=1)), actual, metal


FOUND, ACTUAL, METAL = forest_says(4000, 0)
FITTED = intervals.fit(FOUND, ACTUAL, METAL)

VALUES = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 6), st.integers(1, 9)), elements=st.sampled_from([0, 0.5, 1, 2, 3.25, 9])
)
WIDENING = st.tuples(*[st.floats(-3, 3)] * 2)


def distribution(values: np.ndarray) -> Distribution:
    return Distribution(np.sort(values, axis=1), values.std(axis=1).astype(np.float64))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_new_rows_lie_within_as_often_as_promised(seed: int) -> None:
    found, actual, metal = forest_says(4000, seed)
    gapped = ~metal
    for share, (low, high) in zip(SHARES, FITTED.bounds(found), strict=True):
        held = np.mean(((low <= actual) & (actual <= high))[gapped])
        # Both the rows that the interval was fitted to and those that are counted scatter.
        error = np.sqrt(share * (1 - share) * (1 / gapped.sum() + 1 / FITTED.rows))
        assert held == pytest.approx(share, abs=4 * error)


def test_without_fitting_they_would_not() -> None:
    low, high = Intervals().bounds(FOUND)[0]
    assert np.mean(((low <= ACTUAL) & (high >= ACTUAL))[~METAL]) < 0.6


def test_metals_do_not_widen_intervals() -> None:
    gapped = Distribution(FOUND.values[~METAL], FOUND.std[~METAL])
    alone = intervals.fit(gapped, ACTUAL[~METAL], np.zeros(len(gapped.std), dtype=bool))
    assert alone.widening == FITTED.widening and alone.rows == FITTED.rows == np.count_nonzero(~METAL)


@given(VALUES, WIDENING, st.booleans())
def test_intervals_hold_the_median_and_the_wider_holds_the_narrower(
    values: np.ndarray, widening: tuple[float, float], bounded: bool
) -> None:
    found = distribution(values)
    (low, high), (lower, higher) = Intervals(widening, bounded=bounded).bounds(found)
    assert (lower <= low).all() and (low <= found.median).all()
    assert (found.median <= high).all() and (high <= higher).all()
    if bounded:
        assert (lower >= 0).all()


def test_the_interval_of_95_percent_holds_the_other_where_trees_agree() -> None:
    found = distribution(np.full((1, 9), 2.0, dtype=np.float32))
    (low, high), (lower, higher) = Intervals((1.0, -0.5)).bounds(found)  # inner quantiles were much too narrow
    assert (low, high) == (lower, higher) == (pytest.approx(1.9), pytest.approx(2.1))


def test_only_a_gap_is_bounded_by_zero() -> None:
    found = distribution(np.array([[0.1, 0.2]], dtype=np.float32))
    assert Intervals((9.0, 9.0)).bounds(found)[0][0] == [0]
    assert Intervals((9.0, 9.0), bounded=False).bounds(found)[0][0] < -1


@given(VALUES, st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.025, 0.16, 0.5, 0.84, 0.975, 1.0])))
def test_quantiles_are_numpys(values: np.ndarray, level: float) -> None:
    expected = np.quantile(values.astype(np.float64), level, axis=1)
    np.testing.assert_allclose(distribution(values).quantile(level), expected, rtol=1e-6, atol=1e-6)


@given(VALUES)
def test_the_interquartile_mean_leaves_out_a_quarter_of_the_trees_on_either_side(values: np.ndarray) -> None:
    expected = trim_mean(values.astype(np.float64), 0.25, axis=1)
    np.testing.assert_allclose(distribution(values).interquartile_mean, expected, rtol=0, atol=1e-6)


def test_median_and_mean_and_votes() -> None:
    found = distribution(np.array([[0, 0, 1, 5], [0, 0, 0, 0], [1, 2, 3, 6]], dtype=np.float32))
    assert found.median.tolist() == [0.5, 0, 2.5]
    assert found.mean.tolist() == [1.5, 0, 3]
    assert found.metal_votes.tolist() == [0.5, 1, 0]


@given(VALUES)
def test_trees_that_say_metal_can_be_left_out(values: np.ndarray) -> None:
    found = distribution(values)
    without = found.without_metals()
    assert (without.std == found.std).all()
    for row, left in zip(values, without.values, strict=True):
        gapped = row[row > 0] if (row > 0).any() else row
        assert (np.diff(left) >= 0).all()
        assert np.median(left) == pytest.approx(np.median(gapped), abs=1e-6)
        assert (left.min(), left.max()) == (gapped.min(), gapped.max())


def test_the_probability_of_a_metal_rises_with_the_votes_and_is_calibrated() -> None:
    count = np.arange(TREES + 1)
    values = np.sort(np.where(np.arange(TREES) < count[:, None], 0.0, 1.0), axis=1).astype(np.float32)
    ladder = FITTED.metal_probability(distribution(values))
    assert (np.diff(ladder) > 0).all() and 0 < ladder[0] < 0.05 and 0.95 < ladder[-1] < 1
    found, _, metal = forest_says(4000, 4)
    probability = FITTED.metal_probability(found)
    assert probability.mean() == pytest.approx(metal.mean(), abs=0.04)
    assert np.mean((probability > 0.5) == metal) > 0.9


@pytest.mark.parametrize("metal", [True, False])
def test_votes_are_the_probability_where_all_rows_are_of_one_kind(metal: bool) -> None:
    fitted = intervals.fit(FOUND, ACTUAL, np.full(len(ACTUAL), metal))
    assert fitted.votes == (0.0, 1.0)
    assert fitted.metal_probability(FOUND) == pytest.approx(np.clip(FOUND.metal_votes, 0.005, 0.995))
    assert fitted.rows == (0 if metal else len(ACTUAL))
    if metal:
        assert fitted.widening == (0.0, 0.0)


def test_without_rows_nothing_is_fitted() -> None:
    none = Distribution(np.empty((0, 1), dtype=np.float32), np.empty(0))
    assert intervals.fit(none, np.empty(0), np.empty(0, dtype=bool)) == Intervals()


def test_a_card_keeps_them() -> None:
    assert Intervals.of(json.loads(json.dumps({"intervals": asdict(FITTED)}))) == FITTED
    assert Intervals.of({"intervals": asdict(replace(FITTED, bounded=False))}) == replace(FITTED, bounded=False)


NONE = "the card has no intervals"
DAMAGED: list[tuple[dict[str, Any], str]] = [
    ({}, NONE),
    ({"intervals": None}, NONE),
    ({"intervals": "0.1"}, NONE),
    ({"intervals": [1, 2]}, NONE),
    *(({"intervals": {k: v for k, v in asdict(FITTED).items() if k != name}}, NONE) for name in asdict(FITTED)),
    ({"intervals": asdict(FITTED) | {"widening": ["wide", 1]}}, NONE),
    ({"intervals": asdict(FITTED) | {"widening": 3}}, NONE),
    ({"intervals": asdict(FITTED) | {"widening": [10**400, 1]}}, NONE),
    ({"intervals": asdict(FITTED) | {"rows": float("inf")}}, NONE),
    ({"intervals": asdict(FITTED) | {"widening": [float("nan"), 1]}}, "not finite"),
    ({"intervals": asdict(FITTED) | {"votes": [0, float("inf")]}}, "not finite"),
    ({"intervals": asdict(FITTED) | {"widening": [1]}}, "not those of 68 and 95 %"),
    ({"intervals": asdict(FITTED) | {"votes": [1, 2, 3]}}, "not those of 68 and 95 %"),
    ({"intervals": asdict(FITTED) | {"shares": [0.5, 0.9]}}, "not those of 68 and 95 %"),
]


@pytest.mark.parametrize(("card", "words"), DAMAGED)
def test_a_card_with_other_intervals_is_refused(card: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Intervals.of(card)
