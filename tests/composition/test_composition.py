from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import SAMPLE, SHARED, Script, assert_failed, needs_shared, run_script
from pymatgen.core import Composition

from bandgaps import metrics, processors
from bandgaps.composition import evaluation, forest, magpie
from bandgaps.formulas import composition_keys
from bandgaps.table import account, storage

FIGURES = ["parity", "calibration", "importances"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which query.py and composition.py have run on the bundled sample."""
    folder = tmp_path_factory.mktemp("trained")
    for arguments in (
        ["query.py", "--source", "sample"],
        ["composition.py", "--baselines", "--cv", "2", "--jobs", "2"],
    ):
        result = run_script(*arguments, cwd=folder)
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
        model, _, training = forest.load(trained / "data" / "models" / f"composition-{name}", magpie.LABELS)
        assert not set(training["formula"]) & set(test["formula"])
        assert (min(training["target"]) > 0) == (name == "non-metals")
        predicted = model.predict(magpie.features(gapped["formula"].tolist()))
        expected = metrics.scores(gapped["band_gap"].to_numpy(), predicted)
        assert {key: found[name][key] for key in expected} == pytest.approx(expected)
    everything = metrics.scores(test["band_gap"].to_numpy(), model.predict(magpie.features(test["formula"].tolist())))
    assert found["combined"]["all"] == pytest.approx(everything)
    assert found["combined"]["all"]["n"] == len(test)


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
    assert set(table["feature"]) <= set(magpie.LABELS)


def test_predictions_are_printed_with_their_uncertainty(here: Path, script: Script) -> None:
    result = script("composition.py", "--predict", "Si49Ge51", "NaCl")
    assert result.returncode == 0, result.stderr
    header, *lines = result.stdout.splitlines()
    assert header.split() == ["formula", "non-metals", "(eV)", "combined", "(eV)"]
    for line, formula in zip(lines, ["Si49Ge51", "NaCl"], strict=True):
        name, *numbers = line.replace("±", " ").split()
        assert name == formula
        for model, pair in (("non-metals", numbers[:2]), ("combined", numbers[2:])):
            loaded, _, _ = forest.load(here / "data" / "models" / f"composition-{model}", magpie.LABELS)
            expected = np.array(loaded.predict(magpie.features([formula]), return_std=True)).ravel()
            assert [float(number) for number in pair] == pytest.approx(expected, abs=6e-4)


def test_an_unknown_element_is_named(here: Path, script: Script) -> None:
    assert_failed(script("composition.py", "--predict", "Si", "Xx2O3"), 2, "row 1", "Xx2O3")


def test_another_table_is_scored(here: Path, script: Script) -> None:
    table = storage.read(here / "data" / "bandgaps.json.gz").head(60)
    unseen = pd.DataFrame({"formula": ["Si49Ge51", "Si7Ge3"], "band_gap": [0.9, 0.9]})
    spelled = table[["formula", "band_gap"]].assign(formula="(" + table["formula"] + ")2")
    both = pd.concat([spelled, unseen], ignore_index=True)
    storage.write(both, here / "other.json.gz")
    result = script("composition.py", "--evaluate", "other.json.gz")
    assert result.returncode == 0, result.stderr
    found = scores(here, "composition-other")["combined"]
    assert found["all"]["n"] == 62
    seen = (table["split"] != "test").sum()
    assert found["unseen"]["all"]["n"] == 62 - seen
    assert f"combined: {62 - seen} of 62 formulas were not in its training" in result.stdout


def test_tuning_chooses_among_training_rows_alone(here: Path, script: Script) -> None:
    table = storage.read(here / "data" / "bandgaps.json.gz", structures=False).head(90)
    storage.write(table, here / "data" / "bandgaps.json.gz")
    rows = evaluation.Rows.of(table, "band_gap", Path("t"))
    rows.y[rows.test] = 1e9  # whatever the test rows say, the choice must not change
    chosen = evaluation.tune(rows, 2, seed=0, jobs=2)
    result = script("composition.py", "--tune", "2", "--jobs", "2")
    assert result.returncode == 0, result.stderr
    assert "tuned: " + ", ".join(f"{key} = {value}" for key, value in chosen.items()) in result.stdout
    card = json.loads((here / "data" / "models" / "composition-combined" / "model.json").read_text())
    assert {key: card["hyperparameters"][key] for key in chosen} == chosen


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
def test_impossible_numbers_are_bad_usage(script: Script, flag: str, value: str) -> None:
    result = script("composition.py", flag, value)
    assert result.returncode == 2
    assert f"argument {flag}: " in result.stderr


def small_table(path: Path, metals: int) -> None:
    """Twelve non-metals, and so many metals."""
    gapped = ["NaCl", "KCl", "LiF", "MgO", "CaO", "AlN", "GaN", "SiC", "ZnO", "ZnS", "CdS", "AlP"]
    formulas = gapped + ["Cu", "Ag", "Au", "Al"][:metals]
    rows = {"formula": formulas, "band_gap": np.where(np.arange(len(formulas)) < 12, 2.0, 0.0)}
    storage.write(pd.DataFrame(rows).assign(split=["train"] * 10 + ["test"] * (len(formulas) - 10)), path)


@pytest.mark.parametrize(
    ("metals", "flags", "words"),
    [
        (3, ["--cv", "4"], "--cv: 4 folds need as many metals; found 3"),
        (0, ["--cv", "13"], "--cv: 13 folds need as many non-metals; found 12"),
    ],
)
def test_more_folds_than_rows_are_refused_before_the_work(
    script: Script, tmp_path: Path, metals: int, flags: list[str], words: str
) -> None:
    small_table(tmp_path / "small.json.gz", metals)
    result = script("composition.py", "--data", "small.json.gz", *flags)
    assert_failed(result, 2, words)
    assert [path.name for path in tmp_path.iterdir()] == ["small.json.gz"]


def test_folds_are_tuned_one_by_one_and_all_cores_work(script: Script, tmp_path: Path) -> None:
    small_table(tmp_path / "small.json.gz", 4)
    result = script("composition.py", "--data", "small.json.gz", "--tune", "2", "--cv", "2")
    assert result.returncode == 0, result.stderr
    found = scores(tmp_path)["cross-validation"]["combined"]
    assert len(found["hyperparameters"]) == 2
    line = "2-fold cross-validation, tuned within each fold's training rows, combined: MAE"
    assert f"{line} {found['mae']:.4f} ± {found['mae_std']:.4f} eV" in result.stdout
    card = json.loads((tmp_path / "data" / "models" / "composition-combined" / "model.json").read_text())
    assert card["hyperparameters"]["n_jobs"] == processors.cores()


def test_the_seed_is_the_forests_alone(script: Script, tmp_path: Path) -> None:
    table = storage.read(SAMPLE, structures=False).drop_duplicates("formula").head(80)
    storage.write(table.drop(columns="split", errors="ignore"), tmp_path / "bare.json.gz")
    results = []
    for seed in ("0", "1"):
        result = script("composition.py", "--data", "bare.json.gz", "--seed", seed, "--models", seed)
        assert result.returncode == 0, result.stderr
        _, _, training = forest.load(tmp_path / seed / "composition-combined", magpie.LABELS)
        results.append((training["formula"].tolist(), scores(tmp_path)["combined"]["mae"]))
    assert results[0][0] == results[1][0] and results[0][1] != results[1][1]


def test_a_table_without_gaps_trains_no_non_metals(script: Script, tmp_path: Path) -> None:
    metals = pd.DataFrame({"formula": ["Cu", "Ag", "Au", "Al", "Na"], "band_gap": [0.0] * 5})
    storage.write(metals, tmp_path / "metals.json.gz")
    assert_failed(script("composition.py", "--data", "metals.json.gz"), 2, "metals.json.gz", "non-metals")


def test_a_figure_folder_that_cannot_be_written_is_named(here: Path, script: Script) -> None:
    (here / "figures").write_text("a file where the folder should be")
    result = script("composition.py", "--jobs", "2")
    assert_failed(result, 1, "figures")
    assert (here / "figures").read_text() == "a file where the folder should be"


def test_a_composition_has_the_gap_of_its_lowest_polymorph(here: Path, script: Script) -> None:
    table = storage.read(here / "data" / "bandgaps.json.gz", structures=False).head(60).assign(energy_per_atom=0.0)
    others = table.assign(band_gap=99.0, energy_per_atom=1.0)
    path = here / "data" / "polymorphs.json.gz"
    storage.write(pd.concat([others, table], ignore_index=True), path)
    account.write_meta(path, {"filters": {"leave_out": ["Si-Ge"]}})
    result = script("composition.py", "--data", path, "--jobs", "2")
    assert result.returncode == 0, result.stderr
    _, card, training = forest.load(here / "data" / "models" / "composition-combined", magpie.LABELS)
    learnt = table[table["split"] != "test"]
    assert dict(zip(training["formula"], training["target"], strict=True)) == dict(
        zip(learnt["formula"], learnt["band_gap"], strict=True)
    )
    assert card["left_out"] == ["Si-Ge"]
    assert scores(here)["combined"]["all"]["n"] == len(table) - len(learnt)


@needs_shared
def test_measured_gaps_are_learnt_without_the_alloy(tmp_path: Path) -> None:
    where = ["--source", "file", "--input", SHARED / "expt-gap.csv", "--output", tmp_path / "measured.json.gz"]
    what = ["--target", "band_gap_experiment", "--leave-out", "Si-Ge"]
    result = run_script("query.py", *where, *what, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    table = storage.read(tmp_path / "measured.json.gz")
    listed = list(pd.read_csv(SHARED / "expt-gap.csv", keep_default_na=False)["formula"])
    others = [one for one in listed if not {"Si", "Ge"} <= {str(element) for element in Composition(one)}]
    assert len(others) == 4604 - 23
    assert len(table) == len(set(composition_keys(others)))
    assert not any({"Si", "Ge"} <= {str(element) for element in Composition(one)} for one in table["formula"])
    rows = evaluation.Rows.of(table, account.read_meta(tmp_path / "measured.json.gz")["target"], tmp_path)
    assert not set(rows.formula[rows.test]) & set(rows.formula[rows.train])
    folds = evaluation.cross_validate(rows, 5, seed=0, jobs=2)["non-metals"]
    assert folds["mae"] < 0.41  # eV, of their mean 1.09; one split alone scatters by 0.03


@needs_shared
def test_real_gaps_are_learnt_as_well_as_by_a_plain_forest(tmp_path: Path) -> None:
    table = storage.read(SHARED / "mp-2019.json.gz", structures=False)
    lowest = table.loc[table.groupby("formula")["formation_energy_per_atom"].idxmin()]
    gapped = lowest[lowest["band_gap"] > 0].reset_index(drop=True)
    rows = evaluation.Rows.of(gapped, "band_gap", tmp_path)
    model = forest.new(seed=1, jobs=2).fit(rows.X[rows.train], rows.y[rows.train])
    assert evaluation.score(model, rows)["mae"] < 0.53  # eV; a forest of 100 plain trees: 0.527
