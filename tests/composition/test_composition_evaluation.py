from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT, SAMPLE, Script, assert_failed

from bandgaps.composition import cluster, evaluation, forest, magpie
from bandgaps.errors import InputError
from bandgaps.table import storage


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A Dask cluster of two worker processes."""
    from distributed import LocalCluster

    os.environ["PYTHONPATH"] = str(ROOT)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


def test_a_cluster_gives_the_same_scores(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PART", 100)  # so that the sample is shared out
    table = storage.read(SAMPLE, structures=False).drop_duplicates("formula")
    with cluster.cluster(scheduler):
        rows = evaluation.Rows.of(table, "band_gap", Path("t"), seed=0)
        chosen = evaluation.tune(rows, 2, seed=0, jobs=-1)
        model = forest.new(seed=0, jobs=-1).fit(rows.X[rows.train], rows.y[rows.train])
        shared = evaluation.score(model, rows)
    np.testing.assert_array_equal(rows.X, magpie.features(table["formula"].tolist()))
    alone = forest.new(seed=0, jobs=1).fit(rows.X[rows.train], rows.y[rows.train])
    assert chosen == evaluation.tune(rows, 2, seed=0, jobs=1)
    assert shared["mae"] == pytest.approx(evaluation.score(alone, rows)["mae"], abs=1e-9)


def test_parts_keep_the_row_numbers_of_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PART", 10)
    with pytest.raises(InputError, match="row 37: "):
        cluster.features(["Si"] * 37 + ["Xx"])


def test_a_scheduler_that_is_not_there_is_named(script: Script) -> None:
    result = script("composition.py", "--dask", "tcp://127.0.0.1:9", "--predict", "Si")
    assert_failed(result, 1, "--dask tcp://127.0.0.1:9", "no Dask scheduler")


def test_scores_are_of_test_rows_alone() -> None:
    table = pd.DataFrame({"formula": ["NaCl", "KCl", "Cu", "LiF"], "band_gap": [5.0, 5.1, 0.0, 8.7]})
    rows = evaluation.Rows.of(table.assign(split=["train", "test", "test", "train"]), "band_gap", Path("t"), seed=0)
    model = forest.new().fit(rows.X[rows.train], rows.y[rows.train])
    found = evaluation.score(model, rows)
    assert (found["n"], found["all"]["n"]) == (1, 2)
    assert evaluation.score(model, rows.without(np.array(["KCl"])))["n"] == 0


def test_importances_are_those_of_scikit_learn_but_for_the_shuffles() -> None:
    from sklearn.inspection import permutation_importance

    generator = np.random.default_rng(0)
    X = generator.random((300, 50))
    y = 4 * X[:, 30] + 2 * X[:, 7] + X[:, 49]
    model = forest.new().fit(X[:200], y[:200])
    X, y = X[200:], y[200:]
    found = evaluation.importances(model, X, y, [f"feature {k}" for k in range(50)])
    assert found["feature"].tolist()[:3] == ["feature 30", "feature 7", "feature 49"]
    assert found["mae_increase"].is_monotonic_decreasing
    oracle = permutation_importance(model, X, y, scoring="neg_mean_absolute_error", n_repeats=20, random_state=0)
    for column, increase, std in found.head(3).itertuples(index=False):
        k = int(column.split()[1])
        assert increase == pytest.approx(oracle.importances_mean[k], abs=3 * oracle.importances_std[k])
        assert 0 < std < 4 * oracle.importances_std[k]
    assert np.abs(found["mae_increase"].iloc[3:]).max() < 0.1 * found["mae_increase"].iloc[2]
