"""The benchmark of matbench's gap tasks: its folds, what its models may know, and that a stopped run goes on."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import SHARED, needs_shared

from bandgaps.composition import features, forest, measured
from bandgaps.errors import InputError
from benchmarks import matbench, matbench_checks
from benchmarks.matbench_data import EXPT, FOLDS_FILE, MP, SEED, Tasks, check_folds, official_folds

CATIONS = {"Li": 1, "Na": 1, "K": 1, "Mg": 2, "Ca": 2, "Zn": 2, "Al": 3, "Ga": 3}
ANIONS = {"O": 2, "S": 2, "Se": 2, "F": 1, "Cl": 1, "Br": 1, "N": 3, "P": 3}


def compounds() -> dict[str, float]:
    """Formulas whose charges balance, with a gap, and alloys and intermetallics without one (eV)."""
    result = {}
    for place, (cation, charge) in enumerate(CATIONS.items()):
        for anion, other in ANIONS.items():
            result[f"{cation}{other}{anion}{charge}"] = 1 + other + 0.1 * place
            result[f"{cation}3{anion}7"] = 0.0
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measured gaps of some compounds, PBE gaps of others and of half of the same."""
    path, gaps = tmp_path_factory.mktemp("matbench"), compounds()
    names = np.random.default_rng(0).permutation([*gaps]).tolist()
    alloys = [f"Zn{1 - x:g}Mg{x:g}O" for x in (0.1, 0.2, 0.3, 0.4)]
    measured_rows = [(name, gaps[name]) for name in names[:100]] + [(name, 3.0) for name in alloys]
    pd.DataFrame(measured_rows, columns=["formula", "target"]).to_csv(path / "expt-gap.csv", index=False)
    calculated = [(name, 0.6 * gaps[name]) for name in names[50:] for _ in range(2)]
    pd.DataFrame(calculated, columns=["formula", "target"]).to_csv(path / "matbench-mp-gap.csv", index=False)
    return path


@pytest.fixture(scope="module")
def tasks(folder: Path) -> Tasks:
    return Tasks.read(folder, jobs=1)


def run(folder: Path, output: Path, *arguments: str) -> Any:
    matbench.main(["--data", str(folder), "--output", str(output), "--jobs", "1", "--trees", "5", *arguments])
    return json.loads(output.read_text())


@needs_shared
def test_the_folds_are_matbenchs() -> None:
    check_folds(SHARED / FOLDS_FILE, {EXPT: official_folds(4604), MP: official_folds(106113)})
    with pytest.raises(InputError, match="fold 0 of expt_gap"):
        check_folds(SHARED / FOLDS_FILE, {EXPT: official_folds(4603)})


def test_folds_of_a_file_are_compared_with_those_of_the_seed(folder: Path, tmp_path: Path) -> None:
    for name in ("expt-gap.csv", "matbench-mp-gap.csv"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    folds = Tasks.read(folder, jobs=1).folds
    ids = {
        f"matbench_{name}": {
            f"fold_{k}": {"train": [f"mb-{row + 1:04}" for row in a], "test": [f"mb-{row + 1:04}" for row in b]}
            for k, (a, b) in enumerate(own)
        }
        for name, own in folds.items()
    }
    (tmp_path / FOLDS_FILE).write_bytes(gzip.compress(json.dumps(ids).encode()))
    Tasks.read(tmp_path, jobs=1)
    fold = ids["matbench_mp_gap"]["fold_3"]
    fold["test"], fold["train"] = [*fold["test"][1:], fold["train"][0]], [fold["test"][0], *fold["train"][1:]]
    (tmp_path / FOLDS_FILE).write_bytes(gzip.compress(json.dumps(ids).encode()))
    with pytest.raises(InputError, match="fold 3 of mp_gap"):
        Tasks.read(tmp_path, jobs=1)


def test_a_folder_without_the_tables_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expt-gap\.csv"):
        Tasks.read(tmp_path, jobs=1)


def test_both_tasks_from_end_to_end_and_a_second_run_computes_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(measured.OF_PUPIL, "n_estimators", 10)
    monkeypatch.setattr(matbench, "ORIENTATION_TREES", 5)
    monkeypatch.setattr(matbench_checks, "TEXTBOOK", {"ZnO": None, "PbS": 0.41})
    found = run(folder, tmp_path / "m.json")
    variants = matbench.variants(5)
    for part, names in variants.items():
        assert list(found[part]) == list(names)
        for each in found[part].values():
            assert len(each["folds"]) == 5
            maes = [fold["all"]["mae"] for fold in each["folds"]]
            assert each["mean"]["all"]["mae"] == pytest.approx(np.mean(maes))
            assert each["mae_std"] == pytest.approx(np.std(maes))
    assert found[EXPT]["recipe"]["mean"]["all"]["n"] == 104
    assert found[EXPT]["recipe"]["mean"]["calculated"]["n"] == 50
    assert {"within_68", "within_95"} <= set(found[EXPT]["fold_only"]["mean"]["non-metals"])
    assert found[EXPT]["fold_only"]["mean"]["all"]["roc_auc"] > 0.8
    assert found[MP]["ours"]["mean"]["new compositions"]["n"] < found[MP]["ours"]["mean"]["all"]["n"]
    assert (found["alloys"]["n"], found["alloys"]["metals"]) == (4, 0)
    assert [row["formula"] for row in found["textbook"]["compounds"]] == ["ZnO", "PbS"]
    assert found["textbook"]["known"]["n"] == 2
    printed = capsys.readouterr().out
    assert "| **our trees, our features, median** |" in printed
    assert "| CrabNet, leaderboard of January 2024 | 0.346 |" in printed
    assert "| **5 of our trees, our features, median** |" in printed
    maes = [row["mae"] for row in found["leaderboard"]["tables"][EXPT]]
    assert maes == sorted(maes)
    assert "NaN" not in (tmp_path / "m.json").read_text()

    def refuse(*_: Any) -> None:
        raise AssertionError("nothing is left to compute")

    monkeypatch.setattr(forest.UncertainForest, "fit", refuse)
    assert run(folder, tmp_path / "m.json") == found


def test_a_stopped_run_goes_on_at_its_fold(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(folder, tmp_path / "whole.json", "--parts", MP)
    fits: list[int] = []
    fit = forest.UncertainForest.fit

    def stopping(self: forest.UncertainForest, X: np.ndarray, y: np.ndarray) -> Any:
        if len(fits) == 7:
            raise KeyboardInterrupt
        fits.append(len(y))
        return fit(self, X, y)

    monkeypatch.setattr(forest.UncertainForest, "fit", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(folder, tmp_path / "m.json", "--parts", MP)
    stored = json.loads((tmp_path / "m.json").read_text())
    assert [len(each["folds"]) for each in stored[MP].values()] == [5, 2]
    fits.clear()
    assert run(folder, tmp_path / "m.json", "--parts", MP) == whole
    assert len(fits) == 3


def test_results_of_other_settings_are_not_mixed(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "m.json", "--parts", MP)
    with pytest.raises(InputError, match=r"m\.json.*another --output"):
        run(folder, tmp_path / "m.json", "--parts", MP, "--trees", "6")


@pytest.mark.parametrize(
    ("lesson", "spared"), [(matbench.fold_only, True), (matbench.never_calculated, True), (matbench.recipe, False)]
)
def test_no_judged_composition_is_among_what_was_fitted(
    lesson: Any, spared: bool, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The PBE gap of one may be for the bundled recipe, as its row says; a measured gap never."""
    fitted: list[np.ndarray] = []
    fit = forest.UncertainForest.fit

    def spied(self: forest.UncertainForest, X: np.ndarray, y: np.ndarray) -> Any:
        fitted.append(X)
        return fit(self, X, y)

    monkeypatch.setattr(forest.UncertainForest, "fit", spied)
    tasks = Tasks(tasks.expt, tasks.mp, tasks.folds, 1)  # that has asked no teacher yet
    fold = tasks.folds[EXPT][0]
    matbench.with_intervals(lesson)(tasks, fold)
    judged = {row.tobytes() for row in tasks.expt.X[fold[1]]}
    width = len(features.LABELS)
    pupils = [X for X in fitted if X.shape[1] > width or lesson is matbench.fold_only]
    teachers = [X for X in fitted if X.shape[1] == width and lesson is not matbench.fold_only]
    assert len(pupils) == 6
    assert len(teachers) == (0 if lesson is matbench.fold_only else 3)

    def meet(tables: list[np.ndarray]) -> bool:
        return any(row[:width].tobytes() in judged for X in tables for row in X)

    assert not meet(pupils)
    assert meet(teachers) != spared


def test_the_recipe_is_that_of_the_bundled_model(tasks: Tasks) -> None:
    test = tasks.folds[EXPT][0][1]
    everything = (np.arange(len(tasks.expt.y)), test)  # the guesses of a part are other than those of all
    taught, asked = matbench.recipe(tasks, everything)
    ours, _ = measured.fit_pupil(taught, None, SEED, 1)
    bundled, _ = measured.fit(tasks.mp, tasks.expt, SEED, 1)
    np.testing.assert_allclose(ours.distribution(asked).median, bundled.distribution(tasks.expt.X[test]).median)
    assert ours.intervals == bundled.intervals


def test_what_errs_less_is_nearer() -> None:
    found = matbench_checks.compared(np.array([[0.2, 0.4, 0.6], [0.1, 0.4, 0.4], [0.2, 0.4, 0.9]]))
    assert found["n"] == 3
    assert found["mean"] == {"mae": pytest.approx(0.4), "nearer": 0, "standard_error": 0}
    assert found["median"]["nearer"] == pytest.approx(0.1)
    assert found["median"]["standard_error"] == pytest.approx(0.1 / np.sqrt(3))
    assert found["interquartile mean"]["nearer"] == pytest.approx(-0.1)


def test_materials_of_the_same_elements_are_in_one_group() -> None:
    groups = matbench_checks.groups_of_elements(["GaAs", "Ga0.5As0.5", "AsGa", "Ga2O3", "In0.2Ga0.8As", "In0.3Ga0.7As"])
    assert groups[0] == groups[1] == groups[2]
    assert groups[4] == groups[5]
    assert set(groups.tolist()) <= set(range(matbench_checks.GROUPS))


def test_fractional_compositions_are_told_from_whole_ones() -> None:
    found = [bool(matbench_checks.FRACTIONAL.search(formula)) for formula in ("Ag0.5Ge1", "Ge.5Si.5", "Ge2Si", "Ge1.0")]
    assert found == [True, True, False, False]


def test_intervals_of_the_textbook_are_counted() -> None:
    said = {"band_gap": 1.0, "low": 0.5, "high": 1.5, "metal_probability": 0.1}
    rows = [{"measured": gap, "known": said} for gap in (0.5, 1.4, 2.0)]
    found = matbench_checks.over_all(rows, "known")
    assert found == {"n": 3, "mae": pytest.approx(1.9 / 3), "bias": pytest.approx(-0.9 / 3), "within_68": 2}


def test_the_textbook_has_twenty_semiconductors_with_measured_gaps() -> None:
    gaps = matbench_checks.measured_gaps()
    assert len(gaps) == 20
    assert all(0 < gap < 10 for gap in gaps.values())
    assert gaps["GaAs"] == pytest.approx(1.519)
