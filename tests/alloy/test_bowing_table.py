"""data/alloys: the list of alloys made from bowing parameters."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT
from pymatgen.core import Composition

from bandgaps import formulas, levels
from bandgaps.alloy import bowing_parameters
from bandgaps.table import sources

ALLOYS = ROOT / "data" / "alloys"
sys.path.insert(0, str(ALLOYS))

import expand  # noqa: E402

BOWING = pd.read_csv(ALLOYS / "bowing.csv")


def extrema(*ends: str) -> pd.DataFrame:
    return BOWING[(BOWING["end_0"] == ends[0]) & (BOWING["end_1"] == ends[1])]


def test_the_list_is_what_the_parameters_for_training_give(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(expand, "HERE", tmp_path)
    BOWING.to_csv(f"{tmp_path}/bowing.csv", index=False)
    expand.main()
    found = pd.read_csv(f"{tmp_path}/gaps.csv")
    pd.testing.assert_frame_equal(found, pd.read_csv(ALLOYS / "gaps.csv"))
    systems = {frozenset(Composition(formula).elements) for formula in found["formula"]}
    judging = BOWING[BOWING["use"] == "judging"]
    assert set(BOWING["use"]) == {"training", "judging"}
    assert not systems & {frozenset(Composition("".join(ends))) for ends in judging[["end_0", "end_1"]].to_numpy()}


def test_alloys_begin_and_end_with_their_ends() -> None:
    known = sources.from_file(ROOT / "data" / "semiconductors.csv", levels.EXPERIMENT).table
    for ends, rows in BOWING.groupby(["end_0", "end_1"]):
        first, last = bowing_parameters.gap(rows, np.array([0.0, 1.0]))
        assert first == rows["band_gap_0"].min() and last == rows["band_gap_1"].min()
        for end, gap in zip(ends, (first, last), strict=True):
            listed = known.loc[known["formula"] == formulas.reduced_formula(end), levels.EXPERIMENT]
            assert listed.empty or np.abs(listed - gap).min() < 0.15, (end, gap)


@pytest.mark.parametrize(
    ("ends", "x", "expected"),
    [  # low temperature; In0.53Ga0.47As: Vurgaftman 2001; GaAs-AlAs becomes indirect near x = 0.4
        (("GaAs", "InAs"), 0.53, 0.816),
        (("GaAs", "AlAs"), 0.3, 1.92),
        (("InP", "GaP"), 0.51, 2.0),
    ],
)
def test_well_known_alloys_have_their_gaps(ends: tuple[str, str], x: float, expected: float) -> None:
    assert bowing_parameters.gap(extrema(*ends), np.array([x])) == pytest.approx(expected, abs=0.04)


def test_the_gap_turns_indirect_where_it_is_known_to() -> None:
    rows, x = extrema("GaAs", "AlAs"), np.linspace(0, 1, 201)
    gamma = rows["extremum"] == "Gamma"
    direct = bowing_parameters.gap(rows[gamma], x) <= bowing_parameters.gap(rows[~gamma], x)
    assert direct[0] and not direct[-1]
    assert x[np.argmin(direct)] == pytest.approx(0.4, abs=0.06)


def test_silicon_and_germanium_are_in_none() -> None:
    measured = sources.from_file(ALLOYS / "gaps.csv", levels.EXPERIMENT).table
    assert measured["formula"].is_unique and len(measured) > 80 and measured[levels.EXPERIMENT].between(0, 7).all()
    assert not any({"Si", "Ge"} & {e.symbol for e in Composition(formula)} for formula in measured["formula"])
