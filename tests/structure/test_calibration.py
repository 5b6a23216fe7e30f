from __future__ import annotations

import numpy as np
import pytest
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


def held(given: Calibration, error: np.ndarray, spread: np.ndarray) -> np.ndarray:
    return coverage(error, np.zeros_like(error), given.sigma(spread), np.array([1.0, given.wide]))


def test_intervals_hold_what_they_promise_on_other_rows() -> None:
    fitted = calibration.fit(*ensemble(2500, 0))
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
    fitted, scaled = calibration.fit(error, spread), calibration.fit(unit * error, spread)
    assert np.all(np.diff(fitted.sigma(np.linspace(0, 1, 9))) > 0)
    assert fitted.wide >= 1
    np.testing.assert_allclose(scaled.sigma(spread).mean(), unit * fitted.sigma(spread).mean(), rtol=0.1)


def test_a_single_network_gets_the_same_sigma_everywhere() -> None:
    error, _ = ensemble(400, 2)
    fitted = calibration.fit(error, np.zeros(400))
    assert np.ptp(fitted.sigma(np.zeros(10))) == 0
    np.testing.assert_allclose(held(fitted, error, np.zeros(400)), [0.683, 0.95], atol=0.01)


def test_few_rows_are_refused() -> None:
    with pytest.raises(InputError, match="19 rows to calibrate"):
        calibration.fit(*ensemble(19, 0))
