"""bandgaps.alloy.bowing: the bowing that alloys have beyond what a model says, from the alloys held out from it."""

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

from bandgaps import files
from bandgaps.alloy import bowing, bowing_parameters
from bandgaps.alloy.representations import REPRESENTATIONS
from bandgaps.errors import InputError
from bandgaps.structure import ensemble, model_files, network

PARAMETERS = pd.read_csv(bowing_parameters.PARAMETERS)


@cache
def model() -> ensemble.Model:
    return model_files.load(bowing.BUNDLED)


def departures(own: list[float], x: np.ndarray = bowing.JUDGED) -> pd.DataFrame:
    """Systems that a model bends too little, each by its own bowing."""
    names = [f"system {number}" for number in range(len(own))]
    table = pd.DataFrame({"system": np.repeat(names, len(x)), "x": np.tile(x, len(own)), "known": -0.1})
    return table.assign(orderings=-0.1 + np.repeat(own, len(x)) * table["x"] * (1 - table["x"]))


@given(st.floats(-1, 2), st.lists(st.tuples(st.floats(0, 1), st.floats(0.05, 0.95)), min_size=1, max_size=9))
def test_the_bowing_that_was_put_in_comes_out(b: float, rows: list[tuple[float, float]]) -> None:
    predicted, x = np.array(rows).T
    table = pd.DataFrame({"x": x, "known": predicted - b * x * (1 - x), "orderings": predicted})
    assert bowing.fitted(table, "orderings") == pytest.approx(b, abs=1e-9)


@given(st.lists(st.floats(-1, 2), min_size=2, max_size=7))
def test_its_error_is_that_of_a_mean_over_systems(own: list[float]) -> None:
    found = bowing.correction(departures(own), "orderings")
    spread = np.std(own, ddof=1)
    assert (found.systems, found.alloys) == (len(own), 3 * len(own))
    assert found.mean == pytest.approx(np.mean(own), abs=1e-9)
    assert found.standard_deviation == pytest.approx(spread, abs=1e-9)
    assert found.standard_error == pytest.approx(spread / np.sqrt(len(own)), abs=1e-7)


def test_it_is_used_only_if_it_can_be_told_from_zero() -> None:
    told = bowing.correction(departures([0.2, 0.4, 1.2]), "orderings")
    assert told.used and told.bowing == told.mean
    assert told.sigma == pytest.approx(np.std([0.2, 0.4, 1.2], ddof=1) * np.sqrt(4 / 3))
    for own in ([-1.0, 1.2], [0.5], []):
        doubtful = bowing.correction(departures(own), "orderings")
        assert not doubtful.used
        assert (doubtful.bowing, doubtful.sigma, doubtful.systems) == (0, 0, len(own))
        np.testing.assert_array_equal(doubtful.lowered([1.0, 1.0], [0.1, 0.5]), [1, 1])
        np.testing.assert_array_equal(doubtful.widened([0.2, 0.2], [0.1, 0.5]), [0.2, 0.2])
    assert bowing.correction(departures([-0.9, -1.1]), "orderings").used  # too much bowing is taken back


def test_alloys_left_out_have_no_part_in_their_bowing() -> None:
    table = departures([0.2, 0.4, 1.2])
    found = bowing.judged(table, "orderings")
    parabola = table["x"] * (1 - table["x"])
    own, others = np.repeat([0.2, 0.4, 1.2], 3), np.repeat([0.8, 0.7, 0.3], 3)
    np.testing.assert_allclose(bowing.of_others(table, "orderings"), others * parabola)
    assert found["mae"] == pytest.approx((own * parabola).mean())
    assert found["mae_left_out"] == pytest.approx((np.abs(own - others) * parabola).mean())
    assert found["mae_line"] == pytest.approx(0.1)
    assert bowing.judged(departures([0.2]), "orderings")["mae_left_out"] is None


def test_the_card_says_what_the_held_out_alloys_say() -> None:
    """Predicted anew, all of them; a bowing that is wrong by 0.02 eV fails."""
    found, table = bowing.measure(model(), bowing_parameters.curves())
    said = model().card[bowing.KEY]
    assert set(said) == set(found) == set(REPRESENTATIONS)
    for name in REPRESENTATIONS:
        parabola = table["x"] * (1 - table["x"])
        off = table[name] - table["known"]
        least_squares = np.linalg.lstsq(parabola.to_numpy()[:, None], off.to_numpy(), rcond=None)[0].item()
        assert said[name]["mean"] == pytest.approx(least_squares, abs=0.02)
        each = [
            (off[own] * parabola[own]).sum() / (parabola[own] ** 2).sum()
            for own in table.groupby("system").groups.values()
        ]
        assert said[name]["standard_deviation"] == pytest.approx(np.std(each, ddof=1), abs=0.02)
        assert said[name]["standard_error"] == pytest.approx(np.std(each, ddof=1) / np.sqrt(len(each)), abs=0.02)
        assert (said[name]["systems"], said[name]["alloys"]) == (table["system"].nunique(), len(table))
        assert said[name]["used"] == (abs(least_squares) > said[name]["standard_error"])
        assert said[name]["mae"] == pytest.approx(off.abs().mean(), abs=0.01)
        assert bowing.of(model(), "experiment", name).bowing == (said[name]["mean"] if said[name]["used"] else 0)


def test_models_without_measured_gaps_have_none() -> None:
    settings = network.Hyperparameters(fidelities=("pbe",))
    card = {bowing.KEY: {"shared-site": {"systems": 6, "mean": 1.0}}}
    pbe = ensemble.Model(settings, [], card=card)
    assert bowing.of(pbe, "pbe", "shared-site") == bowing.Correction()
    assert bowing.of(ensemble.Model(settings, []), "experiment", "shared-site") == bowing.Correction()
    with pytest.raises(InputError, match="does not know measured gaps"):
        bowing.measure(pbe, [])


def test_a_model_that_has_seen_every_alloy_gets_no_correction() -> None:
    seen = np.array([str(name) for name in ("GaAsSb", "InAsSb")])
    curves = [curve for curve in bowing_parameters.curves() if curve.alloy.label in ("GaAs-GaSb", "InAs-InSb")]
    settings = network.Hyperparameters(fidelities=("experiment",))
    found, table = bowing.measure(ensemble.Model(settings, [], formulas=seen), curves)
    assert table.empty
    for each in found.values():
        assert (each["systems"], each["mean"], each["used"], each["mae"]) == (0, None, False, None)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [(["nowhere"], "no model there"), (["--table", "table.json.gz"], "--table and --measured go together")],
)
def test_what_cannot_be_done_is_named(arguments: list[str], wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        bowing.main(arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(bowing.BUNDLED, tmp_path / "model")
    return tmp_path / "model"


def test_it_is_written_into_the_card_and_nothing_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = files.read_json(folder / "model.json")
    files.write_json({key: value for key, value in card.items() if key != bowing.KEY}, folder / "model.json")
    bowing.main([str(folder)])
    written = files.read_json(folder / "model.json")
    assert {key: value for key, value in written.items() if key != bowing.KEY} == {
        key: value for key, value in card.items() if key != bowing.KEY
    }
    again, printed = model_files.load(folder), capsys.readouterr().out
    for representation in REPRESENTATIONS:
        found = bowing.of(again, "experiment", representation)
        assert found.mean == pytest.approx(card[bowing.KEY][representation]["mean"], abs=0.02)
        assert f"{representation}: residual bowing {found}" in printed
    assert "6 held-out systems" in printed


def test_teachers_are_written_beside_what_the_model_has_seen(folder: Path, tmp_path: Path) -> None:
    from bandgaps.alloy import teachers
    from bandgaps.table import storage

    seen = model().formulas
    assert seen is not None
    split = np.where(np.arange(len(seen)) % 9 == 0, "validation", "train")
    table = pd.DataFrame({"formula": [*seen, "XeF2"], "split": [*split, "test"]})
    storage.write(table, tmp_path / "table.json.gz")
    first = pd.DataFrame({"formula": [seen[0], seen[1], "XeF2", "XeO4", "Si3Ge"], "band_gap": 1.0})
    first.to_csv(tmp_path / "first.csv", index=False)
    pd.DataFrame({"formula": ["O4Xe", "GaInSb2"], "band_gap": 0.5}).to_csv(tmp_path / "second.csv", index=False)
    lists = [tmp_path / "first.csv", tmp_path / "second.csv"]
    teachers.record(folder, tmp_path / "table.json.gz", lists)
    again = model_files.load(folder)
    assert again.teachers is not None and again.formulas is not None
    assert set(again.teachers) == {str(seen[1]), "XeO4", "InGaSb2"}  # not what is set aside, nor left out
    assert again.formulas.tolist() == seen.tolist()
    assert again.seen() == set(seen) and again.seen(including_teachers=True) == set(seen) | set(again.teachers)
    for weights, kept in zip(again.members, model().members, strict=True):
        assert all(np.array_equal(weights[name], kept[name]) for name in kept)
    assert files.read_json(folder / "model.json") | {"sha256": 0} == files.read_json(bowing.BUNDLED / "model.json") | {
        "sha256": 0
    }

    storage.write(table.iloc[5:], tmp_path / "other.json.gz")
    with pytest.raises(InputError, match=r"other\.json\.gz: not the table"):
        teachers.record(folder, tmp_path / "other.json.gz", lists)


def test_the_command_tells_what_it_can_be_asked_for() -> None:
    text = bowing.parser().format_help()
    assert all(flag in text for flag in ("--table", "--measured", "model"))


def test_no_compound_of_silicon_and_germanium_measures_it() -> None:
    assert not PARAMETERS[["end_0", "end_1"]].isin(["Si", "Ge", "SiGe"]).any(axis=None)
    assert (ROOT / "data" / "alloys" / "bowing.csv") == bowing_parameters.PARAMETERS
