from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Lattice, Structure

from bandgaps.alloy import ends, lattice_constants
from bandgaps.alloy.pseudobinary import RANDOM_SITES, PseudobinaryAlloy, diamond
from bandgaps.errors import InputError
from bandgaps.structure import neighbors


def wurtzite(cation: str, anion: str, a: float, c: float, u: float) -> Structure:
    sites = [[1 / 3, 2 / 3, 0.0], [1 / 3, 2 / 3, u]]
    return Structure.from_spacegroup("P6_3mc", Lattice.hexagonal(a, c), [cation, anion], sites)


def perovskite(anion: str, a: float) -> Structure:
    sites = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.0]]
    return Structure.from_spacegroup("Pm-3m", Lattice.cubic(a), ["Cs", "Pb", anion], sites)


SIGE = PseudobinaryAlloy.of_elements(("Si", "Ge"))
GAINAS = ends.of_system(("GaAs", "InAs"))
GAALN = PseudobinaryAlloy.between(wurtzite("Ga", "N", 3.189, 5.185, 0.377), wurtzite("Al", "N", 3.112, 4.982, 0.382))
HALIDE = PseudobinaryAlloy.between(perovskite("I", 6.29), perovskite("Br", 5.87))
ALLOYS = (SIGE, GAINAS, GAALN, HALIDE)


def test_ends_are_named_by_their_formulas() -> None:
    assert [alloy.names for alloy in ALLOYS] == [
        ("Si", "Ge"), ("GaAs", "InAs"), ("GaN", "AlN"), ("CsPbI3", "CsPbBr3"),
    ]  # fmt: skip
    assert [alloy.label for alloy in ALLOYS[:2]] == ["Si-Ge", "GaAs-InAs"]
    assert ends.of_system(("PbS", "PbTe")).label == "PbS-PbTe"


def test_the_sublattice_is_where_the_ends_differ() -> None:
    for alloy, sites in zip(ALLOYS, (2, 1, 2, 3), strict=True):
        first, second = alloy.ends
        differing = [k for k, pair in enumerate(zip(first, second, strict=True)) if pair[0].specie != pair[1].specie]
        assert alloy.sublattice == differing
        assert len(differing) == sites
    assert StructureMatcher(scale=False).fit(SIGE.ends[1], diamond("Ge", 5.658))
    assert GAINAS.ends[0].volume == pytest.approx(5.65325**3 / 4) and GAINAS.ends[1].volume == pytest.approx(
        6.0583**3 / 4
    )


def test_lengths_are_measured_or_follow_vegards_law() -> None:
    for x in (0.0, 0.3, 0.5, 1.0):
        assert SIGE.volume(x) == pytest.approx((5.431 + 0.20 * x + 0.027 * x**2) ** 3 / 4)  # Dismukes
        assert GAINAS.volume(x) == pytest.approx((5.65325 * (1 - x) + 6.0583 * x) ** 3 / 4)
        a, _, c, *angles = GAALN.lattice(x).parameters
        assert (a, c) == pytest.approx((3.189 - 0.077 * x, 5.185 - 0.203 * x))
        assert angles == pytest.approx([90, 90, 120])


def test_angles_and_free_coordinates_lie_between_those_of_the_ends() -> None:
    def skewed(cation: str, length: float, angle: float, z: float) -> Structure:
        lattice = Lattice.from_parameters(length, 4.4, 5.2, 90, angle, 90)
        return Structure(
            lattice, [cation, "N", cation, "N"], np.array([[0, 0, 0], [0.3, 0, z], [0.5, 0.5, 0], [0.8, 0.5, z]])
        )

    alloy = PseudobinaryAlloy.between(skewed("Ga", 3.2, 96, 0.37), skewed("Al", 3.1, 98, 0.39))
    assert alloy.lattice(0.5).parameters == pytest.approx(alloy.shared_site(0.5).lattice.parameters)
    ends_angles = [sorted(crystal.lattice.angles)[-1] for crystal in alloy.ends]
    assert sorted(alloy.lattice(0.25).angles)[-1] == pytest.approx(0.75 * ends_angles[0] + 0.25 * ends_angles[1])
    for x, u in ((0.0, 0.377), (0.4, 0.379), (1.0, 0.382)):
        shared = GAALN.shared_site(x)
        heights = np.sort(np.unique(np.round((shared.frac_coords[2:, 2] - shared.frac_coords[0, 2]) % 0.5, 6)))
        assert heights == pytest.approx([u], abs=1e-6)
    for ordering in GAALN.orderings(8)[3:9]:
        scaled, x = GAALN.scaled(ordering.structure), GAALN.fraction(ordering.structure)
        bare = scaled.copy().replace_species({"Al": "Ga"})
        wanted = wurtzite("Ga", "N", 3.189 - 0.077 * x, 5.185 - 0.203 * x, 0.377 + 0.005 * x)
        assert StructureMatcher(scale=False, stol=1e-4, ltol=1e-4, angle_tol=0.01).fit(bare, wanted)


def test_ends_in_any_cell_and_order_of_sites_make_the_same_alloy() -> None:
    first, second = GAALN.ends
    turned = second.copy().make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    turned.translate_sites(range(len(turned)), [0.1, 0.2, 0.3])
    turned = Structure.from_sites(turned.sites[::-1])
    alloy = PseudobinaryAlloy.between(first.copy().make_supercell([2, 1, 1]), turned)
    assert len(alloy.first) == len(first)
    strict = StructureMatcher(scale=False, stol=1e-3, ltol=1e-3, angle_tol=0.1)
    for own, other in zip(alloy.ends, GAALN.ends, strict=True):
        assert strict.fit(own, other)
    assert alloy.volume(0.5) == pytest.approx(GAALN.volume(0.5))


@pytest.mark.parametrize("alloy", ALLOYS)
@pytest.mark.parametrize("x", [0.0, 0.3, 1.0])
def test_a_shared_site_has_the_composition_and_the_volume(alloy: PseudobinaryAlloy, x: float) -> None:
    crystal = alloy.shared_site(x)
    assert crystal.composition.almost_equals(alloy.composition(x))
    assert alloy.fraction(crystal) == pytest.approx(x)
    assert crystal.is_ordered == (x in (0, 1))
    assert crystal.volume == pytest.approx(alloy.volume(x))
    if x in (0, 1):
        assert StructureMatcher(scale=False).fit(crystal, alloy.ends[round(x)])


def test_compositions_are_those_of_the_first_cell() -> None:
    assert SIGE.composition(0.25) == Composition({"Si": 1.5, "Ge": 0.5})
    assert GAINAS.composition(0.4) == Composition({"Ga": 0.6, "In": 0.4, "As": 1})


def test_scaling_of_elements_changes_only_the_volume() -> None:
    for ordering in SIGE.orderings(6):
        scaled, x = SIGE.scaled(ordering.structure), SIGE.fraction(ordering.structure)
        constant = float(lattice_constants.diamond(("Si", "Ge"), x))
        assert scaled.volume == pytest.approx(constant**3 / 8 * len(scaled))
        np.testing.assert_array_equal(scaled.frac_coords, ordering.structure.frac_coords)
        assert ordering.structure.volume == pytest.approx(5.431**3 / 8 * len(scaled))


@pytest.mark.parametrize("alloy", ALLOYS[:3])
def test_random_cells_have_as_many_atoms_of_the_second_end_as_asked_for(alloy: PseudobinaryAlloy) -> None:
    a, b = alloy.elements
    for count in (0, 3, RANDOM_SITES):
        cell = alloy.random_cell(count, np.random.default_rng(0))
        assert (cell.composition[a], cell.composition[b]) == (RANDOM_SITES - count, count)
        assert cell.volume / len(cell) == pytest.approx(alloy.volume(count / RANDOM_SITES) / len(alloy.first))
        if alloy is not GAALN:
            assert neighbors.build([cell], 3.0).bond_counts.tolist() == [len(cell) * 4]
    first, second = (GAINAS.random_cell(4, np.random.default_rng(seed)) for seed in (0, 1))
    assert [site.specie for site in first] != [site.specie for site in second]


def test_a_quasirandom_cell_mixes_one_sublattice_of_wurtzite() -> None:
    cell = GAALN.quasirandom(Fraction(1, 4), 0)
    assert cell.composition == Composition("Ga48Al16N64")
    bare = cell.copy().replace_species({"Al": "Ga"})
    wanted = wurtzite("Ga", "N", 3.189 - 0.077 / 4, 5.185 - 0.203 / 4, 0.377 + 0.005 / 4)
    assert bare.get_primitive_structure().volume == pytest.approx(wanted.volume)
    shortest = min(near.nn_distance for near in bare.get_neighbors(bare[0], 2.5))
    assert shortest == pytest.approx(min(near.nn_distance for near in wanted.get_neighbors(wanted[0], 2.5)), abs=1e-4)


@pytest.mark.parametrize(
    ("alloy", "formula", "x"),
    [
        (SIGE, "Si49Ge51", Fraction(51, 100)),
        (SIGE, "Si0.5Ge0.5", Fraction(1, 2)),
        (SIGE, "Ge", Fraction(1)),
        (SIGE, "Si499Ge501", Fraction(501, 1000)),
        (GAINAS, "In0.3Ga0.7As", Fraction(3, 10)),
        (GAINAS, "Ga2InAs3", Fraction(1, 3)),
        (HALIDE, "CsPbI2Br", Fraction(1, 3)),
    ],
)
def test_a_formula_says_the_fraction(alloy: PseudobinaryAlloy, formula: str, x: Fraction) -> None:
    assert alloy.read(formula) == x
    assert alloy.read(alloy.formula(x)) == x


def test_formulas_are_in_whole_atoms() -> None:
    assert [SIGE.formula(Fraction(quarter, 4)) for quarter in range(5)] == ["Si", "Si3Ge", "SiGe", "SiGe3", "Ge"]
    assert [GAINAS.formula(Fraction(quarter, 4)) for quarter in (0, 1, 4)] == ["GaAs", "Ga3As4In", "InAs"]


@pytest.mark.parametrize(
    "formula", ["Si49Sn51", "Sn", "Xx3", "", "Si0Ge0", "Si-", "Si1e400Ge", "Si1e30Ge", f"Si{'9' * 300}"]
)
def test_other_compositions_are_refused(formula: str) -> None:
    with pytest.raises(InputError, match="write it as in Si1Ge3"):
        SIGE.read(formula)


@pytest.mark.parametrize("formula", ["Ga0.3In0.7", "Ga0.3In0.7As0.9", "GaInP2", "As"])
def test_other_amounts_of_what_is_not_exchanged_are_refused(formula: str) -> None:
    with pytest.raises(InputError, match=r"not an alloy of GaAs and InAs; write it as in \(GaAs\)1\(InAs\)3"):
        GAINAS.read(formula)


@pytest.mark.parametrize("formula", ["Si501Ge500", "Si1Ge10000", "Si1Ge1000000"])
def test_cells_beyond_a_thousand_atoms_are_refused(formula: str) -> None:
    with pytest.raises(InputError, match=r"cell of .* atoms, and 1,000 are the most"):
        SIGE.read(formula)


def test_ends_of_different_structures_are_told_apart() -> None:
    cubic = Structure.from_spacegroup("F-43m", Lattice.cubic(4.38), ["Al", "N"], [[0] * 3, [0.25] * 3])
    with pytest.raises(InputError, match="GaN P6_3mc with 4 atoms a cell, AlN F-43m with 2 atoms a cell"):
        PseudobinaryAlloy.between(GAALN.first, cubic)
    with pytest.raises(InputError, match="GaN and GaN do not differ in one element"):
        PseudobinaryAlloy.between(GAALN.first, GAALN.first)
    with pytest.raises(InputError, match="partial occupancies"):
        PseudobinaryAlloy.between(GAALN.shared_site(0.5), GAALN.second)


def test_elements_without_a_lattice_constant_are_refused() -> None:
    with pytest.raises(InputError, match="Na-Cl; choose two of C, Si, Ge, Sn"):
        PseudobinaryAlloy.of_elements(("Na", "Cl"))
