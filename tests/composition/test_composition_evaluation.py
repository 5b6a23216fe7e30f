from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path

import gap_models
import numpy as np
import pandas as pd
import pytest
from helpers import ROOT, SAMPLE, assert_failed, run_here
from sklearn.model_selection import StratifiedKFold

import composition
from bandgaps import cluster
from bandgaps.composition import evaluation, features, forest, models, parts, prediction
from bandgaps.composition.gap_model import GapModel
from bandgaps.errors import InputError
from bandgaps.intervals import Distribution, Intervals
from bandgaps.table import splitting, storage

PATH = Path("t.json")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A Dask cluster: one process of two workers' threads, which loads the libraries anew."""
    from distributed import LocalCluster

    os.environ["PYTHONPATH"] = str(ROOT)
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tuning that chooses among small forests."""
    monkeypatch.setattr(evaluation, "CHOICES", {**evaluation.CHOICES, "n_estimators": [5, 10]})


def test_a_cluster_gives_the_same_scores(scheduler: str, few_trees: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (parts, evaluation):
        monkeypatch.setattr(module, "PART", 100)  # so that the sample is shared out
    table = storage.read(SAMPLE, structures=False).drop_duplicates("formula")[:250]
    with cluster.connected(scheduler):
        rows = evaluation.Rows.of(table, "band_gap", PATH)
        chosen = evaluation.tune(rows, 2, seed=0, jobs=-1)
        model = forest.new(seed=0, jobs=-1).fit(rows.X[rows.train], rows.y[rows.train])
        shared = evaluation.score(GapModel(model, Intervals(), {}, {}), rows)
    np.testing.assert_array_equal(rows.X, features.features(table["formula"].tolist()))
    alone = forest.new(seed=0, jobs=1).fit(rows.X[rows.train], rows.y[rows.train])
    assert chosen == evaluation.tune(rows, 2, seed=0, jobs=1)
    alone_scores = evaluation.score(GapModel(alone, Intervals(), {}, {}), rows)
    assert (shared["mae"], shared["all"]["mae"]) == (alone_scores["mae"], alone_scores["all"]["mae"])


def test_parts_keep_the_row_numbers_of_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", 10)
    with pytest.raises(InputError, match="row 37: "):
        parts.features(["Si"] * 37 + ["Xx"])


def test_a_scheduler_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed

    connect = distributed.Client
    monkeypatch.setattr(distributed, "Client", lambda address, timeout: connect(address, timeout="0.5s"))
    result = run_here(composition.main, "--dask", "tcp://127.0.0.1:9", "--predict", "Si", cwd=tmp_path)
    assert_failed(result, 1, "--dask: no Dask scheduler answers at tcp://127.0.0.1:9")


FORMULAS = ["NaCl", "KCl", "Cu", "LiF"]
GAPS = [5.0, 5.1, 0.0, 8.7]
PARTS = ["train", "test", "test", "train"]


def few() -> pd.DataFrame:
    return pd.DataFrame({"formula": FORMULAS, "band_gap": GAPS, "split": PARTS})


def sample() -> evaluation.Rows:
    """A part of the sample, tested by the split of seed 0."""
    return evaluation.Rows.of(storage.read(SAMPLE, structures=False).drop_duplicates("formula")[:90], "band_gap", PATH)


def taught(*formulas: str) -> GapModel:
    """A model that was grown on compositions, each of 5 eV."""
    X = features.features(formulas)
    grown = forest.new(jobs=1).set_params(n_estimators=3).fit(X, np.full(len(X), 5.0))
    return GapModel(grown, Intervals(), {"target": "band_gap"}, {"formula": np.array(formulas)})


def test_scores_are_of_test_rows_alone() -> None:
    rows, model = evaluation.Rows.of(few(), "band_gap", PATH), taught("NaCl", "LiF")
    found = evaluation.score(model, rows)
    assert (found["n"], found["metals"]["n"], found["all"]["n"]) == (1, 1, 2)
    assert (found["mae"], found["metals"]["mae"], found["all"]["mae"]) == pytest.approx((0.1, 5, 2.55))
    assert evaluation.score(taught("KCl"), rows.untaught(taught("KCl")))["n"] == 0
    plain = evaluation.score(model.forest, rows)
    assert (plain["mae"], plain["all"]["mae"], plain["n"]) == pytest.approx((0.1, 2.55, 1))


def test_shares_are_those_of_the_intervals() -> None:
    found = Distribution(np.array([[1, 2, 3], [1, 2, 3], [1, 2, 3], [0, 0, 3]], dtype=np.float32), np.full(4, 0.5))
    actual, part = np.array([2.1, 3.2, 3.9, 0]), np.array([True, True, True, False])
    model = replace(taught("NaCl"), intervals=Intervals(widening=(0.0, 2.0)))  # 0.32 to 2.68, and 1 to 3 with 1.2 more
    scores = evaluation.scores_of(model, found, actual, part)
    assert [scores[f"within_{each}"] for each in ("1_sigma", "2_sigma", "68", "95")] == pytest.approx([1 / 3] * 3 + [1])
    assert (scores["n"], scores["mae"]) == (3, pytest.approx((0.1 + 1.2 + 1.9) / 3))


def test_the_median_is_scored_in_parts_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, model = evaluation.Rows.of(few(), "band_gap", PATH), taught("NaCl", "LiF")
    whole = evaluation.distribution(model, rows.X)
    monkeypatch.setattr(evaluation, "PART", 3)
    monkeypatch.setattr(parts, "PART", 3)
    for one, other in zip(astuple(evaluation.distribution(model, rows.X)), astuple(whole), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("spelled", ["KCl", "ClK", "K2Cl2", "(KCl)3", "K0.5Cl0.5"])
def test_a_composition_was_seen_under_any_spelling(spelled: str) -> None:
    rows = evaluation.Rows.of(few(), "band_gap", PATH)
    assert rows.formula[rows.untaught(taught(spelled)).test].tolist() == ["Cu"]
    pupil = replace(taught("LiF"), teacher=taught(spelled))  # what its teacher saw, it has seen
    assert rows.formula[rows.untaught(pupil).test].tolist() == ["Cu"]


def test_rows_of_no_other_model_are_seen() -> None:
    rows = evaluation.Rows.of(few(), "band_gap", PATH)
    assert rows.formula[rows.untaught(taught("K2Cl", "CuCl")).test].tolist() == ["KCl", "Cu"]


def test_models_are_scored_on_what_they_have_not_seen() -> None:
    rows = evaluation.Rows.to_score(few(), "band_gap", PATH)
    found = models.evaluate({"one": taught("KCl", "Cu"), "other": taught("Si")}, rows)
    assert [found["one"]["n"], found["one"]["unseen"]["n"], found["one"]["unseen"]["all"]["n"]] == [3, 2, 2]
    assert found["one"]["unseen"]["mae"] == pytest.approx(1.85)
    assert [found["other"]["unseen"]["n"], found["other"]["unseen"]["all"]["n"]] == [3, 4]


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


SEED = 0  # with which the folds choose differently


def test_each_fold_is_tuned_without_the_rows_it_is_scored_on(few_trees: None) -> None:
    rows = sample()
    found = evaluation.cross_validate(rows, 2, seed=SEED, jobs=1, candidates=2)["combined"]["hyperparameters"]
    folds = StratifiedKFold(2, shuffle=True, random_state=SEED).split(rows.X, rows.metal)
    for chosen, (train, _) in zip(found, folds, strict=True):
        part = train[~rows.metal[train]]
        nothing = np.zeros(len(part), dtype=bool)
        alone = replace(rows, X=rows.X[part], y=rows.y[part], metal=rows.metal[part], test=nothing)
        assert chosen == evaluation.tune(alone, 2, seed=SEED, jobs=1)
    assert len({json.dumps(chosen) for chosen in found}) > 1


def test_folds_without_tuning_take_the_default_hyperparameters() -> None:
    rows = sample()
    found = evaluation.cross_validate(rows, 2, seed=0, jobs=2)
    (train, test), _ = StratifiedKFold(2, shuffle=True, random_state=0).split(rows.X, rows.metal)
    held_out = test[~rows.metal[test]]
    model = forest.new(0, 2).fit(rows.X[train], rows.y[train])
    expected = np.abs(Distribution(*model.distribution(rows.X[held_out])).median - rows.y[held_out]).mean()
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


def negative_error_of_the_median(grown: forest.UncertainForest, X: np.ndarray, y: np.ndarray) -> float:
    return float(-np.abs(Distribution(*grown.distribution(X)).median - y).mean())


def test_importances_are_those_of_scikit_learn_but_for_the_shuffles() -> None:
    from sklearn.inspection import permutation_importance

    generator = np.random.default_rng(0)
    X = generator.random((300, 24))  # more than are shuffled at once
    y = 4 * X[:, 21] + 2 * X[:, 7] + 1.5 * X[:, 23]
    grown = forest.new().set_params(n_estimators=50).fit(X[:200], y[:200])
    model = GapModel(grown, Intervals(), {}, {})
    X, y = X[200:], y[200:]
    found = evaluation.importances(model, X, y, [f"feature {k}" for k in range(24)])
    assert found["feature"].tolist()[:3] == ["feature 21", "feature 7", "feature 23"]
    assert found["mae_increase"].is_monotonic_decreasing
    oracle = permutation_importance(grown, X, y, scoring=negative_error_of_the_median, n_repeats=20, random_state=0)
    for column, increase, std in found.head(3).itertuples(index=False):
        k = int(column.split()[1])
        assert increase == pytest.approx(oracle.importances_mean[k], abs=3 * oracle.importances_std[k])
        assert 0 < std < 4 * oracle.importances_std[k]
    assert np.abs(found["mae_increase"].iloc[3:]).max() < 0.1 * found["mae_increase"].iloc[2]


def test_a_cluster_answers_formulas_as_this_process_does(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction, "CHUNK", 40)
    formulas = storage.read(SAMPLE, structures=False)["formula"][:100]
    (tmp_path / "a.txt").write_text("\n".join([*formulas, "nothing"]))
    gap_models.save(tmp_path / "models")
    ask = ["--models", "models", "--predict", "a.txt", "Si49Ge51", "--csv"]
    here = run_here(composition.main, *ask, "here.csv", cwd=tmp_path)
    there = run_here(composition.main, *ask, "there.csv", "--dask", scheduler, cwd=tmp_path)
    assert here.returncode == there.returncode == 2
    assert "line 101: 'nothing' is no formula" in there.stderr
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
