from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT, SAMPLE, Script, assert_failed
from sklearn.model_selection import StratifiedKFold

from bandgaps.composition import cluster, evaluation, forest, magpie
from bandgaps.errors import InputError
from bandgaps.table import splitting, storage

PATH = Path("t.json")


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
        rows = evaluation.Rows.of(table, "band_gap", PATH)
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
    assert_failed(result, 1, "--dask: no Dask scheduler answers at tcp://127.0.0.1:9")


FORMULAS = ["NaCl", "KCl", "Cu", "LiF"]
GAPS = [5.0, 5.1, 0.0, 8.7]
PARTS = ["train", "test", "test", "train"]


def few() -> pd.DataFrame:
    return pd.DataFrame({"formula": FORMULAS, "band_gap": GAPS, "split": PARTS})


def sample() -> evaluation.Rows:
    """A part of the sample, tested by the split of seed 0."""
    return evaluation.Rows.of(storage.read(SAMPLE, structures=False).drop_duplicates("formula")[:90], "band_gap", PATH)


def test_scores_are_of_test_rows_alone() -> None:
    rows = evaluation.Rows.of(few(), "band_gap", PATH)
    model = forest.new().fit(rows.X[rows.train], rows.y[rows.train])
    found = evaluation.score(model, rows)
    assert (found["n"], found["all"]["n"]) == (1, 2)
    assert evaluation.score(model, rows.without(np.array(["KCl"])))["n"] == 0


@pytest.mark.parametrize("spelled", ["KCl", "ClK", "K2Cl2", "(KCl)3", "K0.5Cl0.5"])
def test_a_composition_was_seen_under_any_spelling(spelled: str) -> None:
    rows = evaluation.Rows.of(few(), "band_gap", PATH).without(np.array([spelled]))
    assert rows.formula[rows.test].tolist() == ["Cu"]


def test_rows_of_no_other_model_are_seen() -> None:
    rows = evaluation.Rows.of(few(), "band_gap", PATH).without(np.array(["K2Cl", "CuCl"]))
    assert rows.formula[rows.test].tolist() == ["KCl", "Cu"]


def test_forests_grow_on_validation_and_calibration_rows_too() -> None:
    rows = evaluation.Rows.of(few().assign(split=["calibration", "test", "validation", "train"]), "band_gap", PATH)
    assert rows.formula[rows.grown_on("combined")].tolist() == ["NaCl", "Cu", "LiF"]
    assert rows.formula[rows.grown_on("non-metals")].tolist() == ["NaCl", "LiF"]


def test_a_table_without_a_split_gets_that_of_seed_0() -> None:
    table = storage.read(SAMPLE, structures=False).drop_duplicates("formula").reset_index(drop=True)
    parts = splitting.split_compositions(table, table["band_gap"].to_numpy() == 0, seed=0)
    assert (evaluation.Rows.of(table, "band_gap", PATH).test == (parts == "test")).all()


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (["test", "test", "train", "test"], "no training rows for the model 'non-metals'"),
        (["train", "train", "test", "train"], "no test rows for the model 'non-metals'"),
    ],
)
def test_a_model_needs_rows(parts: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        evaluation.Rows.of(few().assign(split=parts), "band_gap", PATH)


def test_each_fold_is_tuned_without_the_rows_it_is_scored_on() -> None:
    rows = sample()
    found = evaluation.cross_validate(rows, 3, seed=0, jobs=2, candidates=4)["combined"]["hyperparameters"]
    folds = StratifiedKFold(3, shuffle=True, random_state=0).split(rows.X, rows.metal)
    for chosen, (train, _) in zip(found, folds, strict=True):
        part = train[~rows.metal[train]]
        nothing = np.zeros(len(part), dtype=bool)
        alone = replace(rows, X=rows.X[part], y=rows.y[part], metal=rows.metal[part], test=nothing)
        assert chosen == evaluation.tune(alone, 4, seed=0, jobs=2)
    assert len({json.dumps(chosen) for chosen in found}) > 1


def test_folds_without_tuning_take_the_default_hyperparameters() -> None:
    rows = sample()
    found = evaluation.cross_validate(rows, 2, seed=0, jobs=2)
    (train, test), _ = StratifiedKFold(2, shuffle=True, random_state=0).split(rows.X, rows.metal)
    held_out = test[~rows.metal[test]]
    model = forest.new(0, 2).fit(rows.X[train], rows.y[train])
    expected = np.abs(model.predict(rows.X[held_out]) - rows.y[held_out]).mean()
    assert found["combined"]["folds"][0] == pytest.approx(expected)
    assert set(found["combined"]) == {"mae", "mae_std", "folds"}


def test_more_folds_than_rows_of_a_class_are_refused() -> None:
    rows = evaluation.Rows.of(few(), "band_gap", PATH)
    with pytest.raises(InputError, match="2 folds need as many metals; found 1"):
        evaluation.check_folds(rows, 2, tuned=False)
    gapped = replace(rows, metal=np.zeros(4, dtype=bool))
    evaluation.check_folds(gapped, 4, tuned=False)
    with pytest.raises(InputError, match="5 folds need as many non-metals; found 4"):
        evaluation.check_folds(gapped, 5, tuned=False)
    with pytest.raises(InputError, match="too few to tune within 2 folds"):
        evaluation.check_folds(gapped, 2, tuned=True)


def test_tuning_needs_a_row_a_fold() -> None:
    with pytest.raises(InputError, match="needs 3 training rows that are non-metals; found 2"):
        evaluation.check_tuning(evaluation.Rows.of(few(), "band_gap", PATH))


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
