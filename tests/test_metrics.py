from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandgaps import metrics

gaps = st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=2, max_size=30)


def test_scores_of_a_few_rows() -> None:
    scores = metrics.scores(np.array([1.0, 2.0, 6.0]), np.array([1.0, 4.0, 5.0]))
    assert scores == pytest.approx({"mae": 1, "rmse": (5 / 3) ** 0.5, "r2": 1 - 5 / 14, "n": 3})


@given(gaps)
def test_scores_are_those_of_their_definitions(rows: list[tuple[float, float]]) -> None:
    actual, predicted = np.array(rows).T
    scores = metrics.scores(actual, predicted)
    squares = (predicted - actual) @ (predicted - actual)
    assert scores["mae"] == pytest.approx(np.abs(predicted - actual).mean())
    assert scores["rmse"] == pytest.approx((squares / len(rows)) ** 0.5)
    assert scores["n"] == len(rows)
    if np.ptp(actual) > 1e-3:
        assert scores["r2"] == pytest.approx(1 - squares / (len(rows) * actual.var()), rel=1e-6)


@pytest.mark.parametrize(("actual", "predicted"), [([], []), ([1, np.nan], [1, 2]), ([1, 2], [np.inf, 2])])
def test_scores_of_nothing_are_not_numbers(actual: list[float], predicted: list[float]) -> None:
    scores = metrics.scores(np.array(actual), np.array(predicted))
    assert scores["n"] == len(actual)
    assert all(math.isnan(scores[key]) for key in ("mae", "rmse", "r2"))


@pytest.mark.parametrize("actual", [[1.3], [0.1, 0.1, 0.1]])
def test_rows_that_are_equal_have_errors_but_no_r2(actual: list[float]) -> None:
    scores = metrics.scores(np.array(actual), np.array(actual) + 0.5)
    assert (scores["mae"], scores["rmse"]) == pytest.approx((0.5, 0.5))
    assert math.isnan(scores["r2"])


def test_coverage_of_normal_errors_is_the_normals() -> None:
    generator = np.random.default_rng(0)
    std = generator.uniform(0.1, 2, 200_000)
    k = np.array([0.5, 1, 2, 3])
    found = metrics.coverage(generator.normal(0, std), np.zeros_like(std), std, k)
    np.testing.assert_allclose(found, [0.3829, 0.6827, 0.9545, 0.9973], atol=0.004)
    np.testing.assert_allclose(metrics.normal_coverage(k), [0.3829, 0.6827, 0.9545, 0.9973], atol=1e-4)


def test_the_table_shows_every_score() -> None:
    table = metrics.format_table({"non-metals": {"mae": 0.5026, "rmse": 0.7237, "r2": 0.7844, "n": 12}})
    assert table.splitlines()[0].split("|")[2].strip() == "non-metals"
    for text in ("MAE (eV)", "0.5026", "0.7237", "0.7844", "12"):
        assert text in table
