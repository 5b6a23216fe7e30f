from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition

from bandgaps.alloy import first_principles, measured_curves, pseudobinary, random_alloy
from bandgaps.alloy.random_alloy import FRACTIONS
from bandgaps.alloy.representations import REPRESENTATIONS
from bandgaps.errors import InputError
from bandgaps.structure.calibration import Calibration
from bandgaps.structure.ensemble import Model
from bandgaps.structure.network import Hyperparameters

MEASURED = measured_curves.gap(("Si", "Ge"), FRACTIONS)
UNKNOWN = np.full(101, np.nan)
gaps = st.lists(st.floats(0, 3), min_size=2, max_size=6)


def some_model(members: int = 2, fidelities: tuple[str, ...] = ()) -> Model:
    settings = Hyperparameters(fidelities=fidelities)
    weights = []
    for seed in range(members):
        generator = np.random.default_rng(seed)
        shapes = settings.weight_shapes().items()
        weights.append(
            {name: generator.normal(0, shape[0] ** -0.5, shape).astype(np.float32) for name, shape in shapes}
        )
    return Model(settings, weights, mean=1.0)


def smooth(values: list[float]) -> np.ndarray:
    return np.interp(FRACTIONS, np.linspace(0, 1, len(values)), values)


@given(gaps, st.tuples(st.floats(0, 3), st.floats(0, 3)))
def test_anchoring_moves_the_ends_to_the_measured_ones_and_is_linear(
    values: list[float], ends: tuple[float, float]
) -> None:
    gap = smooth(values)
    shifted = random_alloy.anchored(FRACTIONS, gap, ends)
    assert shifted[[0, -1]] == pytest.approx(ends, abs=1e-12)
    np.testing.assert_allclose(np.diff(shifted - gap, n=2), 0, atol=1e-12)
    np.testing.assert_allclose(random_alloy.anchored(FRACTIONS, shifted, ends), shifted, atol=1e-12)


@given(gaps)
def test_scores_are_what_they_say(values: list[float]) -> None:
    gap, std = smooth(values), np.full(101, 0.1)
    scores = random_alloy.scores(gap, std, MEASURED, 1.5)
    assert scores["0.51"] == gap[51]
    assert scores["mean_absolute_deviation"] == pytest.approx(np.abs(gap - MEASURED).mean())
    outside = {round(x, 2) for x in FRACTIONS[np.abs(gap - MEASURED) > 0.15]}
    told = {round(x, 2) for x in FRACTIONS if any(low - 1e-9 <= x <= high + 1e-9 for low, high in scores["outside_95"])}
    assert told == outside
    assert scores["share_inside_95"] == pytest.approx(1 - len(outside) / 101)
    shifted = gap + np.interp(FRACTIONS, [0, 1], [1.155 - gap[0], 0.740 - gap[-1]])
    assert scores["anchored"]["mean_absolute_deviation"] == pytest.approx(np.abs(shifted - MEASURED).mean())
    assert scores["anchored"]["0.51"] == pytest.approx(shifted[51])


@pytest.mark.parametrize(
    ("values", "between", "monotone"),
    [([1.2, 0.9, 0.7], True, True), ([0.7, 1.2], True, True), ([1.2, 0.8, 1.0, 0.7], True, False),
     ([1.2, 1.3, 0.7], False, False), ([1.2, 0.5, 0.7], False, False)],
)  # fmt: skip
def test_order_of_the_gaps(values: list[float], between: bool, monotone: bool) -> None:
    scores = random_alloy.scores(smooth(values), np.zeros(101), MEASURED, 1.96)
    assert (scores["between_ends"], scores["monotone"]) == (between, monotone)


def test_what_is_not_known_is_none() -> None:
    scores = random_alloy.scores(smooth([1, 0]), UNKNOWN, MEASURED, 1.96)
    assert scores["share_inside_95"] is scores["outside_95"] is None
    assert scores["mean_absolute_deviation"] > 0.1
    scores = random_alloy.scores(smooth([1, 0]), np.ones(101), UNKNOWN, 1.96)
    unknown = {key for key, value in scores.items() if value is None}
    assert unknown == {"share_inside_95", "outside_95", "mean_absolute_deviation", "anchored"}


def test_the_curve_has_both_representations_and_the_one_that_is_asked_for() -> None:
    alloy = random_alloy.Alloy(("Si", "Ge"), some_model())
    means = pd.DataFrame({"x_Ge": [0, 0.5, 1], "band_gap": [1.0, 2.0, 0.0], "band_gap_std": [0.1, 0.3, 0.1]})
    curves = {name: alloy.curve(means, name) for name in REPRESENTATIONS}
    for name, column in (("shared-site", "band_gap_shared_site"), ("orderings", "band_gap_orderings")):
        curve = curves[name]
        np.testing.assert_array_equal(curve["band_gap"], curve[column])
        np.testing.assert_array_equal(curve["band_gap_std"], curve[f"{column}_std"])
        np.testing.assert_allclose(curve["x_Ge"], np.arange(101) / 100)
        np.testing.assert_allclose(curve["band_gap_measured"], MEASURED)
    assert curves["orderings"]["band_gap"].iloc[[0, 25, 50, 75, 100]].tolist() == pytest.approx([1, 1.5, 2, 1, 0])
    assert curves["orderings"]["band_gap_std"].iloc[[25, 50]].tolist() == pytest.approx([0.2, 0.3])
    shared = alloy.shared_sites([0, 0.3, 1])
    assert curves["shared-site"]["band_gap"].iloc[[0, 30, 100]].tolist() == pytest.approx(shared["band_gap"].tolist())
    ends, std = alloy.predict([alloy.parent, pseudobinary.diamond("Ge", 5.0)])  # scaled to the alloy's volume
    assert shared["band_gap"].iloc[[0, 2]].tolist() == pytest.approx(ends, abs=1e-5)
    assert shared["band_gap_std"].iloc[[0, 2]].tolist() == pytest.approx(std, abs=1e-5)


def test_the_bowing_by_disorder_lowers_the_curve_at_the_level_of_experiment() -> None:
    model = some_model(1, ("pbe", "experiment"))
    model.card["disorder_bowing"] = {"shared-site": {"bowing": 0.4}, "orderings": {"bowing": 0.2}}
    means = pd.DataFrame({"x_Ge": [0, 0.5, 1], "band_gap": [1.0, 1.2, 0.5], "band_gap_std": [0.1, 0.3, 0.1]})
    curves = [
        random_alloy.Alloy(("Si", "Ge"), model, "experiment", each).curve(means, "shared-site")
        for each in (False, True)
    ]
    for column, b in (("band_gap_shared_site", 0.4), ("band_gap_orderings", 0.2)):
        raw, lowered = (curve[column].iloc[[0, 50, 100]].to_numpy() for curve in curves)
        np.testing.assert_allclose(lowered, np.maximum(raw - b * np.array([0, 0.25, 0]), 0), atol=1e-6)
        np.testing.assert_array_equal(*(curve[f"{column}_std"] for curve in curves))
    pbe = [random_alloy.Alloy(("Si", "Ge"), model, "pbe", each).curve(means, "orderings") for each in (False, True)]
    pd.testing.assert_frame_equal(*pbe)
    cells = random_alloy.Alloy(("Si", "Ge"), model, "experiment").quasirandom([Composition("SiGe")], 0)
    raw_cells = random_alloy.Alloy(("Si", "Ge"), model, "experiment", False).quasirandom([Composition("SiGe")], 0)
    assert cells["band_gap"].item() == pytest.approx(max(raw_cells["band_gap"].item() - 0.05, 0), abs=1e-6)


def test_a_damaged_bowing_is_named() -> None:
    model = some_model(1, ("experiment",))
    model.card["disorder_bowing"] = {"shared-site": {"bowing": "much"}}
    with pytest.raises(InputError, match="disorder_bowing"):
        random_alloy.Alloy(("Si", "Ge"), model, "experiment").shared_sites([0.5])


def test_the_anchored_curve_is_named_so_and_has_the_measured_ends() -> None:
    curve = random_alloy.Alloy(("Si", "Ge"), some_model()).curve(
        pd.DataFrame({"x_Ge": [0, 1], "band_gap": [2.0, 0.5], "band_gap_std": [0, 0]}), "orderings"
    )
    shifted = random_alloy.anchored_curve(curve)
    assert shifted.columns.tolist() == [
        "x_Ge", "band_gap_anchored", "band_gap_measured",
        "band_gap_shared_site_anchored", "band_gap_orderings_anchored",
    ]  # fmt: skip
    for column in shifted.columns[shifted.columns.str.endswith("anchored")]:
        assert shifted[column].iloc[[0, -1]].tolist() == pytest.approx([1.155, 0.740])
    np.testing.assert_allclose(shifted["band_gap_anchored"], 1.155 - 0.415 * FRACTIONS, atol=1e-9)


def test_the_straight_line_is_the_one_between_the_measured_ends() -> None:
    curve = random_alloy.Alloy(("Si", "Ge"), some_model()).curve(
        pd.DataFrame({"x_Ge": [0, 1], "band_gap": [2.0, 0.5], "band_gap_std": [0, 0]}), "orderings"
    )
    results = random_alloy.results(curve, 1.96)
    assert results["straight-line"] == pytest.approx({"0.51": 0.943, "mean_absolute_deviation": 0.046}, abs=5e-4)
    assert results["curves"]["orderings"]["anchored"] == pytest.approx(results["straight-line"])
    assert set(results["curves"]) == {"shared-site", "orderings"}
    assert results["measured"]["0.51"] == pytest.approx(0.989, abs=5e-4)


def test_the_interval_is_that_of_the_level_of_theory() -> None:
    model = some_model(2, ("pbe", "experiment"))
    model.calibrations.update(pbe=Calibration(0.1, 1.0, 2.5), experiment=Calibration(0.2, 1.0, 2.2))
    assert random_alloy.Alloy(("Si", "Ge"), model, "experiment").wide == 2.2
    assert random_alloy.Alloy(("Si", "Ge"), model, "pbe").wide == 2.5
    assert random_alloy.Alloy(("Si", "Ge"), some_model()).wide == 1.96
    with pytest.raises(InputError, match="--fidelity hse"):
        _ = random_alloy.Alloy(("Si", "Ge"), some_model(), "hse").wide


def test_calculated_gaps_are_those_of_the_nearest_level_of_theory() -> None:
    model = some_model(1, ("pbe", "gllbsc", "hse", "experiment"))
    tables = {
        name: random_alloy.Alloy(("Si", "Ge"), model, name).first_principles()
        for name in model.hyperparameters.fidelities
    }
    assert tables["hse"] is None
    for name, column, label in (
        ("pbe", "pbe", "PBE"),
        ("gllbsc", "gllbsc", "GLLB-SC"),
        ("experiment", "gllbsc", "GLLB-SC"),
    ):
        table, expected = tables[name], first_principles.gaps(("Si", "Ge"), column)
        assert table is not None
        assert expected is not None
        assert table["band_gap"].tolist() == expected["band_gap"].tolist()
        assert set(table["level"]) == {f"calculated orderings ({label})"}
    assert random_alloy.Alloy(("Ge", "Sn"), model, "pbe").first_principles() is None


@pytest.mark.parametrize("text", ["Si49Ge51", "SiGe3", "Ge", "Si2Ge2"])
def test_formulas_are_written_as_they_are_read(text: str) -> None:
    assert random_alloy.formula(Composition(text)) == text


def test_quasirandom_cells_of_one_element_are_the_crystal() -> None:
    alloy = random_alloy.Alloy(("Si", "Ge"), some_model())
    cells = alloy.quasirandom([Composition("Si"), Composition("Ge")], 0)
    assert cells[["formula", "x_Ge", "n_atoms"]].to_numpy().tolist() == [["Si", 0, 2], ["Ge", 1, 2]]
    assert cells["band_gap"].tolist() == pytest.approx(alloy.shared_sites([0, 1])["band_gap"].tolist(), abs=1e-5)
