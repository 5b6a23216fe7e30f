"""benchmarks.alloys: what the table says of predictors whose errors are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pdf import words

from bandgaps.alloy import measured_curves
from benchmarks.alloys import (
    Case,
    Prediction,
    Predictor,
    means,
    parity,
    points,
    possible,
    row,
    table,
)

CASES = [Case(measured) for measured in measured_curves.all_measured()]
NAMED = {case.measured.label: case for case in CASES}


def off_by(shift: float, sigma: float) -> Predictor:
    """A predictor that knows the measured gap but for a shift, eV."""

    def predict(case: Case, x: np.ndarray) -> Prediction:
        return Prediction.of_sigma(case.measured.gap(x) + shift, np.full(len(x), sigma))

    return predict


def straight(case: Case, x: np.ndarray) -> Prediction:
    first, last = case.measured.gap([0.0, 1.0])
    gap = (1 - x) * first + x * last
    return Prediction.of_sigma(gap, np.full(len(x), 0.1))


def test_a_shifted_curve_is_off_until_its_ends_are_anchored() -> None:
    case = NAMED["GaAs-InAs"]
    found = row(case, off_by(0.2, 0.15)(case, case.x), held_out=True)
    assert (found["deviation"], found["anchored"]) == (pytest.approx(0.2), pytest.approx(0, abs=1e-12))
    assert found["ends"] == pytest.approx([1.719, 0.617]) and found["ends_measured"] == pytest.approx([1.519, 0.417])
    assert found["bowing"] == pytest.approx(0.477) == found["bowing_measured"]
    assert (found["inside_68"], found["inside_95"]) == (0, 1)
    assert found["between"] and found["held_out"]


def test_a_straight_line_is_the_straight_line() -> None:
    case = NAMED["GaAs-GaSb"]
    found = row(case, straight(case, case.x), held_out=False)
    assert found["deviation"] == pytest.approx(found["line"]) == pytest.approx(found["anchored"])
    assert found["bowing"] == pytest.approx(0, abs=1e-9) and found["bowing_measured"] == pytest.approx(1.43)
    perfect = row(case, off_by(0, 0.1)(case, case.x), held_out=False)
    assert not perfect["between"]  # the middle of this alloy is measured below both ends


def test_what_was_measured_in_part_is_judged_there_and_not_anchored() -> None:
    case = NAMED["Ge-Sn"]
    assert case.x.tolist() == pytest.approx([0, 0.05, 0.1])
    found = row(case, off_by(-0.1, 0.2)(case, case.x), held_out=True)
    assert found["deviation"] == pytest.approx(0.1)
    assert found["anchored"] is found["bowing"] is found["ends"] is found["between"] is None


def test_each_system_is_left_out_of_its_own_predictor() -> None:
    asked: list[frozenset[str]] = []

    def fitted(left_out: frozenset[str]) -> Predictor:
        asked.append(left_out)
        return off_by(0.1, 0.11)

    rows = table(CASES, fitted, seen={frozenset({"Ga", "As", "Al"})}, calculated={frozenset({"Si", "Ge"})})
    assert rows["system"][rows["calculated"]].tolist() == ["Si-Ge"]
    assert asked == [case.elements for case in CASES] and frozenset({"Si", "Ge"}) in asked
    assert rows["system"][~rows["held_out"]].tolist() == ["GaAs-AlAs"]
    over = means(rows)
    assert over["deviation"] == pytest.approx(0.1) and over["systems"] == len(CASES)
    assert over["gain"] == pytest.approx(over["line"]) and over["gain"] > 2 * over["gain_standard_error"] > 0
    assert (over["inside_68"], over["inside_95"]) == (pytest.approx(1), 1)
    assert means(rows[rows["system"] == "none"])["deviation"] is None


def test_formulas_and_crystals_of_a_case_are_of_its_composition() -> None:
    case = NAMED["CdS-CdSe"]
    assert case.alloy is not None
    (formula,) = case.formulas(np.array([0.25]))
    assert case.alloy.read(formula) == 0.25
    taken, why = possible([case, NAMED["CdTe-MnTe"]], lambda _: straight)
    assert (len(taken), why) == (2, {})
    assert NAMED["CdTe-MnTe"].alloy is None


def test_the_figure_marks_what_was_held_out(tmp_path: Path) -> None:
    drawn = points(CASES, lambda _: off_by(0.1, 0.1), seen={frozenset({"Ga", "As", "Al"})})
    assert set(drawn["x"]) == {0.25, 0.5, 0.75}
    np.testing.assert_allclose(drawn["band_gap"] - drawn["band_gap_measured"], 0.1)
    parity(tmp_path / "alloys.pdf", drawn, "Shifted")
    text = words(tmp_path / "alloys.pdf")
    assert "1 systems seen in training" in text and "systems held out" in text
