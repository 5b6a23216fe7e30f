from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Lattice, Structure

from bandgaps.alloy import measured_curves
from bandgaps.alloy.pseudobinary import RANDOM_SITES, PseudobinaryAlloy, diamond
from bandgaps.errors import InputError
from bandgaps.structure import neighbors


def zincblende(cation: str, anion: str, lattice_constant: float) -> Structure:
    cubic = Lattice.cubic(lattice_constant)
    return Structure.from_spacegroup("F-43m", cubic, [cation, anion], [[0] * 3, [0.25] * 3]).get_primitive_structure()


SIGE = PseudobinaryAlloy.of_elements(("Si", "Ge"))
GAINAS = PseudobinaryAlloy(zincblende("Ga", "As", 5.65), ("Ga", "In"), 6.06**3 / 4)
WURTZITE = Structure.from_spacegroup(
    "P6_3mc", Lattice.hexagonal(3.19, 5.19), ["Ga", "N"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.377]]
)
GAALN = PseudobinaryAlloy(WURTZITE, ("Ga", "Al"), 41.0)
ALLOYS = (SIGE, GAINAS, GAALN)


def test_ends_are_named_by_their_formulas() -> None:
    assert [alloy.names for alloy in ALLOYS] == [("Si", "Ge"), ("GaAs", "InAs"), ("GaN", "AlN")]
    assert [alloy.label for alloy in ALLOYS] == ["Si-Ge", "GaAs-InAs", "GaN-AlN"]


def test_the_sublattice_is_where_the_ends_differ() -> None:
    for alloy, sites in zip(ALLOYS, (2, 1, 2), strict=True):
        first, second = alloy.ends
        differing = [k for k, pair in enumerate(zip(first, second, strict=True)) if pair[0].specie != pair[1].specie]
        assert alloy.sublattice == differing
        assert len(differing) == sites
    assert StructureMatcher(scale=False).fit(SIGE.ends[1], diamond("Ge", 5.658))
    assert StructureMatcher(scale=False).fit(GAINAS.ends[1], zincblende("In", "As", 6.06))


def test_volumes_are_measured_follow_vegard_for_lengths_or_zen_for_volumes() -> None:
    x = np.array([0.0, 0.3, 0.5, 1.0])
    np.testing.assert_allclose(SIGE.volume(x), (5.431 + 0.20 * x + 0.027 * x**2) ** 3 / 4)  # Dismukes
    tin = PseudobinaryAlloy.of_elements(("Ge", "Sn"))
    np.testing.assert_allclose(tin.volume(x), (5.658 + (6.489 - 5.658) * x) ** 3 / 4)
    np.testing.assert_allclose(GAINAS.volume(x), (5.65**3 + (6.06**3 - 5.65**3) * x) / 4)


@pytest.mark.parametrize("alloy", ALLOYS)
@pytest.mark.parametrize("x", [0.0, 0.3, 1.0])
def test_a_shared_site_has_the_composition_and_the_volume(alloy: PseudobinaryAlloy, x: float) -> None:
    crystal = alloy.shared_site(x)
    assert crystal.composition.almost_equals(alloy.composition(x))
    assert alloy.fraction(crystal) == pytest.approx(x)
    assert crystal.is_ordered == (x in (0, 1))
    np.testing.assert_allclose(crystal.frac_coords, alloy.first.frac_coords)
    assert crystal.volume == pytest.approx(float(alloy.volume(x)))
    ends = alloy.ends
    if x in (0, 1):
        assert StructureMatcher(scale=False).fit(crystal, ends[round(x)])


def test_compositions_are_those_of_the_first_cell() -> None:
    assert SIGE.composition(0.25) == Composition({"Si": 1.5, "Ge": 0.5})
    assert GAINAS.composition(0.4) == Composition({"Ga": 0.6, "In": 0.4, "As": 1})


def test_scaling_changes_only_the_volume() -> None:
    for ordering in SIGE.orderings(6):
        scaled, x = SIGE.scaled(ordering.structure), SIGE.fraction(ordering.structure)
        constant = float(measured_curves.lattice_constant(("Si", "Ge"), x))
        assert scaled.volume == pytest.approx(constant**3 / 8 * len(scaled))
        np.testing.assert_array_equal(scaled.frac_coords, ordering.structure.frac_coords)
        assert ordering.structure.volume == pytest.approx(5.431**3 / 8 * len(scaled))


@pytest.mark.parametrize("alloy", ALLOYS)
def test_random_cells_have_as_many_atoms_of_the_second_end_as_asked_for(alloy: PseudobinaryAlloy) -> None:
    a, b = alloy.elements
    for count in (0, 3, RANDOM_SITES):
        cell = alloy.random_cell(count, np.random.default_rng(0))
        assert (cell.composition[a], cell.composition[b]) == (RANDOM_SITES - count, count)
        expected = float(alloy.volume(count / RANDOM_SITES)) / len(alloy.first)
        assert cell.volume / len(cell) == pytest.approx(expected)
        if alloy is not GAALN:
            assert neighbors.build([cell], 3.0).bond_counts.tolist() == [len(cell) * 4]
    first, second = (GAINAS.random_cell(4, np.random.default_rng(seed)) for seed in (0, 1))
    assert [site.specie for site in first] != [site.specie for site in second]


def test_elements_without_a_lattice_constant_are_refused() -> None:
    with pytest.raises(InputError, match="Na-Cl; choose two of C, Si, Ge, Sn"):
        PseudobinaryAlloy.of_elements(("Na", "Cl"))
