"""The weights that come with the project: what the card says of them, and that the committed figures are theirs."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT, SHARED, needs_shared
from pymatgen.core import Composition, Lattice, Structure

from bandgaps.alloy import bowing, measured_curves, random_alloy
from bandgaps.alloy.pseudobinary import PseudobinaryAlloy
from bandgaps.errors import InputError
from bandgaps.structure import model_files, neighbors
from bandgaps.structure.ensemble import Model
from bandgaps.table import storage

FOLDER = ROOT / "data" / "models" / "megnet-multifidelity"
LEVELS = ("pbe", "gllbsc", "hse", "experiment")
SYSTEM = ("Si", "Ge")
SIGE = PseudobinaryAlloy.of_elements(SYSTEM)


@pytest.fixture(scope="module")
def model() -> Model:
    return model_files.load(FOLDER)


def test_weights_are_small_and_several(model: Model) -> None:
    sizes = [file.stat().st_size for file in FOLDER.glob("member-*.npz")]
    assert len(sizes) == len(model.members) >= 5
    assert max(sizes) < 1_000_000
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 10_000_000
    assert model.hyperparameters.fidelities == LEVELS
    assert set(model.calibrations) == set(LEVELS)


def test_silicon_and_germanium_are_known_and_no_compound_of_both(model: Model) -> None:
    assert model.formulas is not None
    known = set(model.formulas.tolist())
    assert set(SYSTEM) <= known
    elements = [{element.symbol for element in Composition(formula)} for formula in known]
    assert not any(set(SYSTEM) <= each for each in elements)
    assert model.card["account"]["filters"]["leave_out"] == ["Si-Ge"]


def test_the_committed_curve_is_that_of_the_weights(model: Model) -> None:
    curve = pd.read_csv(ROOT / "figures" / "SiGe-disordered-curve.csv")
    x = curve["x_Ge"].to_numpy()
    np.testing.assert_allclose(x, np.arange(101) / 100)
    rows = [0, 37, 51, 100]
    crystals = [SIGE.shared_site(float(part)) for part in x[rows]]
    gaps, std = model.predict(neighbors.build(crystals, model.hyperparameters.cutoff), "experiment")
    correction, parabola = bowing.of(model, "experiment", "shared-site"), x[rows] * (1 - x[rows])
    gaps = gaps - correction.bowing * parabola
    std = np.sqrt(std**2 + (correction.sigma * parabola) ** 2)
    np.testing.assert_allclose(curve["band_gap_shared_site"].iloc[rows], gaps, atol=2e-3)
    np.testing.assert_allclose(curve["band_gap_shared_site_std"].iloc[rows], std, atol=5e-3)
    np.testing.assert_allclose(curve["band_gap"].iloc[[0, 100]], gaps[[0, 3]], atol=2e-3)
    np.testing.assert_allclose(curve["band_gap_measured"], measured_curves.gap(SYSTEM, x), atol=1e-5)


def test_the_requirement_is_met(model: Model) -> None:
    """Predicted anew: the gap of Si49Ge51 lies between those of Si and Ge, and the curve near the measured one."""
    alloy = random_alloy.PredictedAlloy(SIGE, model, "experiment")
    x = np.array([0, 0.25, 0.51, 0.75, 1])
    shared = alloy.shared_sites(x)
    silicon, *_, germanium = gaps = shared["band_gap"].to_numpy()
    assert germanium < gaps[2] < silicon
    measured = measured_curves.gap(SYSTEM, x)
    assert (np.abs(gaps - measured) < alloy.wide * shared["band_gap_std"]).all()
    assert np.abs(gaps - measured).mean() < 0.10
    cells = alloy.quasirandom(["Si", "Si49Ge51", "Ge"], seed=0)
    first, between, last = cells["band_gap"]
    assert last < between < first


@pytest.mark.parametrize("fidelity", LEVELS)
def test_the_committed_numbers_are_those_of_the_weights(model: Model, fidelity: str) -> None:
    other = fidelity != "experiment"
    path = f"multifidelity/SiGe-structure-{fidelity}.json" if other else "SiGe-structure.json"
    found = json.loads((ROOT / "data" / "metrics" / path).read_text())
    alloy = random_alloy.PredictedAlloy(SIGE, model, fidelity)
    assert (found["fidelity"], found["disorder"]) == (fidelity, "orderings" if other else "shared-site")
    shared = alloy.shared_sites([0, 0.51, 1])["band_gap"]
    said = found["curves"]["shared-site"]
    assert [said["0"], said["0.51"], said["1"]] == pytest.approx(shared.tolist(), abs=2e-3)
    means = alloy.means(alloy.orderings(SIGE.orderings(4), scale=True))
    own = found["curves"]["orderings"]
    assert [own["0"], own["1"]] == pytest.approx(means["band_gap"].iloc[[0, -1]].tolist(), abs=2e-3)
    chosen = found["curves"][found["disorder"]]
    assert chosen["1"] < chosen["0.51"] < chosen["0"]


def test_fidelities_are_in_their_order(model: Model) -> None:
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.69), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
    built = neighbors.build([salt], model.hyperparameters.cutoff)
    pbe, gllbsc, hse, measured = (float(model.predict(built, level)[0][0]) for level in LEVELS)
    assert pbe < hse < gllbsc
    assert pbe < measured


@needs_shared
def test_unseen_formulas_are_predicted_as_well_as_the_card_says(model: Model) -> None:
    table = storage.read_records(SHARED / "mp-2019.json.gz")
    assert model.formulas is not None
    unseen = table[~table["formula"].isin(model.formulas) & (table["band_gap"] > 0)]
    unseen = unseen[[len(record["sites"]) <= 12 for record in unseen["structure"]]].iloc[::5]
    both = [set(SYSTEM) <= {element.symbol for element in Composition(formula)} for formula in unseen["formula"]]
    unseen = unseen[~np.array(both)]
    found = []
    for record, gap in zip(unseen["structure"], unseen["band_gap"], strict=True):
        with contextlib.suppress(InputError):  # an isolated atom
            neighbors.build([record], model.hyperparameters.cutoff)
            found.append((record, gap))
    records, gaps = zip(*found[:150], strict=True)
    predicted, _ = model.predict(neighbors.build(records, model.hyperparameters.cutoff), "pbe")
    error = np.abs(predicted - np.array(gaps))
    said = json.loads((ROOT / "data/metrics/multifidelity/structure.json").read_text())["fidelities"]["pbe"]
    assert error.mean() == pytest.approx(said["non-metals"]["mae"], abs=4 * error.std() / np.sqrt(len(error)))
