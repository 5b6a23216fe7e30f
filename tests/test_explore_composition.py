from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import Script, assert_failed, run_script
from pdf import colours, rgb, words

from bandgaps import experiment, figures, forest, magpie

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
    np.testing.assert_allclose(table["band_gap_measured"], experiment.gap(("Si", "Ge"), table["x_Ge"]), atol=1e-5)
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
    assert {rgb(figures.BLUE), rgb(figures.RED), rgb(figures.ORANGE)} <= colours(path)


def test_training_rows_of_the_system_are_the_points(explored: Path) -> None:
    import explore_composition

    _, _, training = forest.load(explored / "data" / "models" / "composition-combined", magpie.LABELS)
    known = explore_composition.known(("Si", "Ge"), training)
    assert sorted(known.itertuples(index=False, name=None)) == [(0.0, 0.61), (0.25, 0.5), (1.0, 0.0)]


def test_the_deviation_is_that_of_the_numbers(explored: Path) -> None:
    results = json.loads((explored / "data" / "metrics" / "alloy-composition.json").read_text())
    table = pd.read_csv(explored / "figures" / "SiGe-composition-combined.csv")
    deviation = (table["band_gap"] - table["band_gap_measured"]).abs().mean()
    assert results["combined"]["mean_absolute_deviation"] == pytest.approx(deviation, abs=1e-5)


def test_a_system_nobody_measured_has_no_measured_curve(explored: Path) -> None:
    result = run_script("explore_composition.py", "--system", "Na-Cl", "--metrics", "other", cwd=explored)
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(explored / "figures" / "NaCl-composition-combined.csv")
    assert table.columns.tolist()[0] == "x_Cl"
    assert table["band_gap_measured"].isna().all()
    assert "measured" not in words(explored / "figures" / "NaCl-composition-combined.pdf")


def test_a_damaged_model_is_named(explored: Path, script: Script, tmp_path: Path) -> None:
    shutil.copytree(explored / "data", tmp_path / "data")
    path = tmp_path / "data" / "models" / "composition-combined" / "trees.npz"
    path.write_bytes(path.read_bytes()[:-100])
    assert_failed(script("explore_composition.py"), 2, "trees.npz", "damaged")
