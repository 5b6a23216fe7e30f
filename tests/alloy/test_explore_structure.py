from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from explored import save_models, some_model
from helpers import SHARED, Result, needs_shared, run_here
from pdf import colours, rgb, words
from pymatgen.core import Structure

import explore_structure
from bandgaps import plotting
from bandgaps.alloy import first_principles, measured_curves, quasirandom
from bandgaps.alloy.pseudobinary import diamond
from bandgaps.structure import model_files, neighbors

WEIGHTS = SHARED / "megnet-weights"
PUBLISHED = WEIGHTS / "mp-2018.6.1" / "band_gap_regression.hdf5"
NAMES = ("disordered-structures", "disordered-structures-scaled")


@pytest.fixture(scope="module", autouse=True)
def cells_made_once() -> Iterator[None]:
    """Every run has the same cells, hardly annealed, which takes longest; test_orderings.py asks how good they are."""
    made: dict[tuple[object, ...], Structure] = {}
    anneal = quasirandom._annealed

    def annealed(parent: Structure, *given: Any) -> Structure:
        key = (str(parent), *given)
        if key not in made:
            made[key] = anneal(parent, *given)
        return made[key].copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quasirandom, "STEPS", 100)
        patch.setattr(quasirandom, "_annealed", annealed)
        yield


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A folder in which explore_structure.py has run with that model, and what it printed."""
    folder = tmp_path_factory.mktemp("explored")
    save_models(folder)
    return folder, explore(folder, "--max-atoms", 6, "--composition", "Si49Ge51")


def explore(folder: Path, *arguments: object) -> Result:
    """Run the script in this process, which has loaded TensorFlow already, in a folder with `save_models`'s models."""
    model = [] if "--model" in arguments else ["--model", model_files.BUNDLED.name]
    result = run_here(explore_structure.main, *model, *arguments, cwd=folder)
    assert result.returncode == 0, result.stderr
    return result


def metrics(folder: Path, name: str = "data/metrics/SiGe-structure.json") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / name).read_text())
    return content


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
    ends = [diamond("Si", 5.431), diamond("Ge", germanium)]
    expected, _ = some_model().predict(neighbors.build(ends, 4.0), "experiment")
    assert table["band_gap"].iloc[[0, -1]].to_numpy() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_means_are_those_of_the_rows(explored: tuple[Path, Result], name: str) -> None:
    table = points(explored[0], name)
    means = pd.read_csv(explored[0] / "figures" / f"SiGe-{name}-means.csv")
    assert means["orderings"].sum() == len(table)
    for _, row in means.iterrows():
        group = table[np.isclose(table["x_Ge"], row["x_Ge"], atol=1e-5)]
        assert row["band_gap"] == pytest.approx(np.average(group["band_gap"], weights=group["multiplicity"]), abs=1e-4)
    np.testing.assert_allclose(means["band_gap_measured"], measured_curves.gap(("Si", "Ge"), means["x_Ge"]), atol=1e-5)
    deviation = (means["band_gap"] - means["band_gap_measured"]).abs().mean()
    scaled = "scaled" if name.endswith("scaled") else "unscaled"
    assert metrics(explored[0])[scaled]["mean_absolute_deviation"] == pytest.approx(deviation, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (NAMES[0], ["at Si's volume", "their mean ± spread"]),
        (NAMES[1], ["at the alloy's volume", "(shared sites), 68 and 95 % intervals", "quasirandom structures"]),
    ],
)
def test_the_figure_says_what_it_shows(explored: tuple[Path, Result], name: str, wanted: list[str]) -> None:
    path = explored[0] / "figures" / f"SiGe-{name}.pdf"
    text = words(path)
    for expected in ("band gap (eV)", "43 orderings", "4.2 K", "MEGNet, measured gaps", *wanted):
        assert expected in text
    drawn = [plotting.PREDICTED, plotting.SECOND, plotting.MEASURED, *[plotting.CALCULATED] * (name == NAMES[1])]
    assert set(map(rgb, drawn)) <= colours(path)
    assert "anchored" not in text


def test_the_curve_covers_the_whole_range(explored: tuple[Path, Result]) -> None:
    curve = pd.read_csv(explored[0] / "figures" / "SiGe-disordered-curve.csv")
    assert curve.columns.tolist() == [
        "x_Ge", "band_gap", "band_gap_std", "band_gap_measured", "band_gap_shared_site", "band_gap_shared_site_std",
        "band_gap_orderings", "band_gap_orderings_std",
    ]  # fmt: skip
    np.testing.assert_allclose(curve["x_Ge"], np.arange(101) / 100)
    x = curve["x_Ge"]
    measured = np.minimum(1.155 - 0.43 * x + 0.206 * x**2, 2.010 - 1.270 * x)  # Weber & Alonso
    np.testing.assert_allclose(curve["band_gap_measured"], measured, atol=1e-5)
    fractions = np.array([0, 0.3, 0.51, 1])
    shared = []
    for part in fractions:
        crystal = diamond("Si", 5.431 + 0.20 * part + 0.027 * part**2)  # Dismukes
        crystal.replace_species({"Si": {"Si": 1 - part, "Ge": part}})
        shared.append(crystal)
    gaps, std = some_model().predict(neighbors.build(shared, 4.0), "experiment")
    rows = curve.iloc[[0, 30, 51, 100]]
    np.testing.assert_allclose(rows["band_gap_shared_site"], gaps, atol=1e-4)
    np.testing.assert_allclose(rows["band_gap_shared_site_std"], std, atol=1e-4)
    np.testing.assert_allclose(curve["band_gap"], curve["band_gap_shared_site"])
    np.testing.assert_allclose(curve["band_gap_std"], curve["band_gap_shared_site_std"])
    means = pd.read_csv(explored[0] / "figures" / f"SiGe-{NAMES[1]}-means.csv").set_index("x_Ge")
    np.testing.assert_allclose(
        curve["band_gap_orderings"].iloc[[0, 50, 100]], means["band_gap"].loc[[0, 0.5, 1]], atol=1e-4
    )


def test_the_metrics_are_those_of_the_curve(explored: tuple[Path, Result]) -> None:
    found = metrics(explored[0])
    curve = pd.read_csv(explored[0] / "figures" / "SiGe-disordered-curve.csv")
    assert (found["fidelity"], found["disorder"]) == ("experiment", "shared-site")
    assert "fidelity: experiment" in explored[1].stdout
    for name, column in (("shared-site", "band_gap_shared_site"), ("orderings", "band_gap_orderings")):
        scores, off = found["curves"][name], (curve[column] - curve["band_gap_measured"]).abs()
        assert scores["mean_absolute_deviation"] == pytest.approx(off.mean(), abs=1e-5)
        assert scores["share_inside_95"] == pytest.approx((off <= 2.2 * curve[f"{column}_std"]).mean(), abs=0.011)
        assert scores["0.51"] == pytest.approx(curve[column].iloc[51], abs=1e-5)
    assert found["straight-line"]["mean_absolute_deviation"] == pytest.approx(0.046, abs=5e-4)


def test_quasirandom_structures_are_rows_too(explored: tuple[Path, Result]) -> None:
    cells = pd.read_csv(explored[0] / "figures" / f"SiGe-{NAMES[1]}-quasirandom.csv")
    assert cells["formula"].tolist() == ["Si", "Si3Ge", "SiGe", "SiGe3", "Ge", "Si49Ge51"]
    assert cells["x_Ge"].tolist() == [0, 0.25, 0.5, 0.75, 1, 0.51]
    assert cells["n_atoms"].tolist() == [2, 64, 64, 64, 2, 100]


def test_the_composition_is_printed_beside_its_ends(explored: tuple[Path, Result]) -> None:
    folder, result = explored
    lines = [line.replace("±", "").split() for line in result.stdout.splitlines()]
    rows = {line[0]: line[1:] for line in lines if line and line[0] in ("Si", "Ge", "Si49Ge51") and len(line) == 7}
    assert list(rows) == ["Si", "Si49Ge51", "Ge"]
    assert [float(row[-1]) for row in rows.values()] == pytest.approx([1.155, 0.989, 0.740])
    found: dict[str, Any] = metrics(folder)["compositions"][0]
    assert (found["formula"], found["atoms"]) == ("Si49Ge51", 100)
    for column, way in ((1, found), (3, found["shared_site"])):
        assert float(rows["Si49Ge51"][column]) == pytest.approx(way["band_gap"], abs=6e-4)
        assert float(rows["Si49Ge51"][column + 1]) == pytest.approx(way["band_gap_std"], abs=6e-4)
        low, high = sorted(way["band_gap_ends"])
        assert way["between_ends"] == (low <= way["band_gap"] <= high)
    curve = pd.read_csv(folder / "figures" / "SiGe-disordered-curve.csv")
    assert found["shared_site"]["band_gap"] == pytest.approx(curve["band_gap_shared_site"].iloc[51], abs=1e-4)


def test_another_fidelity_and_an_anchored_curve(explored: tuple[Path, Result]) -> None:
    folder, _ = explored
    assert not list((folder / "figures").glob("*anchored*"))
    assert "calculated orderings (GLLB-SC)" in words(folder / "figures" / f"SiGe-{NAMES[1]}.pdf")
    arguments = ("--fidelity", "pbe", "--anchor", "--max-atoms", 4)
    assert "fidelity: pbe" in explore(folder, *arguments, "--figures", "pbe", "--metrics", "pbe").stdout
    found = metrics(folder, "pbe/SiGe-structure-pbe.json")
    assert (found["fidelity"], found["disorder"]) == ("pbe", "orderings")
    text = words(folder / "pbe" / f"SiGe-{NAMES[1]}-pbe.pdf")
    assert "MEGNet, PBE gaps" in text
    assert "calculated orderings (PBE)" in text
    assert "anchored" not in text
    table = first_principles.gaps(("Si", "Ge"), "pbe")
    assert table is not None
    assert found["first-principles"]["orderings"] == len(table)
    assert found["first-principles"]["last"] == pytest.approx(table["band_gap"][table["x_Ge"] == 1].item())
    means = found["first-principles"]["means"]
    assert means["1"]["band_gap"] == found["first-principles"]["last"]
    assert sum(row["orderings"] for row in means.values()) == len(table)

    own = pd.read_csv(folder / "pbe" / "SiGe-disordered-curve-pbe.csv")
    silicon = neighbors.build([diamond("Si", 5.431)], 4.0)
    assert own["band_gap"][0] == pytest.approx(some_model().predict(silicon, "pbe")[0][0], abs=1e-4)
    np.testing.assert_array_equal(own["band_gap"], own["band_gap_orderings"])
    shifted = pd.read_csv(folder / "pbe" / "SiGe-disordered-curve-anchored-pbe.csv")
    assert "band_gap" not in shifted
    assert shifted["band_gap_anchored"].iloc[[0, -1]].tolist() == pytest.approx([1.155, 0.740])
    shift = (shifted["band_gap_anchored"] - own["band_gap"]).to_numpy()
    np.testing.assert_allclose(np.diff(shift, n=2), 0, atol=3e-5)
    text = words(folder / "pbe" / "SiGe-disordered-curve-anchored-pbe.pdf")
    for expected in ("What shape has the curve", "shared sites, anchored", "mean over orderings, anchored"):
        assert expected in text
    off = (shifted["band_gap_anchored"] - shifted["band_gap_measured"]).abs().mean()
    assert found["curves"]["orderings"]["anchored"]["mean_absolute_deviation"] == pytest.approx(off, abs=1e-5)


def test_an_alloy_of_compounds_of_which_no_gap_was_measured(explored: tuple[Path, Result]) -> None:
    """By a model that knows one fidelity."""
    where = ("--figures", "other", "--metrics", "other")
    arguments = ("--system", "MgO-CaO", "--max-atoms", 4, "--model", "single", "--disorder", "shared-site", *where)
    result = explore(explored[0], *arguments, "--composition", "Ca0.25Mg0.75O")
    table = pd.read_csv(explored[0] / "other" / "MgOCaO-disordered-structures-scaled-single.csv")
    assert table.columns[0] == "x_Ca" and table["n_atoms"].tolist() == [2, 4, 4, 2]
    for name in NAMES:
        text = words(explored[0] / "other" / f"MgOCaO-{name}-single.pdf")
        assert "MgO-CaO" in text and "\nmeasured" not in text
    curve = pd.read_csv(explored[0] / "other" / "MgOCaO-disordered-curve-single.csv")
    assert curve["band_gap_measured"].isna().all()
    assert curve["band_gap"].notna().all() and curve["band_gap"].equals(curve["band_gap_shared_site"])
    cells = pd.read_csv(explored[0] / "other" / f"MgOCaO-{NAMES[1]}-quasirandom-single.csv")
    assert cells["formula"].tolist() == ["MgO", "Mg3O4Ca", "MgO2Ca", "MgO4Ca3", "CaO", "Ca0.25Mg0.75O"]
    assert cells["n_atoms"].tolist() == [2, 128, 128, 128, 2, 128]
    found = metrics(explored[0], "other/MgOCaO-structure-single.json")
    assert found["fidelity"] is found["straight-line"] is found["curves"]["orderings"]["anchored"] is None
    assert found["compositions"][0]["formula"] == "Ca0.25Mg0.75O" and "Ca0.25Mg0.75O lies" in result.stdout


@needs_shared
def test_published_weights_draw_the_v_that_the_original_found(tmp_path: Path) -> None:
    explore(tmp_path, "--model", PUBLISHED)
    found = metrics(tmp_path, f"data/metrics/SiGe-structure-{PUBLISHED.stem}.json")
    expected = {"unscaled": (0.98, 0.53, 0.91, 0.30), "scaled": (0.98, 0.51, 0.05, 0.38)}
    for name, (silicon, middle, germanium, deviation) in expected.items():
        stem = f"SiGe-{NAMES[name == 'scaled']}-means-{PUBLISHED.stem}.csv"
        means = pd.read_csv(tmp_path / "figures" / stem).set_index("x_Ge")
        plain = means["band_gap_plain"]
        assert plain.loc[[0, 0.5, 1]].to_numpy() == pytest.approx([silicon, middle, germanium], abs=0.006)
        assert found[name]["mean_absolute_deviation_plain"] == pytest.approx(deviation, abs=0.006)


@needs_shared
def test_published_models_of_disordered_crystals_reach_what_is_known_of_them(tmp_path: Path) -> None:
    model = WEIGHTS / "mf_2020" / "pbe_gllb_hse_exp_disorder"
    explore(tmp_path, "--model", model, "--max-atoms", 2)
    scores = metrics(tmp_path, f"data/metrics/SiGe-structure-{model.name}.json")["curves"]["shared-site"]
    assert [scores[x] for x in ("0", "0.5", "1")] == pytest.approx([1.24, 0.92, 0.52], abs=0.01)
    assert scores["mean_absolute_deviation"] == pytest.approx(0.13, abs=0.005)
