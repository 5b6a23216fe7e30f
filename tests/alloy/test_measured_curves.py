from __future__ import annotations

import numpy as np
import pytest

from bandgaps.alloy import ends, lattice_constants, measured_curves
from bandgaps.alloy.measured_curves import MeasuredAlloy
from bandgaps.formulas import exchanged

SYSTEM = ("Si", "Ge")
ALL = measured_curves.all_measured()


def test_the_measured_gap_of_silicon_germanium() -> None:
    x = np.linspace(0, 1, 101)
    published = np.minimum(1.155 - 0.43 * x + 0.206 * x**2, 2.010 - 1.270 * x)  # Weber & Alonso
    np.testing.assert_allclose(measured_curves.gap(SYSTEM, x), published, atol=1e-12)
    assert measured_curves.gap_citation(SYSTEM) == "Weber & Alonso, 4.2 K"


def test_a_system_can_be_written_either_way_and_in_any_spelling() -> None:
    x = np.linspace(0, 1, 11)
    for system in (SYSTEM, ("GaAs", "AlAs"), ("HgTe", "CdTe"), ("PbS", "PbSe")):
        np.testing.assert_allclose(measured_curves.gap(system[::-1], x), measured_curves.gap(system, 1 - x), atol=1e-12)
    assert measured_curves.gap(("AsGa", "Al2As2"), 0.3) == measured_curves.gap(("GaAs", "AlAs"), 0.3)
    germanium = measured_curves.known(("Sn", "Ge"))
    assert germanium is not None and germanium.limits == pytest.approx((0.9, 1)) and germanium.names == ("Sn", "Ge")


def test_lattice_constants_bow_where_measured_and_are_straight_elsewhere() -> None:
    x = np.array([0, 0.5, 1])
    np.testing.assert_allclose(lattice_constants.diamond(SYSTEM, x), 5.431 + 0.20 * x + 0.027 * x**2)  # Dismukes
    np.testing.assert_allclose(lattice_constants.diamond(SYSTEM[::-1], x), lattice_constants.diamond(SYSTEM, 1 - x))
    assert lattice_constants.diamond(("Ge", "Sn"), [0, 0.5, 1]) == pytest.approx([5.658, 6.0735, 6.489])
    assert np.isnan(lattice_constants.diamond(("Si", "Pb"), 0.5))


def test_what_was_not_measured_is_not_a_number() -> None:
    assert np.isnan(measured_curves.gap(("C", "Si"), [0, 1])).all()
    assert measured_curves.gap_citation(("C", "Si")) is None and measured_curves.drawn(("C", "Si")) is None
    tin = measured_curves.gap(("Ge", "Sn"), [0, 0.1, 0.2, 1])
    assert np.isfinite(tin[:2]).all() and np.isnan(tin[2:]).all()


def test_there_are_forty_measured_systems_each_with_its_source() -> None:
    assert len(ALL) >= 40 and len({frozenset(alloy.names) for alloy in ALL}) == len(ALL)
    for alloy in ALL:
        exchanged(alloy.names)
        low, high = alloy.limits
        assert 0 <= low < high <= 1
        gaps = alloy.gap(np.linspace(low, high, 21))
        assert ((gaps >= 0) & (gaps < 7)).all(), alloy.label
        assert 0 <= alloy.temperature <= 300 and len(alloy.source) > 20
        assert set(alloy.valleys) <= {"Γ", "X", "L", "R", "X1", "X3"}


def test_the_crystals_of_the_measured_systems_are_bundled_but_for_a_few() -> None:
    """Manganese is magnetic; chalcopyrites, kesterites and crystals with molecules are no prototypes of the sample."""
    lacking = {"CdTe-MnTe", "CH3NH3PbI3-CH3NH3PbBr3", "CuInSe2-CuGaSe2", "Cu2ZnSnS4-Cu2ZnSnSe4"}
    found = [ends.of_system(alloy.names, alloy.structure) for alloy in ALL if alloy.label not in lacking]
    assert len(found) >= 38 and len(found) + len(lacking) == len(ALL)
    for alloy in found:
        assert len(alloy.first) == len(alloy.second) and alloy.sublattice


@pytest.mark.parametrize(
    ("system", "x", "expected"),
    [  # at low temperature
        (("GaAs", "InAs"), 0.53, 0.816),
        (("GaAs", "AlAs"), 0.3, 1.92),
        (("InP", "GaP"), 0.51, 2.0),
        (("HgTe", "CdTe"), 0.2, 0.064),  # a detector of 10 to 14 µm has 0.08 to 0.1 eV at 77 K
    ],
)
def test_well_known_alloys_have_their_gaps(system: tuple[str, str], x: float, expected: float) -> None:
    assert measured_curves.gap(system, x) == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        (SYSTEM, [(0.85, 0.93, "X-L")]),
        (("GaAs", "AlAs"), [(0.42, 2.07, "Γ-X")]),
        (("Ge", "Sn"), [(0.073, 0.54, "L-Γ")]),
        (("GaAs", "InAs"), []),
    ],
)
def test_valleys_cross_where_they_are_known_to(
    system: tuple[str, str], expected: list[tuple[float, float, str]]
) -> None:
    drawn = measured_curves.drawn(system)
    assert drawn is not None
    assert [which for *_, which in drawn.crossings] == [which for *_, which in expected]
    for (x, gap, _), (known_x, known_gap, _) in zip(drawn.crossings, expected, strict=True):
        assert x == pytest.approx(known_x, abs=0.01) and gap == pytest.approx(known_gap, abs=0.02)


def test_a_semimetal_has_no_gap() -> None:
    assert measured_curves.gap(("HgTe", "CdTe"), [0, 0.1, 0.5]).tolist()[:2] == [0, 0]


def test_bowing_is_that_of_the_parabola() -> None:
    parameters = np.array([[1.0, 2.0, 0.6, 0.0]])
    alloy = MeasuredAlloy(("GaAs", "InAs"), "zincblende", ("Γ",), parameters, (0, 1), 0, "Someone, Somewhere (2000)")
    assert alloy.bowing() == pytest.approx(0.6)
    assert alloy.gap(0.5) == pytest.approx(1.5 - 0.15)
    tin = measured_curves.known(("Ge", "Sn"))
    assert tin is not None and tin.bowing() is None
