"""The model that comes with the project: what the card says of it, and that the committed figures are its own."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT, SAMPLE
from prose import assert_alike

from bandgaps.alloy import ends, measured_curves, mixing, random_alloy
from bandgaps.alloy.pseudobinary import PseudobinaryAlloy
from bandgaps.formulas import composition_keys
from bandgaps.structure import model_files, neighbors
from bandgaps.structure.ensemble import Model
from bandgaps.table import storage
from docs import examples

FOLDER = model_files.BUNDLED
CALCULATED = ("pbe", "gllbsc", "hse", "snumat")
SYSTEM = ("Si", "Ge")
SIGE = PseudobinaryAlloy.of_elements(SYSTEM)


@pytest.fixture(scope="module")
def model() -> Model:
    return model_files.load(FOLDER)


def test_it_is_small_and_knows_its_fidelities(model: Model) -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 10_000_000
    assert model.fidelities == (*CALCULATED, "experiment")
    assert set(model.calibrations) == set(CALCULATED)
    assert model.hyperparameters.envelope and model.hyperparameters.electrons
    assert model.card["members"] == len(model.members)


def test_silicon_and_germanium_are_known_and_no_compound_of_both(model: Model) -> None:
    assert model.formulas is not None and model.measured is not None
    keys = {*composition_keys(model.formulas.tolist()), *model.measured.composition.tolist()}
    assert set(composition_keys(SYSTEM)) <= keys
    assert not mixing.is_apart(np.array(sorted(keys))).any()
    assert model.card["account"]["filters"]["leave_out"] == ["Si-Ge"]


def test_the_network_has_seen_no_composition_that_was_measured(model: Model) -> None:
    """But for silicon and germanium, which the question is about; so what is fitted on top can be judged by folds."""
    assert model.formulas is not None and model.measured is not None
    both = set(composition_keys(model.formulas.tolist())) & set(model.measured.composition.tolist())
    alloys = mixing.mixtures(model, measured_curves.all_measured())  # ordered AlGaAs2 has a calculated gap, too
    assert both - set(alloys.composition.tolist()) <= set(composition_keys(SYSTEM))


def test_the_committed_curve_is_that_of_the_model(model: Model) -> None:
    curve = pd.read_csv(ROOT / "figures" / "SiGe-disordered-curve.csv")
    x = curve["x_Ge"].to_numpy()
    np.testing.assert_allclose(x, np.arange(101) / 100)
    rows = [0, 37, 51, 100]
    shared = random_alloy.PredictedAlloy(SIGE, model, "experiment").shared_sites(x[rows])
    for column in ("band_gap", "band_gap_std"):
        said = curve[column.replace("band_gap", "band_gap_shared_site")].iloc[rows]
        np.testing.assert_allclose(said, shared[column], atol=3e-3)
    np.testing.assert_allclose(curve["band_gap"].iloc[[0, 100]], shared["band_gap"].iloc[[0, 3]], atol=3e-3)
    np.testing.assert_allclose(curve["band_gap_measured"], measured_curves.gap(SYSTEM, x), atol=1e-5)


def test_the_requirement_is_met(model: Model) -> None:
    """Predicted anew: the gap of Si49Ge51 lies between those of Si and Ge, and the curve near the measured one."""
    alloy = random_alloy.PredictedAlloy(SIGE, model, "experiment")
    x = np.array([0, 0.25, 0.51, 0.75, 1])
    shared = alloy.shared_sites(x)
    gaps, std = shared["band_gap"].to_numpy(), shared["band_gap_std"].to_numpy()
    assert (np.diff(gaps) < 0).all()
    error = np.abs(gaps - measured_curves.gap(SYSTEM, x))
    assert (error < alloy.wide * std).all() and error.mean() < 0.05
    assert alloy.wide * std[2] < 0.5
    cells = alloy.quasirandom(["Si", "Si49Ge51", "Ge"], seed=0)
    first, between, last = cells["band_gap"]
    assert last < between < first


def test_a_curve_has_no_steps(model: Model) -> None:
    for system in (SYSTEM, ("Ge", "Sn")):
        alloy = random_alloy.PredictedAlloy(PseudobinaryAlloy.of_elements(system), model, "experiment")
        gaps = alloy.shared_sites(np.linspace(0, 1, 101))["band_gap"].to_numpy()
        steps = np.diff(gaps)
        assert np.abs(np.diff(steps)).max() < 0.01  # a slope is no step, a change of slope that large would be


@pytest.mark.parametrize("fidelity", ["pbe", "experiment"])
def test_gaps_are_smooth_in_volume(model: Model, fidelity: str) -> None:
    """From -3 to 3 % in length, in steps of 0.1 %: atoms cross the cutoff, and the gap does not jump."""
    crystals = storage.read(SAMPLE)["structure"].iloc[::40][:20]
    lengths = 1 + np.arange(-30, 31) / 1000
    strained = [crystal.copy().scale_lattice(crystal.volume * a**3) for crystal in crystals for a in lengths]
    gaps = model.predict(neighbors.build(strained, model.hyperparameters.cutoff), fidelity)[0].reshape(-1, 61)
    assert len(gaps) == 20
    bends = np.sort(np.abs(np.diff(gaps, n=2, axis=1)).max(axis=1))  # a jump would change the slope by its height
    assert bends[-2] < 0.01 and bends[-1] < 0.06  # one crystal turns from an insulator into a metal on the way
    steps = np.sort(np.abs(np.diff(gaps, axis=1)).max(axis=1))
    assert steps[-2] < 0.03  # 10 eV in the logarithm of the volume, which measured deformation potentials reach


def test_the_examples_of_the_readme_are_its_own(model: Model) -> None:
    """Written anew by `python -m docs --examples`."""
    kept = json.loads((ROOT / examples.FILE).read_text(encoding="utf-8"))
    assert_alike(examples.run(examples.COMMANDS["crystal"]), kept["crystal"])
    alloy = random_alloy.PredictedAlloy(ends.of_system(("GaAs", "AlAs")), model, "experiment")
    shared = alloy.shared_sites([0.3])["band_gap"][0]
    (line,) = [
        line for line in kept["alloy"]["prints"].splitlines() if line.split()[:1] == ["Al0.3Ga0.7As"] and "±" in line
    ]
    assert float(line.split()[5]) == pytest.approx(shared, abs=0.002)


def test_fidelities_are_in_their_order(model: Model) -> None:
    salt = storage.read(SAMPLE).set_index("formula").loc[["NaCl"], "structure"].iloc[0]
    built = neighbors.build([salt], model.hyperparameters.cutoff)
    pbe, gllbsc, hse, _ = (float(model.predict(built, level)[0][0]) for level in CALCULATED)
    measured = float(model.predict(built, "experiment")[0][0])
    assert pbe < hse < gllbsc
    assert pbe < measured == pytest.approx(8.5, abs=1.0)


def test_the_committed_table_of_alloys_is_the_models(model: Model) -> None:
    """One system of it, predicted anew by the model without its elements."""
    assert model.measured is not None
    said = json.loads((ROOT / "data/metrics/alloys.json").read_text())["structure"]
    (row,) = (each for each in said["systems"] if each["system"] == "GaAs-InAs")
    alloy = measured_curves.known(("GaAs", "InAs"))
    assert alloy is not None
    known = mixing.mixtures(model, [alloy])
    found = mixing.left_out(model.measured, known)
    error = (found["band_gap"] - found["gap"]).abs()
    assert row["deviation"] == pytest.approx(error.mean(), abs=5e-3)
    assert said["held_out"]["systems"] >= 30
    assert said["held_out"]["deviation"] < said["held_out"]["line"] + 0.05
