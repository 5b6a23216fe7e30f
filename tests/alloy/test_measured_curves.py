from __future__ import annotations

import numpy as np
import pytest

from bandgaps.alloy import measured_curves

SYSTEM = ("Si", "Ge")


def test_the_measured_gap_of_silicon_germanium() -> None:
    assert measured_curves.gap(SYSTEM, [0, 0.51, 1]) == pytest.approx([1.155, 0.98928, 0.740], abs=1e-5)


def test_the_gap_falls_steeply_once_the_germanium_like_minimum_is_lowest() -> None:
    slopes = np.diff(measured_curves.gap(SYSTEM, [0.83, 0.84, 0.85, 0.86])) / 0.01
    assert slopes[0] == pytest.approx(-0.43 + 2 * 0.206 * 0.835, abs=1e-3)
    assert slopes[2] == pytest.approx(-1.270)


def test_a_system_can_be_written_either_way() -> None:
    x = np.linspace(0, 1, 11)
    np.testing.assert_allclose(measured_curves.gap(("Ge", "Si"), x), measured_curves.gap(SYSTEM, 1 - x))
    np.testing.assert_allclose(
        measured_curves.lattice_constant(("Ge", "Si"), x), measured_curves.lattice_constant(SYSTEM, 1 - x)
    )


def test_lattice_constants_bow_where_measured_and_are_straight_elsewhere() -> None:
    assert measured_curves.lattice_constant(SYSTEM, [0, 0.5, 1]) == pytest.approx([5.431, 5.53775, 5.658])
    assert measured_curves.lattice_constant(("Ge", "Sn"), [0, 0.5, 1]) == pytest.approx([5.658, 6.0735, 6.489])


def test_what_was_not_measured_is_not_a_number() -> None:
    assert np.isnan(measured_curves.gap(("C", "Si"), [0, 1])).all()
    assert np.isnan(measured_curves.lattice_constant(("Si", "Pb"), 0.5))
    assert measured_curves.gap_citation(("C", "Si")) is None
    assert measured_curves.gap_citation(SYSTEM) == "Weber & Alonso, 4.2 K"
