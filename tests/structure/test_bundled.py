"""The weights that come with the project: what the card says of them, and that the committed figures are theirs."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT, SHARED, needs_shared
from pymatgen.core import Composition

from bandgaps.alloy import bowing, measured_curves, pseudobinary
from bandgaps.errors import InputError
from bandgaps.structure import model_files, neighbors
from bandgaps.structure.ensemble import Model
from bandgaps.table import storage

FOLDER = ROOT / "data" / "models" / "megnet-multifidelity"
LEVELS = ("pbe", "gllbsc", "hse", "experiment")
SYSTEM = ("Si", "Ge")


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
    parent = pseudobinary.diamond("Si", float(measured_curves.lattice_constant(SYSTEM, 0)))
    constants = measured_curves.lattice_constant(SYSTEM, x[rows])
    crystals = [
        pseudobinary.scaled(pseudobinary.shared_site(parent, SYSTEM, float(x[k])), float(a))
        for k, a in zip(rows, constants, strict=True)
    ]
    gaps, std = model.predict(neighbors.build(crystals, model.hyperparameters.cutoff), "experiment")
    gaps = gaps - bowing.of(model, "experiment", "shared-site") * x[rows] * (1 - x[rows])
    np.testing.assert_allclose(curve["band_gap_shared_site"].iloc[rows], gaps, atol=2e-3)
    np.testing.assert_allclose(curve["band_gap_shared_site_std"].iloc[rows], std, atol=5e-3)
    np.testing.assert_allclose(curve["band_gap"].iloc[[0, 100]], gaps[[0, 3]], atol=2e-3)
    np.testing.assert_allclose(curve["band_gap_measured"], measured_curves.gap(SYSTEM, x), atol=1e-5)


def test_the_committed_curve_meets_the_requirement() -> None:
    found = json.loads((ROOT / "data/metrics/SiGe-structure.json").read_text())
    assert (found["fidelity"], found["disorder"]) == ("experiment", "shared-site")
    assert found["curves"]["shared-site"]["between_ends"] and found["curves"]["shared-site"]["share_inside_95"] == 1
    assert found["curves"]["shared-site"]["mean_absolute_deviation"] < 0.10
    levels = [
        found,
        *(json.loads((ROOT / f"data/metrics/multifidelity/SiGe-structure-{k}.json").read_text()) for k in LEVELS[:3]),
    ]
    for each in levels:
        scores = each["curves"][each["disorder"]]
        assert scores["1"] < scores["0.51"] < scores["0"]


def test_levels_of_theory_are_in_their_order(model: Model) -> None:
    salt = pseudobinary.Structure.from_spacegroup(
        "Fm-3m", pseudobinary.Lattice.cubic(5.69), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]
    )
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
