from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import SHARED, assert_failed, gaps_of_2019, needs_shared, run_here
from pymatgen.core import Composition
from sklearn.metrics import roc_auc_score

import composition
import query
from bandgaps import metrics, processors
from bandgaps.composition import evaluation, features, forest, gap_model, models
from bandgaps.formulas import composition_keys
from bandgaps.intervals import Distribution
from bandgaps.table import account, storage

FIGURES = ["parity", "calibration", "importances"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which query.py and composition.py have run on the bundled sample."""
    folder = tmp_path_factory.mktemp("trained")
    result = run_here(query.main, "--source", "sample", cwd=folder)
    assert result.returncode == 0, result.stderr
    result = run_here(composition.main, "--baselines", "--cv", "2", cwd=folder)
    assert result.returncode == 0, result.stderr
    (folder / "output.txt").write_text(result.stdout)
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained / "data", tmp_path / "data")
    return tmp_path


def scores(folder: Path, name: str = "composition") -> dict[str, Any]:
    return json.loads((folder / "data" / "metrics" / f"{name}.json").read_text())


def test_scores_are_those_of_the_saved_models_on_the_tables_own_test_rows(trained: Path) -> None:
    table = storage.read(trained / "data" / "bandgaps.json.gz", structures=False)
    test = table[table["split"] == "test"]
    gapped = test[test["band_gap"] > 0]
    found = scores(trained)
    for name in ("non-metals", "combined"):
        model = models.load(trained / "data" / "models", name)
        assert not set(model.training["formula"]) & set(test["formula"])
        assert (min(model.training["target"]) > 0) == (name == "non-metals")
        predicted = model.predict(gapped["formula"].tolist())
        expected = metrics.scores(gapped["band_gap"].to_numpy(), predicted["band_gap"].to_numpy())
        for share in (68, 95):
            low, high = predicted[f"band_gap_low_{share}"].to_numpy(), predicted[f"band_gap_high_{share}"].to_numpy()
            expected[f"within_{share}"] = gapped["band_gap"].between(low, high).mean()
        assert {key: found[name][key] for key in expected} == pytest.approx(expected)
        assert model.card["scores"] == found[name]
        assert model.card["hyperparameters"]["n_jobs"] == processors.cores()  # all work unless told otherwise
    everything = model.predict(test["formula"].tolist())
    expected = metrics.scores(test["band_gap"].to_numpy(), everything["band_gap"].to_numpy())
    area = roc_auc_score(test["band_gap"] == 0, everything["metal_probability"])
    assert found["combined"]["all"] == pytest.approx({**expected, "roc_auc": area})
    assert found["combined"]["all"]["n"] == len(test)
    assert found["combined"]["metals"]["n"] == len(test) - len(gapped)


def test_baselines_and_folds_are_in_the_same_file(trained: Path) -> None:
    found = scores(trained)
    assert found["mean"]["r2"] < 0.1 < found["ridge"]["r2"]
    assert found["non-metals"]["mae"] < found["mean"]["mae"]
    assert found["SVR"]["n"] == found["non-metals"]["n"]
    assert 0.5 < found["non-metals"]["within_1_sigma"] <= found["non-metals"]["within_2_sigma"]
    assert len(found["cross-validation"]["non-metals"]["folds"]) == 2


def test_the_table_is_printed(trained: Path) -> None:
    output = (trained / "output.txt").read_text()
    header = next(line for line in output.splitlines() if "non-metals" in line and "|" in line)
    assert [cell.strip() for cell in header.split("|")[2:4]] == ["non-metals", "combined"]
    assert f"{scores(trained)['non-metals']['mae']:.4f}" in output


@pytest.mark.parametrize("model", ["non-metals", "combined"])
@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_has_its_numbers(trained: Path, figure: str, model: str) -> None:
    stem = trained / "figures" / f"composition-{figure}-{model}"
    assert stem.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert stem.with_suffix(".png").stat().st_size > 5000
    table = pd.read_csv(stem.with_suffix(".csv"))
    rows = {"parity": scores(trained)[model]["n"], "calibration": 61, "importances": 10}
    assert len(table) == rows[figure]
    assert table.notna().all(axis=None)


def test_the_costliest_features_come_first(trained: Path) -> None:
    table = pd.read_csv(trained / "figures" / "composition-importances-combined.csv")
    assert table["mae_increase"].is_monotonic_decreasing
    assert table["mae_increase"].iloc[0] > 0
    assert set(table["feature"]) <= set(features.LABELS)


def test_ones_own_models_of_a_table_are_both_asked(trained: Path) -> None:
    result = run_here(composition.main, "--models", "data/models", "--predict", "Si49Ge51", "NaCl", "Xx", cwd=trained)
    assert_failed(result, 2, "1 of the formulas could not be read")
    combined, heading, *lines = result.stdout.splitlines()
    assert (combined, lines[2]) == tuple(
        f"composition-{name} (band_gap), data/models" for name in ("combined", "non-metals")
    )
    assert lines[3] == heading and "PBE gap" not in heading
    for name, rows in (("combined", lines[:2]), ("non-metals", lines[4:])):
        expected = models.load(trained / "data" / "models", name).predict(["Si49Ge51", "NaCl"])
        for line, row in zip(rows, expected.to_dict("records"), strict=True):
            formula, gap, _, std, *_ = line.split()
            assert formula == row["formula"]
            assert [float(gap), float(std)] == pytest.approx([row["band_gap"], row["band_gap_std"]], abs=6e-3)


def test_another_table_is_scored(here: Path) -> None:
    table = storage.read(here / "data" / "bandgaps.json.gz", structures=False).head(60)
    unseen = pd.DataFrame({"formula": ["Si49Ge51", "Si7Ge3"], "band_gap": [0.9, 0.9]})
    spelled = table[["formula", "band_gap"]].assign(formula="(" + table["formula"] + ")2")
    both = pd.concat([spelled, unseen], ignore_index=True)
    storage.write(both, here / "other.json.gz")
    result = run_here(composition.main, "--models", "data/models", "--evaluate", "other.json.gz", cwd=here)
    assert result.returncode == 0, result.stderr
    found = scores(here, "composition-other")["combined"]
    assert found["all"]["n"] == 62
    seen = (table["split"] != "test").sum()
    assert found["unseen"]["all"]["n"] == 62 - seen
    assert f"combined (data/models): {62 - seen} of 62 formulas were not in its training" in result.stdout


def test_the_bundled_models_are_scored_on_gaps_of_their_level(tmp_path: Path) -> None:
    table = pd.DataFrame({"formula": ["Si", "(GaAs)2", "Cu", "Si49Ge51"], "gap": [1.12, 1.42, 0, 0.95]})
    storage.write(table.rename(columns={"gap": "band_gap_experiment"}), tmp_path / "m.json.gz")
    run = ["--evaluate", "m.json.gz", "--target", "band_gap_experiment"]
    result = run_here(composition.main, *run, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "composition-experiment (comes with the project): 1 of 4 formulas were not in its training" in result.stdout
    found = scores(tmp_path, "composition-m")["composition-experiment"]
    bundled = models.load(models.BUNDLED, "experiment")
    expected = bundled.distribution(features.features(["Si", "GaAs", "Si49Ge51"])).median
    assert found["mae"] == pytest.approx(np.abs(expected - [1.12, 1.42, 0.95]).mean())
    assert found["unseen"]["all"]["n"] == 1
    storage.write(table.rename(columns={"gap": "energy"}), tmp_path / "e.json.gz")
    result = run_here(composition.main, "--evaluate", "e.json.gz", "--target", "energy", cwd=tmp_path)
    assert_failed(result, 2, "the models know band_gap_experiment and band_gap, not energy")


IMPOSSIBLE = [
    ("--cv", "1"),
    ("--cv", "x"),
    ("--tune", "0"),
    ("--seed", "-1"),
    ("--seed", str(2**32)),
    ("--jobs", "0"),
    ("--jobs", "-2"),
]


@pytest.mark.parametrize(("flag", "value"), IMPOSSIBLE)
def test_impossible_numbers_are_bad_usage(tmp_path: Path, flag: str, value: str) -> None:
    result = run_here(composition.main, flag, value, cwd=tmp_path)
    assert result.returncode == 2
    assert f"argument {flag}: " in result.stderr


def small_table(path: Path, metals: int) -> None:
    """Twelve non-metals, and so many metals."""
    gapped = ["NaCl", "KCl", "LiF", "MgO", "CaO", "AlN", "GaN", "SiC", "ZnO", "ZnS", "CdS", "AlP"]
    formulas = gapped + ["Cu", "Ag", "Au", "Al"][:metals]
    rows = {"formula": formulas, "band_gap": np.where(np.arange(len(formulas)) < 12, 2.0, 0.0)}
    storage.write(pd.DataFrame(rows), path)


@pytest.mark.parametrize(
    ("metals", "flags", "words"),
    [
        (3, ["--cv", "4"], "--cv: 4 folds need as many metals; found 3"),
        (0, ["--cv", "13"], "--cv: 13 folds need as many non-metals; found 12"),
    ],
)
def test_more_folds_than_rows_are_refused_before_the_work(
    tmp_path: Path, metals: int, flags: list[str], words: str
) -> None:
    small_table(tmp_path / "small.json.gz", metals)
    result = run_here(composition.main, "--data", "small.json.gz", *flags, cwd=tmp_path)
    assert_failed(result, 2, words)
    assert [path.name for path in tmp_path.iterdir()] == ["small.json.gz"]


def test_training_rows_choose_each_fold_is_tuned_and_the_seed_is_the_forests_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "CHOICES", {**evaluation.CHOICES, "n_estimators": [5, 10]})
    small_table(tmp_path / "small.json.gz", 4)
    flags = ["--tune", "2", "--cv", "2", "--seed", "3", "--jobs", "1"]
    result = run_here(composition.main, "--data", "small.json.gz", *flags, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    rows = evaluation.Rows.of(*models.read(tmp_path / "small.json.gz", None), tmp_path)
    rows.y[rows.test] = 1e9  # whatever the test rows say, the choice must not change
    chosen = evaluation.tune(rows, 2, seed=3, jobs=1)
    assert "tuned: " + ", ".join(f"{key} = {value}" for key, value in chosen.items()) in result.stdout
    model = models.load(tmp_path / "data" / "models", "combined")
    hyperparameters = model.card["hyperparameters"]
    assert {key: hyperparameters[key] for key in chosen} == chosen
    assert (hyperparameters["random_state"], hyperparameters["n_jobs"]) == (3, 1)
    assert model.training["formula"].tolist() == rows.formula[rows.train].tolist()  # by the split of seed 0
    found = scores(tmp_path)["cross-validation"]["combined"]
    assert len(found["hyperparameters"]) == 2
    line = "2-fold cross-validation, tuned within each fold's training rows, combined: MAE"
    assert f"{line} {found['mae']:.4f} ± {found['mae_std']:.4f} eV" in result.stdout


def test_a_table_without_gaps_trains_no_non_metals(tmp_path: Path) -> None:
    metals = pd.DataFrame({"formula": ["Cu", "Ag", "Au", "Al", "Na"], "band_gap": [0.0] * 5})
    storage.write(metals, tmp_path / "metals.json.gz")
    result = run_here(composition.main, "--data", "metals.json.gz", cwd=tmp_path)
    assert_failed(result, 2, "metals.json.gz", "non-metals")


def test_a_figure_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    small_table(tmp_path / "small.json.gz", 4)
    (tmp_path / "figures").write_text("a file where the folder should be")
    result = run_here(composition.main, "--data", "small.json.gz", "--jobs", "1", cwd=tmp_path)
    assert_failed(result, 2, "--figures", "is no folder")
    assert (tmp_path / "figures").read_text() == "a file where the folder should be"


def test_a_composition_has_the_gap_of_its_lowest_polymorph(trained: Path, tmp_path: Path) -> None:
    table = storage.read(trained / "data" / "bandgaps.json.gz", structures=False).head(60).assign(energy_per_atom=0.0)
    others = table.assign(band_gap=99.0, energy_per_atom=1.0)
    path = tmp_path / "polymorphs.json.gz"
    storage.write(pd.concat([others, table], ignore_index=True), path)
    account.write_meta(path, {"filters": {"leave_out": ["Si-Ge"]}})
    rows = evaluation.Rows.of(*models.read(path, None), path)
    model = models.fit(rows, "combined", seed=0, jobs=1, settings={"n_estimators": 3})
    models.save(model, tmp_path, path, evaluation.score(model, rows))
    model = models.load(tmp_path, "combined")
    learnt = table[table["split"] != "test"]
    assert dict(zip(model.training["formula"], model.training["target"], strict=True)) == dict(
        zip(learnt["formula"], learnt["band_gap"], strict=True)
    )
    assert model.card["left_out"] == ["Si-Ge"]
    assert model.card["scores"]["all"]["n"] == len(table) - len(learnt)


@needs_shared
def test_measured_gaps_are_learnt_without_the_alloy(tmp_path: Path) -> None:
    where = ["--source", "file", "--input", SHARED / "expt-gap.csv", "--output", tmp_path / "measured.json.gz"]
    what = ["--target", "band_gap_experiment", "--leave-out", "Si-Ge"]
    result = run_here(query.main, *where, *what, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    table = storage.read(tmp_path / "measured.json.gz", structures=False)
    listed = list(pd.read_csv(SHARED / "expt-gap.csv", keep_default_na=False)["formula"])
    others = [one for one in listed if not {"Si", "Ge"} <= {str(element) for element in Composition(one)}]
    assert len(others) == 4604 - 23
    assert len(table) == len(set(composition_keys(others)))
    assert not any({"Si", "Ge"} <= {str(element) for element in Composition(one)} for one in table["formula"])
    rows = evaluation.Rows.of(table, account.read_meta(tmp_path / "measured.json.gz")["target"], tmp_path)
    assert not set(rows.hashes[rows.test]) & set(rows.hashes[rows.train])
    X, y, hashes = rows.X[~rows.metal], rows.y[~rows.metal], rows.hashes[~rows.metal]
    out, found = gap_model.out_of_fold(X, y, hashes, lambda: forest.new(0, 2).set_params(n_estimators=30))
    assert len(out) == len(y)
    assert np.abs(found.median - y[out]).mean() < 0.4  # eV, of their mean 1.09


@needs_shared
def test_real_gaps_are_learnt_better_than_by_a_plain_forest(tmp_path: Path) -> None:
    lowest = gaps_of_2019().sort_values("formation_energy_per_atom").drop_duplicates("formula")
    gapped = lowest[lowest["band_gap"] > 0].sample(4000, random_state=0).reset_index(drop=True)
    rows = evaluation.Rows.of(gapped, "band_gap", tmp_path)
    model = forest.new(seed=1, jobs=2).set_params(n_estimators=30).fit(rows.X[rows.train], rows.y[rows.train])
    found = Distribution(*model.distribution(rows.X[rows.test]))
    assert np.abs(found.median - rows.y[rows.test]).mean() < 0.53  # eV; a forest of 100 plain trees on Magpie's: 0.61
