from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import cache

import numpy as np
import pandas as pd
import pytest
from icet import ClusterSpace
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from bandgaps.alloy import enumlib, orderings, pseudobinary, quasirandom
from bandgaps.alloy.cluster_space import OneCellSpace
from bandgaps.alloy.pseudobinary import PseudobinaryAlloy
from bandgaps.errors import InputError

SILICON = pseudobinary.diamond("Si", 5.431)
SYSTEM = ("Si", "Ge")
SIGE = PseudobinaryAlloy.of_elements(SYSTEM)
ZINCBLENDE = Structure.from_spacegroup("F-43m", Lattice.cubic(5.65), ["Ga", "As"], [[0] * 3, [0.25] * 3])
ZINCBLENDE = ZINCBLENDE.get_primitive_structure()


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
        x = ordering.structure.composition.get_atomic_fraction("Ge")
        counted[len(ordering.structure), round(x, 6)] += ordering.multiplicity
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


def test_the_anions_of_zincblende_stay_where_they_are() -> None:
    from icet.tools import enumerate_structures
    from pymatgen.io.ase import AseAtomsAdaptor

    found = orderings.orderings(ZINCBLENDE, ("Ga", "In"), 10)
    allowed = [["Ga", "In"] if site.specie.symbol == "Ga" else ["As"] for site in ZINCBLENDE]
    parent = AseAtomsAdaptor.get_atoms(ZINCBLENDE, msonable=False)
    peers = [AseAtomsAdaptor.get_structure(atoms) for atoms in enumerate_structures(parent, range(1, 6), allowed)]
    ours = [ordering.structure for ordering in found]
    assert Counter(map(fingerprint, peers)) == Counter(map(fingerprint, ours))
    for ordering in found:
        assert ordering.structure.composition["As"] == len(ordering.structure) / 2
        assert enumlib.multiplicity(ordering.structure, ZINCBLENDE) == ordering.multiplicity


@pytest.mark.parametrize(
    ("max_atoms", "wanted"),
    [
        (1, "the parent cell has 2"),
        (18, "45,585,076 labelings, that is about .* orderings.*at most 16 atoms"),
        (30, "560,569,225,908 labelings.*at most 16 atoms"),
        (900, r"10\^\d{3} labelings, that is about 10\^\d{3} orderings.*at most 16 atoms"),
    ],
)
def test_cells_that_cannot_be_enumerated_are_refused_beforehand(max_atoms: int, wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        orderings.orderings(SILICON, SYSTEM, max_atoms)


def test_spectators_do_not_count_as_labelings() -> None:
    orderings.check_size(ZINCBLENDE, "Ga", 28)
    with pytest.raises(InputError, match="at most 16 atoms"):
        orderings.check_size(SILICON, "Si", 28)


def test_crystals_with_too_many_sites_are_refused_whatever_the_cell() -> None:
    large = SILICON.copy().make_supercell([4, 4, 2])
    with pytest.raises(InputError, match=r"10\^19 labelings.*fewer such sites"):
        orderings.check_size(large, "Si", 64)


def test_means_count_labelings() -> None:
    points = pd.DataFrame({"x_Ge": [0.5, 0.5, 1.0], "multiplicity": [3, 1, 1], "band_gap": [1.0, 2.0, 0.7]})
    points["band_gap_std"] = [0.1, 0.5, 0.3]
    means = orderings.composition_means(points, "x_Ge")
    assert means["x_Ge"].tolist() == [0.5, 1.0]
    assert means["band_gap"].tolist() == [1.25, 0.7]
    assert means["band_gap_plain"].tolist() == [1.5, 0.7]
    assert means["band_gap_spread"].tolist() == pytest.approx([np.sqrt(3) / 4, 0])
    assert means["band_gap_std"].tolist() == pytest.approx([0.2, 0.3])


@cache
def mixed(formula: str) -> Structure:
    return quasirandom.special_quasirandom_structure(SILICON, SYSTEM, SIGE.read(formula))


@pytest.mark.parametrize(("formula", "atoms"), [("Si49Ge51", 100), ("SiGe", 64), ("Si7Ge6", 78), ("Ge", 2)])
def test_quasirandom_structures_have_exactly_the_composition(formula: str, atoms: int) -> None:
    structure = mixed(formula)
    assert len(structure) == atoms
    assert structure.composition.fractional_composition.almost_equals(Composition(formula).fractional_composition)


def test_correlations_are_icets_whatever_cell_was_asked_before() -> None:
    primitive = AseAtomsAdaptor.get_atoms(SILICON, msonable=False)
    space, icets = (kind(primitive, [7.1, 4.9], [["Si", "Ge"]] * 2) for kind in (OneCellSpace, ClusterSpace))
    generator = np.random.default_rng(0)
    seen = []
    for size in ((2, 2, 2), (2, 2, 2), (3, 2, 2), (2, 3, 2), (2, 2, 2)):
        cell = primitive.repeat(size)
        cell.numbers = generator.choice([14, 32], len(cell))
        seen.append(space.get_cluster_vector(cell))
        np.testing.assert_array_equal(seen[-1], icets.get_cluster_vector(cell))
    assert np.ptp(seen, axis=0).max() > 0.1


def test_quasirandom_structures_mix_like_a_random_alloy() -> None:
    structure = mixed("Si49Ge51")
    germanium = np.array(structure.atomic_numbers) == 32
    for shell in (2.4, 3.84, 4.51):  # Å: first three neighbour distances
        centers, points, _, distances = structure.get_neighbor_list(shell + 0.1)
        near = np.abs(distances - shell) < 0.1
        unlike = np.mean(germanium[centers[near]] != germanium[points[near]])
        assert unlike == pytest.approx(2 * 0.49 * 0.51, abs=0.03)


def test_quasirandom_structures_of_compounds_mix_one_sublattice() -> None:
    structure = quasirandom.special_quasirandom_structure(ZINCBLENDE, ("Ga", "In"), Fraction(1, 2))
    assert structure.composition == Composition("Ga32In32As64")
    centers, points, _, distances = structure.get_neighbor_list(4.1)
    numbers = np.array(structure.atomic_numbers)
    cations = (numbers[centers] != 33) & (distances > 3.9)
    assert np.mean(numbers[centers[cations]] != numbers[points[cations]]) == pytest.approx(0.5, abs=0.05)


PARENTS = {
    "rock salt": Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.2), ["Mg", "O"], [[0] * 3, [0.5] * 3]),
    "wurtzite": Structure.from_spacegroup(
        "P6_3mc", Lattice.hexagonal(3.19, 5.19), ["Mg", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.377]]
    ),
    "perovskite": Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(6.0), ["Cs", "Pb", "O"], [[0] * 3, [0.5] * 3, [0.5, 0.5, 0]]
    ),
}


@pytest.mark.parametrize(
    ("name", "elements", "cells", "counts"),
    [  # of fcc sublattices Hart & Forcade, table IV
        ("rock salt", ("Mg", "Zn"), 6, {1: 2, 2: 2, 3: 6, 4: 19, 5: 28, 6: 80}),
        ("wurtzite", ("Mg", "Zn"), 3, {1: 3, 2: 10, 3: 58}),
        ("perovskite", ("O", "S"), 2, {1: 4, 2: 33}),
    ],
)
def test_orderings_of_a_sublattice_are_icets(
    name: str, elements: tuple[str, str], cells: int, counts: dict[int, int]
) -> None:
    from icet.tools import enumerate_structures

    parent = PARENTS[name].get_primitive_structure()
    found = orderings.orderings(parent, elements, cells * len(parent))
    allowed = [list(elements) if site.specie.symbol == elements[0] else [site.specie.symbol] for site in parent]
    atoms = AseAtomsAdaptor.get_atoms(parent, msonable=False)
    peers = [AseAtomsAdaptor.get_structure(each) for each in enumerate_structures(atoms, range(1, cells + 1), allowed)]
    assert Counter(map(fingerprint, peers)) == Counter(map(fingerprint, [ordering.structure for ordering in found]))
    sizes = Counter(len(ordering.structure) // len(parent) for ordering in found)
    assert sizes == counts
    for ordering in found[:: max(1, len(found) // 12)]:
        assert enumlib.multiplicity(ordering.structure, parent) == ordering.multiplicity
    sites = len(orderings.sublattice(parent, elements[0]))
    of_one = [ordering for ordering in found if len(ordering.structure) == len(parent)]
    assert sum(ordering.multiplicity for ordering in of_one) == 2**sites
