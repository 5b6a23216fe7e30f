"""bandgaps.bowing: the bowing that random alloys have beyond what a model says, from the alloys it has never seen."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition

from bandgaps import files
from bandgaps.alloy import bowing
from bandgaps.alloy.known_alloys import MeasuredAlloy
from bandgaps.errors import InputError
from bandgaps.structure import ensemble, model_files, network

BUNDLED = ROOT / "data" / "models" / "megnet-multifidelity"
PARAMETERS = pd.read_csv(bowing.PARAMETERS)


@cache
def model() -> ensemble.Model:
    return model_files.load(BUNDLED)


@cache
def unseen() -> list[tuple[MeasuredAlloy, float]]:
    return bowing.unseen(model().formulas)


@given(st.floats(-1, 2), st.lists(st.tuples(st.floats(0, 1), st.floats(0.05, 0.95)), min_size=1, max_size=9))
def test_the_bowing_that_was_put_in_comes_out(b: float, rows: list[tuple[float, float]]) -> None:
    predicted, x = np.array(rows).T
    assert bowing.fitted(predicted - b * x * (1 - x), predicted, x) == pytest.approx(b, abs=1e-9)


def test_alloys_left_out_have_no_part_in_their_bowing() -> None:
    x = np.tile(bowing.JUDGED, 3)
    own = np.repeat([0.2, 0.4, 1.2], 3)
    table = pd.DataFrame(
        {"system": np.repeat(["A", "B", "C"], 3), "x": x, "known": 0.0, "orderings": own * x * (1 - x)}
    )
    found = bowing.judged(table, "orderings")
    others = np.repeat([0.8, 0.7, 0.3], 3)
    assert found["bowing"] == pytest.approx(0.6)
    assert found["mae"] == pytest.approx((own * x * (1 - x)).mean())
    assert found["mae_left_out"] == pytest.approx((np.abs(own - others) * x * (1 - x)).mean())
    assert (found["mae_line"], found["alloys"]) == (0, 3)


def test_no_alloy_that_the_model_has_learnt_judges_it() -> None:
    formulas = model().formulas
    assert formulas is not None
    learnt = {frozenset(Composition(str(formula)).elements) for formula in formulas if "." in formula}
    systems = {frozenset(Composition(alloy.formula).elements) for alloy, _ in unseen()}
    assert len(systems) >= 15
    assert not systems & learnt
    assert not any({"Si", "Ge"} & {element.symbol for element in system} for system in systems)
    everything = bowing.unseen(None)
    assert {alloy.formula for alloy, _ in unseen()} < {alloy.formula for alloy, _ in everything}


def test_departures_are_those_of_the_parameters() -> None:
    found = {alloy.formula: (alloy, departure) for alloy, departure in unseen()}
    alloy, departure = found[bowing.formula(("ZnSe", "ZnTe"), 0.5)]
    b = PARAMETERS.loc[(PARAMETERS["end_0"] == "ZnSe") & (PARAMETERS["end_1"] == "ZnTe"), "bowing_0"].item()
    assert departure == pytest.approx(-b / 4)
    assert alloy.gap == pytest.approx((2.82 + 2.39) / 2 - b / 4)
    crossing = found[bowing.formula(("InP", "GaP"), 0.5)]  # from X to Gamma in between, so above the line
    assert crossing[1] > 0.05


def test_the_card_says_what_the_bundled_model_does() -> None:
    said = model().card[bowing.KEY]["shared-site"]
    some = [unseen()[k] for k in range(0, len(unseen()), 4)]
    table = bowing.departures(model(), some)
    shared = [crystal for alloy, _ in some[:1] for crystal in (alloy.end(0), alloy.end(1), alloy.shared_site())]
    first, last, mixed = bowing.predicted(model(), shared)
    line = (1 - some[0][0].x) * first + some[0][0].x * last
    assert table["shared-site"].iloc[0] == pytest.approx(mixed - line, abs=1e-4)
    assert said["alloys"] == len(unseen()) / len(bowing.JUDGED)
    assert said["mae_left_out"] < said["mae"]
    off = table["shared-site"] - table["known"] - said["bowing"] * table["x"] * (1 - table["x"])
    assert abs(off.mean()) < 3 * off.std() / np.sqrt(len(off))


def test_models_without_measured_gaps_have_none() -> None:
    settings = network.Hyperparameters(fidelities=("pbe",))
    pbe = ensemble.Model(settings, [], card={bowing.KEY: {"shared-site": {"bowing": 1.0}}})
    assert bowing.of(pbe, "pbe", "shared-site") == 0
    assert bowing.of(ensemble.Model(settings, []), "experiment", "shared-site") == 0
    with pytest.raises(InputError, match="level of experiment"):
        bowing.measure(pbe)


def test_what_is_no_folder_of_a_model_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["bowing", str(tmp_path)])
    with pytest.raises(InputError, match="no model there"):
        bowing.main()


def test_too_few_unseen_alloys_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    PARAMETERS[PARAMETERS["end_0"] == "ZnSe"].to_csv(tmp_path / "bowing.csv", index=False)
    monkeypatch.setattr(bowing, "PARAMETERS", tmp_path / "bowing.csv")
    with pytest.raises(InputError, match="all but 2"):
        bowing.measure(model())


def test_it_is_written_into_the_card_and_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED, folder)
    card = files.read_json(folder / "model.json")
    files.write_json({key: value for key, value in card.items() if key != bowing.KEY}, folder / "model.json")
    few = PARAMETERS[PARAMETERS["end_1"].isin(["ZnSe", "GaSb", "CdTe", "AlP"])]
    few.to_csv(tmp_path / "bowing.csv", index=False)
    monkeypatch.setattr(bowing, "PARAMETERS", tmp_path / "bowing.csv")
    monkeypatch.setattr("sys.argv", ["bowing", str(folder)])
    bowing.main()
    written = files.read_json(folder / "model.json")
    assert {key: value for key, value in written.items() if key != bowing.KEY} == {
        key: value for key, value in card.items() if key != bowing.KEY
    }
    again = model_files.load(folder)
    for representation in ("shared-site", "orderings"):
        assert bowing.of(again, "experiment", representation) == written[bowing.KEY][representation]["bowing"]
