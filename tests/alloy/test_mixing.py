"""Alloys on top of a model of measured gaps, with a network of random weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import assert_failed, run_here
from some_crystals import SEVERAL, random_model

from bandgaps.alloy import measured_curves, mixing
from bandgaps.files import DATA
from bandgaps.formulas import composition_keys
from bandgaps.structure import calibration, measured, model_files, neighbors
from bandgaps.structure.ensemble import Model
from bandgaps.table import storage

ALLOYS = [each for each in measured_curves.all_measured() if each.structure in ("zincblende", "diamond")][:24]


@pytest.fixture(scope="module")
def model() -> Model:
    """Random networks, and on top of them the measured gaps of twenty crystals, as if they were those of the sample."""
    settings = replace(SEVERAL, fidelities=("pbe", "hse"), envelope=True, electrons=True)
    network = random_model(1, settings)
    rows = storage.read(DATA / "sample" / "sample.json.gz").iloc[:60:3]
    built = neighbors.build(list(rows["structure"]), 5.0)
    inputs = measured.inputs(built, network.calculated(built))
    gaps = rows["band_gap"].to_numpy() + 0.5
    return replace(
        network, measured=measured.fit(inputs, gaps, np.full(len(rows), 0.2), composition_keys(rows["formula"]))
    )


@pytest.fixture(scope="module")
def taught(model: Model) -> Model:
    return mixing.with_alloys(model, ALLOYS)


def test_alloys_and_their_ends_join_and_silicon_with_germanium_does_not(model: Model, taught: Model) -> None:
    assert model.measured is not None and taught.measured is not None
    new = taught.measured.composition[len(model.measured.composition) :]
    assert "Al150 As500 Ga350" in new and (new == "As500 Ga500").sum() == 1
    assert not mixing.is_apart(taught.measured.composition).any()
    assert mixing.is_apart(composition_keys(["SiGe", "Si", "Mg2Ge", "Mg4SiGe"])).tolist() == [True, False, False, True]
    gap = dict(zip(new, taught.measured.gaps[len(model.measured.gaps) :], strict=True))
    assert gap["As500 Ga500"] == pytest.approx(1.519)


def test_left_out_is_what_has_exactly_the_elements(taught: Model) -> None:
    assert taught.measured is not None
    rest = mixing.without_elements(taught.measured, frozenset({"Al", "Ga", "As"}))
    gone = set(taught.measured.composition.tolist()) - set(rest.composition.tolist())
    assert gone and all(mixing.elements_of(key) == {"Al", "Ga", "As"} for key in gone)
    assert {"As500 Ga500", "Al500 As500"} <= set(rest.composition.tolist())


def test_what_is_left_out_does_not_teach(taught: Model) -> None:
    """A measured gap that is wrong changes what is said of other alloys, not of its own."""
    assert taught.measured is not None
    level = taught.measured
    own = np.array([mixing.elements_of(key) == {"Al", "Ga", "As"} for key in level.composition])
    wrong = replace(level, gaps=np.where(own, level.gaps + 3, level.gaps))
    known = mixing.mixtures(taught, [each for each in ALLOYS if each.label in ("GaAs-AlAs", "GaSb-AlSb")])
    before, after = (mixing.left_out(each, known).set_index("system")["band_gap"] for each in (level, wrong))
    np.testing.assert_allclose(before["GaAs-AlAs"], after["GaAs-AlAs"])
    assert np.abs(before["GaSb-AlSb"] - after["GaSb-AlSb"]).max() > 1e-3


def test_uncertainty_follows_from_ends_and_bowing() -> None:
    x = np.arange(21) / 20
    generator = np.random.default_rng(0)
    tables = []
    for number in range(40):
        first, second, bowing = generator.normal(0, [0.1, 0.2, 0.8])
        gap = 1 + x
        off = (1 - x) * first + x * second - bowing * x * (1 - x)
        std = np.where(x == 0, 0.1, np.where(x == 1, 0.2, 9.9))  # between the ends it is not asked for
        tables.append(
            pd.DataFrame({"system": f"{number}", "x": x, "gap": gap, "band_gap": gap + off, "band_gap_std": std})
        )
    found = mixing.uncertainty(pd.concat(tables))
    assert found.bowing == pytest.approx(0.8, rel=0.25)
    sigma = found.sigma(np.array([0, 0.5, 1]), 0.1, 0.2)
    assert sigma == pytest.approx([0.1, np.sqrt(0.05**2 + 0.1**2 + 0.2**2), 0.2], rel=0.35)
    rows = pd.concat(tables)
    inside = np.abs(rows["band_gap"] - rows["gap"]) <= np.concatenate([found.sigma(x, 0.1, 0.2)] * 40)
    assert calibration.coverage(inside.to_numpy(), rows["system"].to_numpy(str)) == pytest.approx(0.68, abs=0.03)


def test_the_bowing_error_is_that_of_the_parabola() -> None:
    x = np.arange(21) / 20
    table = pd.DataFrame({"x": x, "gap": 1 + x, "band_gap": 1.3 + 0.8 * x - 0.4 * x * (1 - x)})
    assert mixing.bowing_error(table) == pytest.approx(0.4)


def test_the_command_writes_the_folder_anew(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_files.save(replace(model, measured=None), tmp_path / "bare")
    assert_failed(run_here(mixing.main, tmp_path / "bare", cwd=tmp_path), 2, "no model of measured gaps on top")
    model_files.save(model, tmp_path / "own")
    monkeypatch.setattr(measured_curves, "all_measured", lambda: tuple(ALLOYS))
    assert run_here(mixing.main, tmp_path / "own", cwd=tmp_path).returncode == 0
    found = model_files.load(tmp_path / "own")
    assert found.measured is not None and model.measured is not None
    assert len(found.measured.gaps) > len(model.measured.gaps)
    assert found.measured.mixed.bowing > 0 and found.measured.mixed.calibration.compositions >= 20
