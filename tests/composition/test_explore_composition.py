from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import assert_failed, run_here
from pdf import colours, rgb, words
from scipy.stats import trim_mean

import explore_composition
from bandgaps import plotting
from bandgaps.alloy import measured_curves
from bandgaps.composition import features, forest, models, sweep
from bandgaps.composition.gap_model import GapModel
from bandgaps.intervals import Intervals

FORMULAS = ["Si", "Ge", "SiC", "NaCl", "LiF", "MgO", "GaAs", "AlP", "Cu", "Si3Ge"]
GAPS = np.array([0.61, 0.0, 1.4, 5.0, 8.7, 4.4, 0.2, 1.6, 0.0, 0.5])


def grown(formulas: np.ndarray, gaps: np.ndarray, name: str, target: str = "band_gap") -> GapModel:
    """A small model that was left without an alloy."""
    X = features.features(formulas.tolist())
    model = forest.new(jobs=1).set_params(min_samples_split=2).fit(X, gaps)
    card = {"name": f"composition-{name}", "target": target, "left_out": ["Si-Ge"]}
    return GapModel(model, Intervals(), card, {"formula": formulas, "target": gaps})


def explore(*flags: object, cwd: Path) -> str:
    """What explore_composition.py prints."""
    result = run_here(explore_composition.main, *flags, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result.stdout


MODELS = Path("data/models")
MEASURED = {"Si": 1.17, "SiC": 2.4, "NaCl": 8.5, "LiF": 13.6, "MgO": 7.8, "GaAs": 1.4, "AlP": 2.5, "Cu": 0.0}


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two small forests were drawn beside two that learnt measured gaps."""
    folder = tmp_path_factory.mktemp("explored")
    measured = np.array(list(MEASURED)), np.array(list(MEASURED.values()))
    for name in ("combined", "non-metals"):
        part, listed = (values > 0 if name == "non-metals" else values >= 0 for values in (GAPS, measured[1]))
        grown(np.array(FORMULAS)[part], GAPS[part], name).save(folder / MODELS / f"composition-{name}")
        model = grown(measured[0][listed], measured[1][listed], name, "band_gap_experiment")
        model.save(folder / MODELS / "own" / f"composition-{name}")
    output = explore("--models", MODELS, "--measured-models", MODELS / "own", cwd=folder)
    (folder / "output.txt").write_text(output)
    return folder


def asked(explored: Path, name: str, below: str = ".") -> tuple[float, float]:
    """The mean over the middle half of a model's trees, and sigma, for Si49Ge51."""
    found = models.load(explored / MODELS / below, name).distribution(features.features(["Si49Ge51"]))
    if name == "non-metals":
        found = found.without_metals()
    return float(found.interquartile_mean[0]), float(found.std[0])


@pytest.mark.parametrize("name", ["combined", "non-metals"])
def test_the_numbers_behind_the_curves(explored: Path, name: str) -> None:
    table = pd.read_csv(explored / "figures" / f"SiGe-composition-{name}.csv")
    columns = ["x_Ge", "band_gap", "band_gap_std", "band_gap_measured", "band_gap_experiment"]
    assert table.columns.tolist() == [*columns, "band_gap_experiment_std"]
    np.testing.assert_allclose(table["x_Ge"], np.arange(101) / 100)
    np.testing.assert_allclose(table["band_gap_measured"], measured_curves.gap(("Si", "Ge"), table["x_Ge"]), atol=1e-5)
    row = table[table["x_Ge"] == 0.51].iloc[0]
    assert (row["band_gap"], row["band_gap_std"]) == pytest.approx(asked(explored, name), rel=1e-5)
    found = row["band_gap_experiment"], row["band_gap_experiment_std"]
    assert found == pytest.approx(asked(explored, name, "own"), rel=1e-5)


@pytest.mark.parametrize("name", ["combined", "non-metals"])
def test_the_figure_says_what_it_shows(explored: Path, name: str) -> None:
    path = explored / "figures" / f"SiGe-composition-{name}.pdf"
    text = words(path)
    for expected in ("band gap (eV)", "predicted PBE gap ± σ", "predicted measured gap ± σ", name):
        assert expected in text
    for expected in ("\nmeasured (Weber & Alonso, 4.2 K)", "rows the model"):
        assert expected in text
    assert {rgb(plotting.PREDICTED), rgb(plotting.SECOND), rgb(plotting.MEASURED), rgb(plotting.CALCULATED)} <= colours(
        path
    )


def test_training_rows_of_the_system_are_the_points(explored: Path) -> None:
    known = sweep.known(("Si", "Ge"), models.load(explored / MODELS, "combined").training)
    assert known.columns.tolist() == ["x_Ge", "band_gap"]
    assert list(known.itertuples(index=False, name=None)) == [(0.0, 0.61), (0.25, 0.5), (1.0, 0.0)]


def test_training_rows_of_the_system_are_found_under_any_spelling() -> None:
    formulas = ["(SiGe)2", "Ge4", "SiGeO4", "Ge2SiSi", "Si0.75Ge0.25", "SiC", "S", "GeSi3", "Si(Ge)"]
    known = sweep.known(("Si", "Ge"), {"formula": np.array(formulas), "target": np.arange(9.0)})
    assert [tuple(row) for row in known.to_numpy()] == [(0.25, 4), (0.25, 7), (0.5, 0), (0.5, 3), (0.5, 8), (1, 1)]


def test_training_rows_between_two_compounds_are_found() -> None:
    formulas = ["GaAs", "AlAs", "Al3GaAs4", "Al0.5Ga0.5As", "Al0.5Ga0.5As0.9", "GaAl", "As", "InAs", "GaAlAs2P"]
    known = sweep.known(("GaAs", "AlAs"), {"formula": np.array(formulas), "target": np.arange(9.0)})
    assert known.columns.tolist() == ["x_Al", "band_gap"]
    assert [tuple(row) for row in known.to_numpy()] == [(0, 0), (0.5, 3), (0.75, 2), (1, 1)]


def test_no_training_row_of_the_system_is_no_point() -> None:
    assert sweep.known(("Si", "Ge"), {"formula": np.array(["SiC"]), "target": np.array([1.4])}).empty


def test_gaps_that_are_not_told_are_no_points() -> None:
    assert sweep.known(("Si", "Ge"), {"formula": np.array(["Si", "SiGe"])}).empty


def test_a_training_row_that_is_no_formula_is_named(explored: Path, tmp_path: Path) -> None:
    model = models.load(explored / MODELS, "non-metals")
    training = {"formula": np.array(["Si", "Xx"]), "target": np.array([0.61, 1.0])}
    for name in ("combined", "non-metals"):
        replace(model, training=training).save(tmp_path / f"composition-{name}")
    result = run_here(explore_composition.main, "--models", tmp_path, cwd=tmp_path)
    assert_failed(result, 2, "model composition-non-metals, its training rows: row 1", "'Xx'")


def test_without_metals_those_trees_are_asked_that_see_none() -> None:
    model, measured = grown(np.array(FORMULAS), GAPS, "combined"), np.full(101, np.nan)
    found = model.distribution(features.features(["Si49Ge51"]))
    votes = np.sort(np.ravel([tree.predict(features.features(["Si49Ge51"])) for tree in model.forest.estimators_]))
    assert 0 < (votes == 0).sum() < 100
    tables = {name: sweep.sweep(model, name, ("Si", "Ge"), measured).table for name in ("combined", "non-metals")}
    assert tables["combined"]["band_gap"][51] == pytest.approx(trim_mean(votes, 0.25), abs=1e-6)
    middle = trim_mean(votes[votes > 0], 0.25)
    assert tables["non-metals"]["band_gap"][51] == pytest.approx(middle, abs=0.01)  # values are spread over places
    assert tables["combined"]["band_gap_std"][51] == tables["non-metals"]["band_gap_std"][51]
    assert tables["combined"]["band_gap_std"][51] == pytest.approx(found.std[0])


def test_the_straight_line_has_the_ends_of_the_measured_curve() -> None:
    measured = measured_curves.gap(("Si", "Ge"), sweep.FRACTIONS)
    found = sweep.references(measured)
    assert found["measured"]["mean_absolute_deviation"] == 0
    for x in ("0", "1"):
        assert found["straight-line"][x] == pytest.approx(found["measured"][x])
    assert found["straight-line"]["0.5"] == pytest.approx((measured[0] + measured[-1]) / 2)
    assert sweep.references(np.full(101, np.nan)) == {}


@pytest.mark.parametrize("name", ["combined", "non-metals"])
def test_the_deviations_are_those_of_the_numbers(explored: Path, name: str) -> None:
    results = json.loads((explored / "data" / "metrics" / "SiGe-composition.json").read_text())
    table = pd.read_csv(explored / "figures" / f"SiGe-composition-{name}.csv")
    for found, column in ((results[name], "band_gap"), (results["experiment"][name], "band_gap_experiment")):
        deviation = (table[column] - table["band_gap_measured"]).abs().mean()
        assert found["mean_absolute_deviation"] == pytest.approx(deviation, abs=1e-5)
        assert found["0.51"] == pytest.approx(table[column][51], rel=1e-5)
    assert results["experiment"][name]["left_out"] == ["Si-Ge"]
    assert results["experiment"][name]["trained_on_system"] == 1  # pure silicon
    output = (explored / "output.txt").read_text()
    assert output.count("note: 1 of the rows it was trained on are measured gaps of Si-Ge") == 2


def test_a_system_nobody_measured_has_no_measured_curve(explored: Path, tmp_path: Path) -> None:
    folders = ["--models", explored / MODELS, "--measured-models", explored / MODELS / "own"]
    explore("--system", "Na-Cl", *folders, cwd=tmp_path)
    results = json.loads((tmp_path / "data" / "metrics" / "NaCl-composition.json").read_text())
    assert results["combined"]["mean_absolute_deviation"] is None and "straight-line" not in results
    table = pd.read_csv(tmp_path / "figures" / "NaCl-composition-combined.csv")
    assert table.columns.tolist()[0] == "x_Cl"
    assert table["band_gap_measured"].isna().all()
    assert "\nmeasured" not in words(tmp_path / "figures" / "NaCl-composition-combined.pdf")


def test_an_alloy_of_compounds_is_drawn_against_what_was_measured(explored: Path, tmp_path: Path) -> None:
    folders = ["--models", explored / MODELS, "--measured-models", explored / MODELS / "own"]
    explore("--system", "GaAs-AlAs", *folders, cwd=tmp_path)
    table = pd.read_csv(tmp_path / "figures" / "GaAsAlAs-composition-combined.csv")
    asked = models.load(explored / MODELS, "combined").distribution(features.features(["Al0.3Ga0.7As"]))
    row = table[table["x_Al"] == 0.3].iloc[0]
    assert row["band_gap"] == pytest.approx(float(asked.interquartile_mean[0]), rel=1e-5)
    assert row["band_gap_measured"] == pytest.approx(1.937, abs=1e-3)
    text = words(tmp_path / "figures" / "GaAsAlAs-composition-combined.pdf")
    assert "Vurgaftman et al., 0 K" in text and "Γ–X" in text and "(GaAs)" in text
    result = run_here(explore_composition.main, "--system", "GaAs-InP", *folders, cwd=tmp_path)
    assert_failed(result, 2, "--system: ", "do not differ in one element")


def test_the_models_that_come_with_the_project_are_drawn_by_default(explored: Path, tmp_path: Path) -> None:
    shutil.copytree(explored / "data", tmp_path / "data")  # with models of one's own, which nobody named
    output = explore(cwd=tmp_path)
    results = json.loads((tmp_path / "data" / "metrics" / "SiGe-composition.json").read_text())
    for name in ("combined", "non-metals"):
        assert f"wrote figures/SiGe-composition-{name}.pdf" in output
        text = words(tmp_path / "figures" / f"SiGe-composition-{name}.pdf")
        assert "predicted PBE gap ± σ" in text and "predicted measured gap ± σ" in text
        table = pd.read_csv(tmp_path / "figures" / f"SiGe-composition-{name}.csv")
        columns = ["band_gap", "band_gap_std", "band_gap_experiment", "band_gap_experiment_std"]
        assert table[columns].notna().all(axis=None) and len(table) == 101
        assert table["band_gap"].iloc[0] == pytest.approx(0.6, abs=0.5)  # eV, of silicon by PBE
        assert results["experiment"][name]["mean_absolute_deviation"] < results[name]["mean_absolute_deviation"]
        assert results["experiment"][name]["left_out"] == ["Ge-Si"]
        assert results["experiment"][name]["trained_on_system"] == 0
    found = models.load(models.BUNDLED, "experiment").distribution(features.features(["Si49Ge51"]))
    assert results["experiment"]["combined"]["0.51"] == pytest.approx(found.interquartile_mean[0])


def test_a_model_of_calculated_gaps_does_not_pass_for_one_of_measured(explored: Path, tmp_path: Path) -> None:
    folder = explored / MODELS  # of models that learnt band_gap
    flags = ["--models", folder, "--measured-models"]
    result = run_here(explore_composition.main, *flags, folder, cwd=tmp_path)
    words_of_it = ("--measured-models: ", "composition-non-metals", "learnt band_gap,", "--fidelity experiment")
    assert_failed(result, 2, *words_of_it)
    result = run_here(explore_composition.main, *flags, "none", cwd=tmp_path)
    assert_failed(result, 2, "--measured-models: none/composition-experiment", "no model")


def test_a_damaged_model_is_named(explored: Path, tmp_path: Path) -> None:
    shutil.copytree(explored / "data", tmp_path / "data")
    path = tmp_path / MODELS / "composition-non-metals" / "trees.npz"
    path.write_bytes(path.read_bytes()[:-100])
    result = run_here(explore_composition.main, "--models", MODELS, cwd=tmp_path)
    assert_failed(result, 2, "trees.npz", "damaged")
