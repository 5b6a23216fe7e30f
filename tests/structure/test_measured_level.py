"""The model of measured gaps on top of calculated ones, on gaps that follow a rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from some_crystals import alloy, diamond

from bandgaps.intervals import Distribution
from bandgaps.structure import compositions, measured, measured_scores, neighbors
from bandgaps.structure.graphs import merged
from bandgaps.structure.measured import MeasuredLevel

COLUMNS = len(compositions.LABELS)


@pytest.fixture(scope="module")
def level() -> MeasuredLevel:
    """Two hundred materials: a third are metals, and gaps are twice the calculated ones, with some noise."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(200, COLUMNS + 3))
    inputs[:, -1] = 0  # ordered crystals
    calculated = np.maximum(generator.normal(1.0, 1.5, 200), 0)
    inputs[:, measured_scores.PBE] = calculated
    gaps = np.where(calculated > 0, 2 * calculated + 0.2 * np.abs(generator.normal(size=200)), 0.0)
    composition = np.array([f"Si{row // 2}" for row in range(200)])
    return measured.fit(inputs, gaps, np.full(200, 0.2), composition)


def test_what_it_has_seen_it_knows(level: MeasuredLevel) -> None:
    found = level.predict(level.inputs)
    gapped = level.gaps > 0
    assert np.abs(found.median - level.gaps)[gapped].mean() < 0.2
    assert (found.median[~gapped] == 0).mean() > 0.9
    low, high = level.intervals.bounds(found)[1]
    assert (low <= found.median).all() and (found.median <= high).all() and (low >= 0).all()


def test_a_metal_is_a_class_and_not_a_value(level: MeasuredLevel) -> None:
    """Gaps of insulators do not shrink because metals are near: metals only change how likely a metal is."""
    insulators = level.without(level.gaps == 0)
    mean, std, metal = level.parts(level.inputs)
    alone, alone_std, _ = insulators.parts(level.inputs)
    near = np.abs(mean - alone)[level.gaps > 0]
    assert near.max() < 0.25 and np.abs(std - alone_std).max() < 0.25  # inputs are standardised anew
    assert metal[level.gaps == 0].mean() > 0.5 and metal[level.gaps > 0].mean() < -0.5


def test_far_from_all_it_knows_it_is_less_sure(level: MeasuredLevel) -> None:
    inside, outside = level.predict(level.inputs[:5]).std, level.predict(level.inputs[:5] + 20).std
    assert (outside > 2 * inside).all()


def test_an_input_that_hardly_varied_in_training_cannot_run_away_with_the_answer(level: MeasuredLevel) -> None:
    """As the magnetic moment of Fe-Co does, where every other material has an element without one."""
    constant = level.inputs.copy()
    constant[:, 0] = 1e-6 * np.arange(len(constant))
    one, other = constant[:1], constant[:1].copy()
    other[:, 0] = 1.0
    gaps = [replace(level, inputs=constant).parts(row)[0] for row in (one, other)]
    assert np.abs(gaps[0] - gaps[1]) < 10


def test_leaving_out_is_not_having_seen(level: MeasuredLevel) -> None:
    left_out = level.composition == "Si7"
    rest = level.without(left_out)
    assert len(rest.gaps) == 198 and "Si7" not in rest.composition
    both = (each.predict(level.inputs[left_out]) for each in (level, rest))
    known, unknown = both
    assert (unknown.std > known.std).all()
    groups = np.where(left_out, "own", "other")
    found = measured.cross_validated(level, groups)
    np.testing.assert_allclose(found.values[left_out], unknown.values, atol=1e-9)


def test_folds_keep_compositions_together(level: MeasuredLevel) -> None:
    fold = measured._folds(level.composition)
    assert all(len(set(fold[level.composition == name])) == 1 for name in np.unique(level.composition))
    assert set(fold) == set(range(measured.FOLDS))


def test_intervals_hold_what_they_promise(level: MeasuredLevel) -> None:
    scores = measured_scores.scores(level)
    gapped = scores["non-metals"]
    assert gapped["within_68"] == pytest.approx(0.68, abs=0.12)  # of some 75 compositions: two standard errors
    assert gapped["within_95"] == pytest.approx(0.95, abs=0.06)
    assert scores["metals_roc_auc"] > 0.8
    assert scores["pbe-metals"]["n"] == 0
    assert scores["all"]["n"] == 200 and gapped["n"] == (level.gaps > 0).sum()
    some = measured_scores.scores(level, level.gaps > 1)
    assert some["all"]["n"] == (level.gaps > 1).sum()


def test_quantiles_are_those_of_metal_or_normal() -> None:
    mean, std, metal = np.array([1.0, 1.0, 0.1, 3.0]), np.array([0.3, 0.3, 0.5, 1.0]), np.array([0.0, 0.2, 0.1, 0.9])
    values = measured._quantiles(mean, std, metal)
    np.testing.assert_allclose(values[0], norm.ppf(measured.LEVELS, 1.0, 0.3), atol=1e-6)
    assert np.mean(values[1] == 0) == pytest.approx(0.2, abs=0.02)
    assert np.median(values[1]) == pytest.approx(norm.ppf((0.5 - 0.2) / 0.8, 1.0, 0.3), abs=1e-6)
    assert values.min() == 0 and (np.diff(values, axis=1) >= 0).all()
    assert np.median(values[3]) == 0


def test_the_ranked_probability_score_is_its_integral() -> None:
    actual = np.array([0.7, 2.5])
    values = np.tile(norm.ppf(measured.LEVELS, 1.0, 0.5), (2, 1))
    found = measured_scores.crps(Distribution(values, np.ones(2)), actual)
    for score, truth in zip(found, actual, strict=True):
        integral, _ = quad(lambda y, y0=truth: (norm.cdf(y, 1.0, 0.5) - (y >= y0)) ** 2, -4, 6, points=[truth])
        assert score == pytest.approx(integral, rel=0.02)


def test_density_falls_with_volume_and_is_smooth() -> None:
    lengths = np.linspace(5.2, 5.7, 101)
    found = measured.density(merged(neighbors.build([diamond("Si", a) for a in lengths], 5.0)))
    steps = np.diff(np.log(found))
    assert (steps < 0).all() and np.abs(np.diff(steps)).max() < 2e-3


def test_inputs_of_a_supercell_are_those_of_the_cell() -> None:
    cell = diamond()
    built = merged(neighbors.build([cell, cell * (2, 1, 1), alloy(Si=0.5, Ge=0.5)], 5.0))
    found = measured.inputs(built, np.array([[0.6, 1.1]] * 3))
    assert found.shape == (3, COLUMNS + 4)
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    assert found[0, COLUMNS:-2].tolist() == [0.6, 1.1]
    assert found[:2, -1].tolist() == [0, 0] and found[2, -1] > 0


def test_a_crystal_alone_is_predicted_as_among_others(level: MeasuredLevel) -> None:
    together, alone = level.predict(level.inputs[:3]), level.predict(level.inputs[1:2])
    np.testing.assert_allclose(together.values[1], alone.values[0], atol=1e-9)
    assert level.predict(level.inputs[:0]).values.shape == (0, len(measured.LEVELS))
