from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from bandgaps import metrics

gaps = st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=2, max_size=30)


@given(gaps)
def test_scores_are_scikit_learns(rows: list[tuple[float, float]]) -> None:
    actual, predicted = np.array(rows).T
    scores = metrics.scores(actual, predicted)
    assert scores["mae"] == pytest.approx(mean_absolute_error(actual, predicted))
    assert scores["rmse"] == pytest.approx(root_mean_squared_error(actual, predicted))
    assert scores["n"] == len(rows)
    if np.ptp(actual) > 1e-3:
        assert scores["r2"] == pytest.approx(r2_score(actual, predicted), rel=1e-6)


def test_scores_of_nothing_are_not_numbers() -> None:
    scores = metrics.scores(np.array([]), np.array([]))
    assert scores["n"] == 0
    assert all(math.isnan(scores[key]) for key in ("mae", "rmse", "r2"))


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
