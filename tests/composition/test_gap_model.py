from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from gap_models import fitted, measured_gaps, sample, save
from spellings import COMPOSITIONS

from bandgaps.composition import features, forest, gap_model, measured
from bandgaps.composition.measured import Gaps
from bandgaps.errors import InputError
from bandgaps.intervals import Distribution

FORMULAS = ["Si49Ge51", "NaCl", *sample()["formula"][90:110], "(GaAs)2", "Al0.5Ga0.5N"]
ROWS = [(name, factor) for name in COMPOSITIONS for factor in (1, 3, 0.5)]
NAMES = np.array([name for name, _ in ROWS])
SPELLED = Gaps.of(
    ["".join(f"{element}{amount * factor}" for element, amount in COMPOSITIONS[name].items()) for name, factor in ROWS],
    np.zeros(len(ROWS)),
)


def small() -> forest.UncertainForest:
    return forest.new(jobs=1).set_params(n_estimators=5, min_samples_split=2)


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_no_tree_answers_for_a_composition_that_it_was_grown_on_in_any_spelling(name: str) -> None:
    y = np.equal(NAMES, name).astype(float)  # whoever has seen one of its spellings, knows of the gap
    rows, found = gap_model.out_of_fold(SPELLED.X, y, SPELLED.hashes, small)
    assert sorted(rows) == list(range(len(y)))
    assert (found.quantile(1)[y[rows] == 1] == 0).all() and (found.std[y[rows] == 1] == 0).all()
    assert (small().fit(SPELLED.X, y).predict(SPELLED.X) == y).all()  # as all do that have seen it


def test_what_is_left_out_is_told_by_its_row() -> None:
    y = np.arange(len(ROWS), dtype=float)
    rows, found = gap_model.out_of_fold(SPELLED.X, y, SPELLED.hashes, small)
    fold = SPELLED.hashes // np.uint64(2) % np.uint64(gap_model.FOLDS)
    for number in np.unique(fold):
        out = fold == number
        expected = Distribution(*small().fit(SPELLED.X[~out], y[~out]).distribution(SPELLED.X[out]))
        here = np.isin(rows, np.flatnonzero(out))
        for level in (0, 0.3, 1):
            np.testing.assert_array_equal(found.quantile(level)[here], expected.quantile(level))
        np.testing.assert_array_equal(rows[here], np.flatnonzero(out))


def test_of_very_many_rows_one_fold_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap_model, "ONE_FOLD", len(ROWS))
    rows, found = gap_model.out_of_fold(SPELLED.X, SPELLED.y, SPELLED.hashes, small)
    fold = SPELLED.hashes // np.uint64(2) % np.uint64(gap_model.FOLDS)
    assert 0 < len(rows) < len(ROWS) and rows.tolist() == np.flatnonzero(fold == 0).tolist()
    assert len(found.median) == len(found.std) == len(rows)


def test_of_one_composition_none_is_left_out() -> None:
    first = NAMES == "SiGe"
    rows, found = gap_model.out_of_fold(SPELLED.X[first], SPELLED.y[first], SPELLED.hashes[first], small)
    assert len(rows) == len(found.median) == len(found.std) == 0
    assert gap_model.fitted_intervals(rows, found, SPELLED.y[first], "band_gap").rows == 0


def test_only_gaps_have_metals_and_end_at_zero() -> None:
    found = Distribution(np.zeros((4, 3), dtype=np.float32), np.zeros(4))
    y = np.array([-1, 0, 2, 3.0])
    of_gap = gap_model.fitted_intervals(np.arange(4), found, y, "band_gap_gllbsc")
    assert (of_gap.rows, of_gap.bounded) == (2, True)
    of_energy = gap_model.fitted_intervals(np.arange(4), found, y, "formation_energy_per_atom")
    assert (of_energy.rows, of_energy.bounded) == (4, False)


def test_a_prediction_has_the_median_and_all_that_is_known_of_its_uncertainty() -> None:
    model, _ = fitted()
    table = model.predict(FORMULAS)
    ends = [f"band_gap_{end}_{share}" for share in (68, 95) for end in ("low", "high")]
    columns = ["formula", "band_gap", "band_gap_std", *ends, "metal_probability", "band_gap_pbe", "in_training"]
    assert table.columns.tolist() == columns and table["formula"].tolist() == FORMULAS
    X = features.features(FORMULAS)
    assert model.teacher
    answered = model.teacher.distribution(X)
    by_hand = [answered.mean, answered.std, answered.median, answered.metal_votes]
    values, std = model.forest.distribution(np.column_stack([X, *by_hand]).astype(np.float32))
    np.testing.assert_array_equal(table["band_gap"], np.median(values, axis=1))
    np.testing.assert_array_equal(table["band_gap_std"], std)
    np.testing.assert_array_equal(table["band_gap_pbe"], np.median(answered.values, axis=1))
    for end, found in zip(ends, np.reshape(model.intervals.bounds(Distribution(values, std)), (4, -1)), strict=True):
        np.testing.assert_array_equal(table[end], found)
    assert (table["band_gap_low_68"] <= table["band_gap"]).all() and table["metal_probability"].between(0, 1).all()
    alone = model.teacher.predict(FORMULAS)
    assert alone.columns.tolist() == [column for column in columns if column != "band_gap_pbe"]
    np.testing.assert_array_equal(alone["band_gap"], table["band_gap_pbe"])


def test_whether_a_composition_was_in_training_is_told_of_any_spelling() -> None:
    model, _ = fitted()
    own, taught, none = sample()["formula"][120], sample()["formula"][3], sample()["formula"][210]
    for formula, expected in ((own, "measured"), (taught, "calculated"), (none, "no"), ("Si49Ge51", "no")):
        table = model.predict([formula, f"({formula})2", f"({formula})0.5"])
        assert table["in_training"].tolist() == [expected] * 3, formula
    assert model.teacher
    assert model.teacher.predict([own, taught, none])["in_training"].tolist() == ["calculated", "calculated", "no"]
    assert model.teacher.predict([sample()["formula"][160]])["in_training"].tolist() == ["no"]


def test_what_was_measured_is_remembered_and_the_teacher_is_heard() -> None:
    model, out = fitted()
    found = model.predict(list(measured_gaps().formulas))
    assert np.abs(found["band_gap"] - measured_gaps().y).mean() < 0.05
    gapped = (out.y > 0) & ~out.calculated
    assert np.corrcoef(out.found.median[gapped], out.y[gapped])[0, 1] > 0.6


def test_a_saved_model_predicts_the_same(tmp_path: Path) -> None:
    model, _ = fitted()
    model.save(tmp_path / measured.PUPIL)
    pd.testing.assert_frame_equal(gap_model.load(tmp_path / measured.PUPIL).predict(FORMULAS), model.predict(FORMULAS))


def test_a_model_saved_in_small_files_predicts_the_same_to_a_millivolt(tmp_path: Path) -> None:
    model, _ = fitted()
    loaded = gap_model.load(save(tmp_path) / measured.PUPIL)
    expected, found = model.predict(FORMULAS), loaded.predict(FORMULAS)
    np.testing.assert_allclose(found["band_gap_pbe"], expected["band_gap_pbe"], rtol=0, atol=5.1e-4)
    np.testing.assert_allclose(found["band_gap"], expected["band_gap"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(found["band_gap_std"], expected["band_gap_std"], rtol=0, atol=2e-3)
    assert found["in_training"].equals(expected["in_training"])
    assert loaded.intervals == model.intervals


def card_with(folder: Path, name: str, **changes: Any) -> Path:
    path = folder / name / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder / name


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "models")


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        ("composition-none", "composition-none: no model there"),
        ("../models/composition-pbe", "teacher: "),
        ("/composition-pbe", "teacher: "),
        ("..", "teacher: not a name in this folder, found"),
        (3, "teacher: "),
        (measured.PUPIL, "has a teacher itself"),
        (None, "trained on other columns"),
        ("", "teacher: not a name"),
    ],
)
def test_a_teacher_that_is_not_there_is_refused(copy: Path, teacher: object, words: str) -> None:
    folder = card_with(copy, measured.PUPIL, teacher=teacher)
    with pytest.raises(InputError, match=words) as caught:
        gap_model.load(folder)
    assert str(copy) in str(caught.value)


def test_a_pupil_is_no_teacher(copy: Path) -> None:
    shutil.copytree(copy / measured.PUPIL, copy / "other")
    with pytest.raises(InputError, match=f"{copy}/other: the card's teacher, .* has a teacher itself"):
        gap_model.load(card_with(copy, "other", teacher=measured.PUPIL))


@pytest.mark.parametrize("name", [measured.TEACHER, measured.PUPIL])
@pytest.mark.parametrize("member", ["trees.npz", "training.npz"])
def test_damaged_arrays_are_named(copy: Path, name: str, member: str) -> None:
    path = copy / name / member
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=f"{path}: its checksum"):
        gap_model.load(copy / measured.PUPIL)


def test_a_card_without_intervals_is_named(copy: Path) -> None:
    folder = card_with(copy, measured.TEACHER, intervals=None)
    with pytest.raises(InputError, match=f"{folder}: the card has no intervals; train it again"):
        gap_model.load(copy / measured.PUPIL)


def test_a_training_row_that_is_no_formula_is_said_to_be_the_models() -> None:
    model = replace(fitted()[0], training={"formula": np.array(["Si", "Xx"])})
    with pytest.raises(InputError, match=r"model composition-experiment, its training rows: row 1: .*'Xx'"):
        model.predict(["Si"])
