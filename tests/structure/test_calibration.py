from __future__ import annotations

import json

import numpy as np
import pytest
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from bandgaps.errors import InputError
from bandgaps.metrics import coverage
from bandgaps.structure import calibration
from bandgaps.structure.calibration import Calibration


def ensemble(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors with heavy tails, as wide as three times the spread and never less than 0.05 eV wide."""
    generator = np.random.default_rng(seed)
    spread = generator.gamma(1.0, 0.1, rows)
    return generator.laplace(0, np.hypot(3 * spread, 0.05)), spread


def fitted_to(rows: int, seed: int) -> Calibration:
    """A calibration on so many compositions with one row each."""
    return calibration.fit(*ensemble(rows, seed), np.arange(rows))


def held(given: Calibration, error: np.ndarray, spread: np.ndarray) -> np.ndarray:
    return coverage(error, np.zeros_like(error), given.sigma(spread), np.array([1.0, given.wide]))


def test_intervals_hold_what_they_promise_on_other_rows() -> None:
    fitted = fitted_to(2500, 0)
    error, spread = ensemble(6000, 1)
    assert np.all(np.abs(held(fitted, error, spread) - [0.683, 0.95]) <= [0.03, 0.02])
    assert not np.allclose(held(Calibration(), error, spread), [0.683, 0.95], atol=0.1)
    half = spread > np.median(spread)  # where members differ and where they agree
    for part in (half, ~half):
        assert np.all(np.abs(held(fitted, error[part], spread[part]) - [0.683, 0.95]) <= [0.06, 0.04])


def test_without_calibration_sigma_is_the_spread() -> None:
    spread = np.array([0.0, 0.1, 2.0])
    np.testing.assert_array_equal(Calibration().sigma(spread), spread)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), unit=st.floats(0.5, 2.0))
def test_sigma_grows_with_the_spread_and_with_the_errors(seed: int, unit: float) -> None:
    error, spread = ensemble(200, seed)
    fitted, scaled = (calibration.fit(k * error, spread, np.arange(200)) for k in (1, unit))
    assert np.all(np.diff(fitted.sigma(np.linspace(0, 1, 9))) > 0)
    assert fitted.wide >= 1
    np.testing.assert_allclose(scaled.sigma(spread).mean(), unit * fitted.sigma(spread).mean(), rtol=0.1)


def test_a_single_network_gets_the_same_sigma_everywhere() -> None:
    error, _ = ensemble(400, 2)
    fitted = calibration.fit(error, np.zeros(400), np.arange(400))
    assert np.ptp(fitted.sigma(np.zeros(10))) == 0
    np.testing.assert_allclose(held(fitted, error, np.zeros(400)), [0.683, 0.95], atol=0.01)


def test_few_compositions_are_refused() -> None:
    with pytest.raises(InputError, match="19 compositions to calibrate"):
        fitted_to(19, 0)
    error, spread = ensemble(190, 0)
    with pytest.raises(InputError, match="19 compositions to calibrate"):
        calibration.fit(error, spread, np.arange(190) % 19)
    assert calibration.fit(error, spread, np.arange(190) % 20).compositions == 20


def test_errors_that_are_nearly_all_nothing_give_a_sigma() -> None:
    error = np.where(np.arange(100) < 90, 0.0, 1.0)
    fitted = calibration.fit(error, np.zeros(100), np.arange(100))
    assert 0 < fitted.sigma(np.zeros(1))[0] <= 0.002
    assert fitted.wide * fitted.sigma(np.zeros(1))[0] == pytest.approx(1.0)


def polymorphs(compositions: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors of a few compositions with many rows, all large, and many with one row, small; and the compositions."""
    generator = np.random.default_rng(seed)
    many = generator.random(compositions) < 0.1
    composition = np.repeat(np.arange(compositions), np.where(many, 20, 1))
    scale = np.where(many, 1.0, 0.1)[composition]
    return generator.laplace(0, scale), composition


def test_every_composition_counts_once_however_many_rows_it_has() -> None:
    error, composition = polymorphs(3000, 0)
    fitted = calibration.fit(error, np.zeros(len(error)), composition)
    by_row = calibration.fit(error, np.zeros(len(error)), np.arange(len(error)))
    error, composition = polymorphs(3000, 1)
    shares = [
        [calibration.coverage(np.abs(error) <= k * each.sigma(np.zeros(1)), composition) for k in (1.0, each.wide)]
        for each in (fitted, by_row)
    ]
    np.testing.assert_allclose(shares[0], [0.683, 0.95], atol=0.02)
    assert shares[1][0] > 0.85


def test_a_share_counts_every_composition_once() -> None:
    composition = np.array(["Si", "C", "C", "C", "Ge"])
    assert calibration.coverage(np.array([True, False, False, True, True]), composition) == pytest.approx(7 / 9)
    assert np.isnan(calibration.coverage(np.zeros(0, dtype=bool), np.zeros(0)))


@given(seed=st.integers(0, 1000))
def test_quantiles_are_those_of_split_conformal_prediction(seed: int) -> None:
    """The ceil((n + 1) share)-th smallest of n scores."""
    error = np.abs(np.random.default_rng(seed).normal(size=40)) + 0.01
    fitted = calibration.fit(error, np.zeros(40), np.arange(40))
    one = fitted.sigma(np.zeros(1))[0]
    assert one == pytest.approx(np.sort(error)[28 - 1])  # 41 × 0.6827 = 27.99
    assert one * fitted.wide == pytest.approx(np.sort(error)[39 - 1])  # 41 × 0.95 = 38.95


def test_the_committed_intervals_hold_what_they_promise() -> None:
    """Within three standard errors, of the compositions that were scored and of those that calibrated."""
    scores = json.loads((ROOT / "data/metrics/multifidelity/structure.json").read_text())["fidelities"]
    calibrations = json.loads((ROOT / "data/models/megnet-multifidelity/model.json").read_text())["calibrations"]
    assert set(scores) == set(calibrations) == {"pbe", "gllbsc", "hse", "snumat"}
    for fidelity, found in scores.items():
        held = found["predicted-non-metals"]
        assert held["compositions"] >= 100
        inverse = 1 / held["compositions"] + 1 / calibrations[fidelity]["compositions"]
        for name, share in (("within_68", calibration.ONE_SIGMA), ("within_95", calibration.WIDE)):
            error = np.sqrt(share * (1 - share) * inverse)
            assert abs(held[name] - share) < 3 * error, (fidelity, name)
