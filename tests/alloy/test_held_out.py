"""Which alloys a network has not learnt from, and what is predicted of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT
from pymatgen.core import Composition

from bandgaps.alloy import bowing, bowing_parameters, held_out
from bandgaps.alloy.bowing_parameters import KnownCurve
from bandgaps.errors import InputError
from bandgaps.formulas import composition_key
from bandgaps.structure import ensemble, model_files, neighbors, network

SETTINGS = network.Hyperparameters(fidelities=("pbe", "experiment"))
REMAINING = {"GaP-GaSb", "InP-InSb", "ZnS-ZnSe", "ZnSe-ZnTe", "CdSe-CdTe", "CdS-CdTe"}


@cache
def curves() -> list[KnownCurve]:
    return bowing_parameters.curves()


def kept(formulas: Sequence[str], teachers: Sequence[str] | None = None) -> set[str]:
    """The tabulated alloys that are held out from a model which has seen these."""
    taught = None if teachers is None else np.array(teachers, dtype=str)
    model = ensemble.Model(SETTINGS, [], formulas=np.array(formulas, dtype=str), teachers=taught)
    systems = held_out.systems_seen(model)
    return {curve.alloy.label for curve in curves() if held_out.is_held_out(curve.alloy, systems)}


def test_alloys_are_judged_by_their_set_of_elements_however_they_are_spelled() -> None:
    everything = kept([])
    assert everything == {curve.alloy.label for curve in curves()}
    for formula in ("Zn3CdS4", "ZnCdS2", "Zn0.75Cd0.25S", "Cd1Zn3S4", "Zn0.1Cd0.9S1"):
        assert kept([formula]) == everything - {"ZnS-CdS"}
        assert kept([], [formula]) == everything - {"ZnS-CdS"}
    assert kept(["ZnS", "CdS", "Zn", "CdZnSSe"]) == everything


def test_what_the_bundled_model_and_its_teachers_have_seen_is_not_held_out() -> None:
    model = model_files.load(bowing.BUNDLED)
    systems = held_out.systems_seen(model)
    remaining = [curve for curve in curves() if held_out.is_held_out(curve.alloy, systems)]
    assert {curve.alloy.label for curve in remaining} == REMAINING
    parameters = pd.read_csv(bowing_parameters.PARAMETERS)
    use = {f"{row.end_0}-{row.end_1}": row.use for row in parameters.itertuples()}
    assert {use[label] for label in REMAINING} == {"judging"}
    assert model.formulas is not None and model.teachers is not None
    seen = [str(formula) for formula in (*model.formulas, *model.teachers)]
    for curve in remaining:
        first, second = (set(Composition(name).as_dict()) for name in curve.alloy.names)
        assert not [formula for formula in seen if set(Composition(formula).as_dict()) == first | second]
    keys = {composition_key(formula) for formula in seen}
    taught = pd.read_csv(ROOT / "data" / "alloys" / "gaps.csv")["formula"]
    assert {composition_key(formula) for formula in taught} <= keys
    assert not any({"Si", "Ge"} <= system for system in systems)


def test_a_model_that_does_not_tell_holds_nothing_out() -> None:
    with pytest.raises(InputError, match="does not tell what it was trained on"):
        held_out.systems_seen(ensemble.Model(SETTINGS, []))
    card = {"name": "taught", "account": {"counts": {"with band_gap_experiment_estimate": 5}}}
    taught = ensemble.Model(SETTINGS, [], card=card, formulas=np.array(["Si"]))
    with pytest.raises(InputError, match="taught: does not tell what its pseudo-labels stem from"):
        held_out.systems_seen(taught)
    assert held_out.systems_seen(replace(taught, teachers=np.array(["GaAs"]))) == {
        frozenset({"Si"}),
        frozenset({"Ga", "As"}),
    }


def test_departures_are_those_of_the_parameters() -> None:
    found = {curve.alloy.label: curve for curve in curves()}
    x = np.array([0.25, 0.5])
    np.testing.assert_allclose(found["ZnSe-ZnTe"].departure(x), -1.27 * x * (1 - x))
    np.testing.assert_allclose(found["ZnSe-ZnTe"].gap(x), 2.82 + (2.39 - 2.82) * x - 1.27 * x * (1 - x))
    assert found["InP-GaP"].departure(np.array([0.5])) > 0.05  # from X to Gamma in between, so above the line


def some_model() -> ensemble.Model:
    generator = np.random.default_rng(0)
    shapes = SETTINGS.weight_shapes().items()
    weights = {name: generator.normal(0, shape[0] ** -0.5, shape).astype(np.float32) for name, shape in shapes}
    return ensemble.Model(SETTINGS, [weights], mean=1.0)


def test_alloys_are_predicted_as_virtual_crystals_and_as_random_cells() -> None:
    model = some_model()
    alloy = next(curve.alloy for curve in curves() if curve.alloy.label == "GaAs-InAs")
    at = [0.0, 0.25, 0.3, 1.0]
    generator = np.random.default_rng(0)
    counts = (0, 2, 2, 3, 8)  # in the order in which they are drawn
    cells = [alloy.random_cell(count, generator) for count in counts for _ in range(held_out.DRAWS)]
    means = held_out.predicted(model, cells).reshape(len(counts), -1).mean(axis=1)
    expected = [means[0], means[1], 0.6 * means[2] + 0.4 * means[3], means[4]]
    found = held_out.ordered_gaps(model, [(alloy, x) for x in at])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    ends = held_out.predicted(model, list(alloy.ends))
    np.testing.assert_allclose(found[[0, -1]], ends, atol=1e-5)
    shared = held_out.shared_site_gaps(model, [(alloy, x) for x in at])
    np.testing.assert_allclose(shared, held_out.predicted(model, [alloy.shared_site(x) for x in at]), atol=1e-5)
    np.testing.assert_allclose(shared[[0, -1]], ends, atol=1e-5)
    built = neighbors.build([alloy.ends[1]], SETTINGS.cutoff)
    assert ends[1] == pytest.approx(model.predict(built, "experiment")[0].item(), abs=1e-5)
