from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import SHARED, Result, Script, assert_failed, needs_shared, run_script
from pdf import colours, rgb, words

from bandgaps import alloys, experiment, figures, graphs, megnet

PUBLISHED = SHARED / "megnet-weights" / "mp-2018.6.1" / "band_gap_regression.hdf5"
NAMES = ("disordered-structures", "disordered-structures-scaled")


def some_model() -> megnet.Model:
    """Two members with random weights: enough to tell whether the right crystals reach it."""
    settings = megnet.Hyperparameters()
    members = []
    for seed in (0, 1):
        generator = np.random.default_rng(seed)
        shapes = settings.weight_shapes().items()
        members.append(
            {name: generator.normal(0, shape[0] ** -0.5, shape).astype(np.float32) for name, shape in shapes}
        )
    return megnet.Model(settings, members)


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A folder in which explore_structure.py has run with that model, and what it printed."""
    folder = tmp_path_factory.mktemp("explored")
    megnet.save(some_model(), folder / "data" / "models" / "megnet-band_gap")
    result = run_script("explore_structure.py", "--max-atoms", 6, "--composition", "Si49Ge51", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder, result


def points(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "figures" / f"SiGe-{name}.csv")


@pytest.mark.parametrize("name", NAMES)
def test_every_ordering_is_a_row(explored: tuple[Path, Result], name: str) -> None:
    table = points(explored[0], name)
    assert table.columns.tolist() == ["x_Ge", "n_atoms", "multiplicity", "band_gap", "band_gap_std"]
    assert table["n_atoms"].value_counts().to_dict() == {2: 3, 4: 7, 6: 33}
    assert table["x_Ge"].between(0, 1).all()
    assert (table["band_gap_std"] > 0).all()


@pytest.mark.parametrize(("name", "germanium"), zip(NAMES, (5.431, 5.658), strict=True))
def test_orderings_are_predicted_at_the_volume_the_figure_names(
    explored: tuple[Path, Result], name: str, germanium: float
) -> None:
    table = points(explored[0], name)
    ends = [alloys.diamond("Si", 5.431), alloys.diamond("Ge", germanium)]
    expected, _ = some_model().predict(graphs.build(ends, 4.0))
    assert table["band_gap"].iloc[[0, -1]].to_numpy() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_means_are_those_of_the_rows(explored: tuple[Path, Result], name: str) -> None:
    table = points(explored[0], name)
    means = pd.read_csv(explored[0] / "figures" / f"SiGe-{name}-means.csv")
    assert means["orderings"].sum() == len(table)
    for _, row in means.iterrows():
        group = table[np.isclose(table["x_Ge"], row["x_Ge"], atol=1e-5)]
        assert row["band_gap"] == pytest.approx(np.average(group["band_gap"], weights=group["multiplicity"]), abs=1e-4)
    np.testing.assert_allclose(means["band_gap_measured"], experiment.gap(("Si", "Ge"), means["x_Ge"]), atol=1e-5)
    metrics = json.loads((explored[0] / "data" / "metrics" / "alloy.json").read_text())
    deviation = (means["band_gap"] - means["band_gap_measured"]).abs().mean()
    scaled = "scaled" if name.endswith("scaled") else "unscaled"
    assert metrics[scaled]["mean_absolute_deviation"] == pytest.approx(deviation, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_figure_says_what_it_shows(explored: tuple[Path, Result], name: str) -> None:
    path = explored[0] / "figures" / f"SiGe-{name}.pdf"
    volume = "at the alloy's volume" if name.endswith("scaled") else "at Si's volume"
    text = words(path)
    for expected in ("band gap (eV)", "43 orderings", "mean over orderings", "Weber & Alonso, 4.2 K", volume):
        assert expected in text
    assert {rgb(figures.BLUE), rgb(figures.RED)} <= colours(path)


def test_the_composition_is_printed_beside_its_ends(explored: tuple[Path, Result]) -> None:
    folder, result = explored
    lines = [line.split() for line in result.stdout.splitlines()]
    rows = {line[0]: line[1:] for line in lines if line and line[0] in ("Si", "Ge", "Si49Ge51") and len(line) == 5}
    assert list(rows) == ["Si", "Si49Ge51", "Ge"]
    assert [float(row[-1]) for row in rows.values()] == pytest.approx([1.155, 0.989, 0.740])
    found: dict[str, Any] = json.loads((folder / "data" / "metrics" / "alloy.json").read_text())["compositions"][0]
    assert (found["formula"], found["atoms"]) == ("Si49Ge51", 100)
    assert float(rows["Si49Ge51"][1]) == pytest.approx(found["band_gap"], abs=6e-4)
    low, high = sorted(found["band_gap_ends"])
    assert found["between_ends"] == (low <= found["band_gap"] <= high)


def test_another_alloy(explored: tuple[Path, Result]) -> None:
    arguments = ("explore_structure.py", "--system", "Ge-Sn", "--max-atoms", "4", "--figures", "other")
    result = run_script(*arguments, cwd=explored[0])
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(explored[0] / "other" / "GeSn-disordered-structures-scaled.csv")
    assert table.columns[0] == "x_Sn"
    assert "measured" not in words(explored[0] / "other" / "GeSn-disordered-structures.pdf")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--system", "Na-Cl"], ["--system", "Na-Cl", "C, Si, Ge, Sn"]),
        (["--max-atoms", "1"], ["--max-atoms", "1"]),
        (["--composition", "Si49Sn51", "--max-atoms", "2"], ["--composition", "Si49 Sn51"]),
        (["--composition", "Xx3", "--max-atoms", "2"], ["--composition", "Xx3"]),
        (["--enumerator", "pymatgen"], ["enum.x", "makestr.x", "PATH"]),
        (["--fidelity", "hse", "--max-atoms", "2"], ["--fidelity", "hse"]),
    ],
)
def test_what_cannot_be_done_is_named(explored: tuple[Path, Result], arguments: list[str], wanted: list[str]) -> None:
    result = run_script("explore_structure.py", "--figures", "none", *arguments, cwd=explored[0])
    assert_failed(result, 2, *wanted)


def test_without_a_model_the_way_to_one_is_named(script: Script) -> None:
    assert_failed(script("explore_structure.py"), 2, "megnet-band_gap", "structure.py")


@needs_shared
def test_published_weights_draw_the_v_that_the_original_found(tmp_path: Path) -> None:
    result = run_script("explore_structure.py", "--model", PUBLISHED, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "data" / "metrics" / "alloy.json").read_text())
    expected = {"unscaled": (0.98, 0.53, 0.91, 0.30), "scaled": (0.98, 0.51, 0.05, 0.38)}
    for name, (silicon, middle, germanium, deviation) in expected.items():
        means = pd.read_csv(tmp_path / "figures" / f"SiGe-{NAMES[name == 'scaled']}-means.csv").set_index("x_Ge")
        plain = means["band_gap_plain"]
        assert plain.loc[[0, 0.5, 1]].to_numpy() == pytest.approx([silicon, middle, germanium], abs=0.006)
        assert metrics[name]["mean_absolute_deviation_plain"] == pytest.approx(deviation, abs=0.006)
