from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import Script, assert_failed, run_script
from pdf import colours, rgb, words

from bandgaps import plotting
from bandgaps.alloy import measured_curves
from bandgaps.composition import forest, magpie, sweep

FORMULAS = ["Si", "Ge", "SiC", "NaCl", "LiF", "MgO", "GaAs", "AlP", "Cu", "Si3Ge"]
GAPS = np.array([0.61, 0.0, 1.4, 5.0, 8.7, 4.4, 0.2, 1.6, 0.0, 0.5])


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which explore_composition.py has drawn two small forests."""
    folder = tmp_path_factory.mktemp("explored")
    for name, part in (("combined", GAPS >= 0), ("non-metals", GAPS > 0)):
        formulas, gaps = np.array(FORMULAS)[part], GAPS[part]
        model = forest.new().fit(magpie.features(formulas.tolist()), gaps)
        training = {"formula": formulas, "target": gaps}
        models = folder / "data" / "models" / f"composition-{name}"
        forest.save(model, models, {"target": "band_gap"}, magpie.LABELS, training)
    result = run_script("explore_composition.py", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.parametrize("name", ["combined", "non-metals"])
def test_the_numbers_behind_the_curve(explored: Path, name: str) -> None:
    table = pd.read_csv(explored / "figures" / f"SiGe-composition-{name}.csv")
    assert table.columns.tolist() == ["x_Ge", "band_gap", "band_gap_std", "band_gap_measured"]
    np.testing.assert_allclose(table["x_Ge"], np.arange(101) / 100)
    np.testing.assert_allclose(table["band_gap_measured"], measured_curves.gap(("Si", "Ge"), table["x_Ge"]), atol=1e-5)
    model, _, _ = forest.load(explored / "data" / "models" / f"composition-{name}", magpie.LABELS)
    gap, std = model.predict(magpie.features(["Si49Ge51"]), return_std=True)
    row = table[table["x_Ge"] == 0.51].iloc[0]
    assert (row["band_gap"], row["band_gap_std"]) == pytest.approx((gap[0], std[0]), rel=1e-5)


@pytest.mark.parametrize("name", ["combined", "non-metals"])
def test_the_figure_says_what_it_shows(explored: Path, name: str) -> None:
    path = explored / "figures" / f"SiGe-composition-{name}.pdf"
    text = words(path)
    for expected in ("band gap (eV)", "predicted", "measured (Weber & Alonso, 4.2 K)", "rows the model", name):
        assert expected in text
    assert {rgb(plotting.BLUE), rgb(plotting.RED), rgb(plotting.ORANGE)} <= colours(path)


def test_training_rows_of_the_system_are_the_points(explored: Path) -> None:
    _, _, training = forest.load(explored / "data" / "models" / "composition-combined", magpie.LABELS)
    known = sweep.known(("Si", "Ge"), training)
    assert known.columns.tolist() == ["x_Ge", "band_gap"]
    assert list(known.itertuples(index=False, name=None)) == [(0.0, 0.61), (0.25, 0.5), (1.0, 0.0)]


def test_training_rows_of_the_system_are_found_under_any_spelling() -> None:
    formulas = ["(SiGe)2", "Ge4", "SiGeO4", "Ge2SiSi", "Si0.75Ge0.25", "SiC", "S", "GeSi3", "Si(Ge)"]
    known = sweep.known(("Si", "Ge"), {"formula": np.array(formulas), "target": np.arange(9.0)})
    assert [tuple(row) for row in known.to_numpy()] == [(0.25, 4), (0.25, 7), (0.5, 0), (0.5, 3), (0.5, 8), (1, 1)]


def test_no_training_row_of_the_system_is_no_point() -> None:
    assert sweep.known(("Si", "Ge"), {"formula": np.array(["SiC"]), "target": np.array([1.4])}).empty


def test_a_training_row_that_is_no_formula_is_named(explored: Path, script: Script, tmp_path: Path) -> None:
    model, card, training = forest.load(explored / "data" / "models" / "composition-non-metals", magpie.LABELS)
    training = {"formula": np.array(["Si", "Xx"]), "target": np.array([0.61, 1.0])}
    forest.save(model, tmp_path / "composition-non-metals", card, magpie.LABELS, training)
    result = script("explore_composition.py", "--models", tmp_path)
    assert_failed(result, 2, f"{tmp_path}, model non-metals, its training rows: row 1", "'Xx'")


def test_the_straight_line_has_the_ends_of_the_measured_curve() -> None:
    measured = measured_curves.gap(("Si", "Ge"), sweep.FRACTIONS)
    found = sweep.references(measured)
    assert found["measured"]["mean_absolute_deviation"] == 0
    for x in ("0", "1"):
        assert found["straight-line"][x] == pytest.approx(found["measured"][x])
    assert found["straight-line"]["0.5"] == pytest.approx((measured[0] + measured[-1]) / 2)
    assert sweep.references(np.full(101, np.nan)) == {}


def test_the_deviation_is_that_of_the_numbers(explored: Path) -> None:
    results = json.loads((explored / "data" / "metrics" / "SiGe-composition.json").read_text())
    table = pd.read_csv(explored / "figures" / "SiGe-composition-combined.csv")
    deviation = (table["band_gap"] - table["band_gap_measured"]).abs().mean()
    assert results["combined"]["mean_absolute_deviation"] == pytest.approx(deviation, abs=1e-5)


def test_a_system_nobody_measured_has_no_measured_curve(explored: Path) -> None:
    result = run_script("explore_composition.py", "--system", "Na-Cl", "--metrics", "other", cwd=explored)
    assert result.returncode == 0, result.stderr
    assert (explored / "other" / "NaCl-composition.json").exists()
    table = pd.read_csv(explored / "figures" / "NaCl-composition-combined.csv")
    assert table.columns.tolist()[0] == "x_Cl"
    assert table["band_gap_measured"].isna().all()
    assert "measured" not in words(explored / "figures" / "NaCl-composition-combined.pdf")


MEASURED = {"Si": 1.17, "SiC": 2.4, "NaCl": 8.5, "LiF": 13.6, "MgO": 7.8, "GaAs": 1.4, "AlP": 2.5, "Cu": 0.0}


def save_measured(folder: Path) -> None:
    """Two small forests that learnt measured gaps."""
    for name in ("combined", "non-metals"):
        formulas = np.array([formula for formula, gap in MEASURED.items() if gap > 0 or name == "combined"])
        gaps = np.array([MEASURED[formula] for formula in formulas.tolist()])
        model = forest.new().fit(magpie.features(formulas.tolist()), gaps)
        card = {"target": "band_gap_experiment", "left_out": ["Si-Ge"]}
        forest.save(model, folder / f"composition-{name}", card, magpie.LABELS, {"formula": formulas, "target": gaps})


@pytest.fixture(scope="module")
def both(explored: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which those of `explored` were drawn beside two that learnt measured gaps."""
    folder = tmp_path_factory.mktemp("both")
    shutil.copytree(explored / "data" / "models", folder / "data" / "models")
    save_measured(folder / "data" / "models" / "experiment")
    result = run_script("explore_composition.py", "--measured-models", "data/models/experiment", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "1 of the rows it was trained on are measured gaps of Si-Ge" in result.stdout
    return folder


@pytest.mark.parametrize("name", ["combined", "non-metals"])
def test_a_model_of_measured_gaps_is_drawn_beside(both: Path, explored: Path, name: str) -> None:
    figure = both / "figures" / f"SiGe-composition-{name}.pdf"
    assert "from measured gaps (experiment)" in words(figure) and "from calculated gaps" in words(figure)
    assert {rgb(plotting.BLUE), rgb(plotting.GREEN)} <= colours(figure)
    table = pd.read_csv(figure.with_suffix(".csv"))
    model, _, _ = forest.load(both / "data" / "models" / "experiment" / f"composition-{name}", magpie.LABELS)
    gap, std = model.predict(magpie.features(["Si49Ge51"]), return_std=True)
    row = table[table["x_Ge"] == 0.51].iloc[0]
    found = row["band_gap_experiment"], row["band_gap_experiment_std"]
    assert found == pytest.approx((gap[0], std[0]), rel=1e-5)

    results = json.loads((both / "data" / "metrics" / "SiGe-composition.json").read_text())
    alone = json.loads((explored / "data" / "metrics" / "SiGe-composition.json").read_text())
    assert results[name] == alone[name] and results["experiment"][name]["0.51"] == pytest.approx(gap[0])
    deviation = (table["band_gap_experiment"] - table["band_gap_measured"]).abs().mean()
    assert results["experiment"][name]["mean_absolute_deviation"] == pytest.approx(deviation, abs=1e-5)
    assert results["experiment"][name]["left_out"] == ["Si-Ge"]
    assert results["experiment"][name]["trained_on_system"] == 1  # pure silicon


def test_measured_models_are_drawn_only_where_asked_for(both: Path, tmp_path: Path) -> None:
    result = run_script("explore_composition.py", "--metrics", tmp_path, "--figures", tmp_path, cwd=both)
    assert result.returncode == 0, result.stderr
    assert "measured gaps" not in result.stdout
    assert "experiment" not in json.loads((tmp_path / "SiGe-composition.json").read_text())


def test_without_one_nothing_is_said_of_it(explored: Path) -> None:
    figure = explored / "figures" / "SiGe-composition-combined.pdf"
    assert "experiment" not in words(figure) and rgb(plotting.GREEN) not in colours(figure)
    assert "experiment" not in json.loads((explored / "data" / "metrics" / "SiGe-composition.json").read_text())


def test_a_model_of_calculated_gaps_does_not_pass_for_one_of_measured(explored: Path, script: Script) -> None:
    folder = explored / "data" / "models"  # of models that learnt band_gap
    result = script("explore_composition.py", "--models", folder, "--measured-models", folder)
    assert_failed(
        result, 2, "--measured-models: ", "composition-non-metals", "learnt band_gap,", "--target band_gap_experiment"
    )
    result = script("explore_composition.py", "--models", folder, "--measured-models", "none")
    assert_failed(result, 2, "--measured-models: none/composition-non-metals", "no model")


def test_a_damaged_model_is_named(explored: Path, script: Script, tmp_path: Path) -> None:
    shutil.copytree(explored / "data", tmp_path / "data")
    path = tmp_path / "data" / "models" / "composition-non-metals" / "trees.npz"
    path.write_bytes(path.read_bytes()[:-100])
    assert_failed(script("explore_composition.py"), 2, "trees.npz", "damaged")
