from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bandgaps.alloy import ends, first_principles, measured_curves, random_alloy
from bandgaps.alloy.pseudobinary import PseudobinaryAlloy, diamond
from bandgaps.alloy.random_alloy import PredictedAlloy
from bandgaps.alloy.representations import REPRESENTATIONS
from bandgaps.alloy.scores import FRACTIONS
from bandgaps.errors import InputError
from bandgaps.structure import neighbors
from bandgaps.structure.calibration import Calibration
from bandgaps.structure.ensemble import Model
from bandgaps.structure.network import Hyperparameters

MEASURED = measured_curves.gap(("Si", "Ge"), FRACTIONS)
SIGE = PseudobinaryAlloy.of_elements(("Si", "Ge"))
GESN = PseudobinaryAlloy.of_elements(("Ge", "Sn"))


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


def test_the_curve_has_both_representations_and_the_one_that_is_asked_for() -> None:
    alloy = PredictedAlloy(SIGE, some_model())
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
    gaps, std = alloy.predict([diamond("Si", 5.431), diamond("Ge", 5.658)])
    assert shared["band_gap"].iloc[[0, 2]].tolist() == pytest.approx(gaps, abs=1e-5)
    assert shared["band_gap_std"].iloc[[0, 2]].tolist() == pytest.approx(std, abs=1e-5)


def test_alloys_of_compounds_are_predicted_on_their_sublattice() -> None:
    crystals = ends.of_system(("GaAs", "InAs"))
    alloy = PredictedAlloy(crystals, some_model())
    points = alloy.orderings(crystals.orderings(6), scale=True)
    assert points["x_In"].tolist() == pytest.approx([0, *[1 / 3] * 3, 0.5, 0.5, *[2 / 3] * 3, 1])
    curve = alloy.curve(alloy.means(points), "orderings")
    gaps, _ = some_model().predict(neighbors.build(list(crystals.ends), 4.0))
    assert curve["band_gap"].iloc[[0, -1]].tolist() == pytest.approx(gaps.tolist(), abs=1e-5)
    assert curve["band_gap_measured"].iloc[[0, -1]].tolist() == [1.519, 0.417]
    cells = alloy.quasirandom(["GaAs", "Ga0.4In0.6As"], 0)
    assert cells[["formula", "x_In", "n_atoms"]].to_numpy().tolist() == [["GaAs", 0, 2], ["Ga0.4In0.6As", 0.6, 130]]


def test_the_fidelity_is_the_one_wanted_else_that_of_experiment() -> None:
    known = some_model(1, ("pbe", "experiment"))
    assert [random_alloy.fidelity_of(known, wanted) for wanted in ("pbe", None)] == ["pbe", "experiment"]
    assert random_alloy.fidelity_of(some_model(1, ("hse", "pbe"))) == "hse"
    assert random_alloy.fidelity_of(some_model(1)) is None


def test_the_interval_is_that_of_the_fidelity() -> None:
    model = some_model(2, ("pbe", "experiment"))
    model.calibrations.update(pbe=Calibration(0.1, 1.0, 2.5), experiment=Calibration(0.2, 1.0, 2.2))
    assert PredictedAlloy(SIGE, model, "experiment").wide == 2.2
    assert PredictedAlloy(SIGE, model, "pbe").wide == 2.5
    assert PredictedAlloy(SIGE, some_model()).wide == 1.96
    with pytest.raises(InputError, match="hse"):
        _ = PredictedAlloy(SIGE, some_model(), "hse").wide


def test_calculated_gaps_are_those_of_the_nearest_fidelity() -> None:
    model = some_model(1, ("pbe", "gllbsc", "hse", "experiment"))
    tables = {name: PredictedAlloy(SIGE, model, name).first_principles() for name in model.hyperparameters.fidelities}
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
    assert PredictedAlloy(GESN, model, "pbe").first_principles() is None


def test_quasirandom_cells_of_one_element_are_the_crystal() -> None:
    alloy = PredictedAlloy(SIGE, some_model())
    cells = alloy.quasirandom(["Si", "Ge"], 0)
    assert cells[["formula", "x_Ge", "n_atoms"]].to_numpy().tolist() == [["Si", 0, 2], ["Ge", 1, 2]]
    assert cells["band_gap"].tolist() == pytest.approx(alloy.shared_sites([0, 1])["band_gap"].tolist(), abs=1e-5)
