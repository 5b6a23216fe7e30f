from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Lattice, Structure

from bandgaps.alloy import enumlib, orderings, pseudobinary, quasirandom
from bandgaps.errors import InputError

SILICON = pseudobinary.diamond("Si", 5.431)
SYSTEM = ("Si", "Ge")


@pytest.fixture(scope="module")
def found() -> list[orderings.Ordering]:
    return orderings.orderings(SILICON, SYSTEM, 14)


def test_the_parent_is_the_diamond_crystal() -> None:
    assert SILICON.get_space_group_info() == ("Fd-3m", 227)
    assert SILICON.get_distance(0, 1) == pytest.approx(5.431 * np.sqrt(3) / 4)


def test_the_numbers_of_orderings_are_the_known_ones(found: list[orderings.Ordering]) -> None:
    sizes = Counter(len(ordering.structure) for ordering in found)
    assert sizes == {2: 3, 4: 7, 6: 33, 8: 171, 10: 426, 12: 2808, 14: 6184}


@pytest.mark.parametrize("cells", [2, 3, 5, 7])
def test_multiplicities_add_up_to_all_labelings(found: list[orderings.Ordering], cells: int) -> None:
    # A prime index has p² + p + 1 superlattices; of each one's labelings, 4 have the parent's own period.
    total = sum(ordering.multiplicity for ordering in found if len(ordering.structure) == 2 * cells)
    assert total == (cells**2 + cells + 1) * (4**cells - 4)


def test_multiplicities_are_those_of_the_space_groups(found: list[orderings.Ordering]) -> None:
    for ordering in found[::131]:
        assert enumlib.multiplicity(ordering.structure, SILICON) == ordering.multiplicity


def test_silicon_and_germanium_trade_places(found: list[orderings.Ordering]) -> None:
    counted: Counter[tuple[int, float]] = Counter()
    for ordering in found:
        counted[len(ordering.structure), round(ordering.fraction("Ge"), 6)] += ordering.multiplicity
    assert all(counted[size, round(1 - x, 6)] == number for (size, x), number in counted.items())


def fingerprint(structure: Structure) -> tuple[object, ...]:
    """Something that differs between orderings: how many like neighbours are within each shell, over all atoms."""
    centers, points, _, distances = structure.get_neighbor_list(7.5)
    numbers = np.array(structure.atomic_numbers)
    shells = np.round(distances, 2)
    keys = zip(numbers[centers], numbers[points], shells, strict=True)
    return (structure.composition.reduced_formula, *sorted(Counter(keys).items()))


def test_the_orderings_are_icets(found: list[orderings.Ordering]) -> None:
    from icet.tools import enumerate_structures
    from pymatgen.io.ase import AseAtomsAdaptor

    parent = AseAtomsAdaptor.get_atoms(SILICON, msonable=False)
    peers = [AseAtomsAdaptor.get_structure(atoms) for atoms in enumerate_structures(parent, range(1, 5), list(SYSTEM))]
    ours = [ordering.structure for ordering in found if len(ordering.structure) <= 8]
    assert Counter(map(fingerprint, peers)) == Counter(map(fingerprint, ours))


def test_small_orderings_are_all_different(found: list[orderings.Ordering]) -> None:
    small = [ordering.structure for ordering in found if len(ordering.structure) <= 6]
    matcher = StructureMatcher(primitive_cell=True, scale=False, attempt_supercell=False)
    assert len(matcher.group_structures(small)) == len(small)


def test_orderings_keep_the_parents_sites(found: list[orderings.Ordering]) -> None:
    for ordering in found[::503]:
        assert ordering.structure.volume / len(ordering.structure) == pytest.approx(SILICON.volume / 2)
        bare = Structure(ordering.structure.lattice, ["Si"] * len(ordering.structure), ordering.structure.frac_coords)
        assert StructureMatcher(scale=False).fit(bare, SILICON)


def test_another_parent_has_its_own_count() -> None:
    # Hart & Forcade, Phys. Rev. B 77, 224115, table IV: binary superstructures of the fcc lattice
    fcc = Structure(Lattice(2 * (1 - np.eye(3))), ["Cu"], [[0, 0, 0]])
    sizes = Counter(len(ordering.structure) for ordering in orderings.orderings(fcc, ("Cu", "Au"), 6))
    assert sizes == {1: 2, 2: 2, 3: 6, 4: 19, 5: 28, 6: 80}


def test_too_small_a_limit_names_the_flag() -> None:
    with pytest.raises(InputError, match="--max-atoms"):
        orderings.orderings(SILICON, SYSTEM, 1)


def test_scaling_changes_only_the_volume() -> None:
    scaled = pseudobinary.scaled(SILICON, 5.6)
    assert scaled.volume == pytest.approx(5.6**3 / 4)
    np.testing.assert_array_equal(scaled.frac_coords, SILICON.frac_coords)
    assert SILICON.volume == pytest.approx(5.431**3 / 4)


def test_means_count_labelings() -> None:
    points = pd.DataFrame({"x_Ge": [0.5, 0.5, 1.0], "multiplicity": [3, 1, 1], "band_gap": [1.0, 2.0, 0.7]})
    points["band_gap_std"] = [0.1, 0.5, 0.3]
    means = orderings.composition_means(points, "x_Ge")
    assert means["x_Ge"].tolist() == [0.5, 1.0]
    assert means["band_gap"].tolist() == [1.25, 0.7]
    assert means["band_gap_plain"].tolist() == [1.5, 0.7]
    assert means["band_gap_spread"].tolist() == pytest.approx([np.sqrt(3) / 4, 0])
    assert means["band_gap_std"].tolist() == pytest.approx([0.2, 0.3])


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_a_shared_site_has_the_composition(fraction: float) -> None:
    crystal = pseudobinary.shared_site(SILICON, SYSTEM, fraction)
    assert crystal.composition.get_atomic_fraction("Ge") == pytest.approx(fraction)
    assert crystal.is_ordered == (fraction in (0, 1))
    np.testing.assert_array_equal(crystal.frac_coords, SILICON.frac_coords)
    assert crystal.volume == pytest.approx(SILICON.volume)


@pytest.mark.parametrize(("formula", "atoms"), [("Si49Ge51", 100), ("SiGe", 64), ("Si7Ge6", 78), ("Ge", 2)])
def test_quasirandom_structures_have_exactly_the_composition(formula: str, atoms: int) -> None:
    structure = quasirandom.special_quasirandom_structure(SILICON, Composition(formula), SYSTEM)
    assert len(structure) == atoms
    assert structure.composition.fractional_composition.almost_equals(Composition(formula).fractional_composition)


def test_quasirandom_structures_mix_like_a_random_alloy() -> None:
    structure = quasirandom.special_quasirandom_structure(SILICON, Composition("Si49Ge51"), SYSTEM)
    germanium = np.array(structure.atomic_numbers) == 32
    for shell in (2.4, 3.84, 4.51):  # Å: first three neighbour distances
        centers, points, _, distances = structure.get_neighbor_list(shell + 0.1)
        near = np.abs(distances - shell) < 0.1
        unlike = np.mean(germanium[centers[near]] != germanium[points[near]])
        assert unlike == pytest.approx(2 * 0.49 * 0.51, abs=0.03)


@pytest.mark.parametrize("formula", ["Si49Sn51", "Si0.5Ge0.5", "Sn"])
def test_other_compositions_are_refused(formula: str) -> None:
    with pytest.raises(InputError, match="--composition"):
        quasirandom.special_quasirandom_structure(SILICON, Composition(formula), SYSTEM)


def test_missing_enumlib_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match=r"enum\.x and makestr\.x"):
        enumlib.orderings_by_enumlib(SILICON, SYSTEM, 4)
