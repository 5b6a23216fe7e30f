from __future__ import annotations

import os
from itertools import product
from typing import Any

import numpy as np
import pytest
from helpers import SAMPLE
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.optimization.neighbors import find_points_in_spheres
from some_crystals import CUTOFF, assert_same, diamond

from bandgaps.structure import graphs, kernels, neighbors
from bandgaps.structure.graphs import Graphs
from bandgaps.table import storage

ROUNDING = 1e-5  # Å, of lengths in single precision


@st.composite
def structures(draw: st.DrawFn) -> Structure:
    """Random crystals of one to four atoms, dense enough that no atom is alone."""
    lengths = [draw(st.floats(2.5, 3.8)) for _ in range(3)]
    angles = [draw(st.floats(70, 110)) for _ in range(3)]
    sites = draw(st.lists(st.tuples(*[st.floats(0, 1, exclude_max=True)] * 3), min_size=1, max_size=4))
    elements = [draw(st.sampled_from(["Si", "O", "Na", "Pu"])) for _ in sites]
    return Structure(Lattice.from_parameters(*lengths, *angles), elements, sites)


def bonds_by_hand(structure: Structure, cutoff: float) -> list[tuple[int, int, float]]:
    """All pairs of atoms and of their images in the cells around, by definition."""
    reach = [int(np.ceil(cutoff / height)) + 1 for height in 1 / np.linalg.norm(structure.lattice.inv_matrix, axis=0)]
    images = np.array(list(product(*(range(-n, n + 1) for n in reach)))) @ structure.lattice.matrix
    found = []
    for i, j in product(range(len(structure)), repeat=2):
        distances = np.linalg.norm(structure[j].coords + images - structure[i].coords, axis=1)
        found += [(i, j, d) for d in distances if (1e-8 if i == j else -1) < d <= cutoff]
    return sorted(found)


Bond = tuple[int, int, float]  # first atom, second atom, length in Å


def bonds_of(built: Graphs) -> list[Bond]:
    return sorted(zip(built.first.tolist(), built.second.tolist(), built.distances.tolist(), strict=True))


def assert_same_bonds(found: list[Bond], expected: list[Bond], cutoff: float) -> None:
    """The same bonds, but for those as long as the cutoff, where rounding decides."""
    inside, reference = (
        sorted((i, j, d) for i, j, d in bonds if d < cutoff - 2 * ROUNDING) for bonds in (found, expected)
    )
    assert [bond[:2] for bond in inside] == [bond[:2] for bond in reference]
    np.testing.assert_allclose([bond[2] for bond in inside], [bond[2] for bond in reference], atol=ROUNDING)
    assert all(d <= cutoff + ROUNDING for *_, d in found)


@given(structures())
def test_bonds_are_all_pairs_within_the_cutoff(structure: Structure) -> None:
    built = neighbors.build([structure], CUTOFF)
    assert_same_bonds(bonds_of(built), bonds_by_hand(structure, CUTOFF), CUTOFF)
    assert (np.diff(built.first) >= 0).all()


def test_silicon_has_four_neighbours_and_twelve_beyond() -> None:
    built = neighbors.build([diamond()], CUTOFF)
    assert built.atom_counts.tolist() == [2]
    assert built.bond_counts.tolist() == [2 * (4 + 12)]
    assert np.sort(built.distances)[0] == pytest.approx(5.431 * np.sqrt(3) / 4, abs=1e-5)


@st.composite
def odd_cells(draw: st.DrawFn) -> Structure:
    """Crystals in cells that are tiny, long, leaning, left-handed, or repeat along some axes only."""
    lengths = [draw(st.floats(1.5, 9)) for _ in range(3)]
    leaning = Lattice(np.diag(lengths) + np.tril([[draw(st.floats(-9, 9)) for _ in range(3)] for _ in range(3)], -1))
    turned = leaning.matrix[draw(st.permutations(range(3)))]
    pbc = draw(st.sampled_from([(True, True, True), (True, True, False), (False, True, False), (False,) * 3]))
    sites = draw(st.lists(st.tuples(*[st.floats(-1.5, 1.5)] * 3), min_size=1, max_size=4))
    return Structure(Lattice(turned, pbc), ["Si"] * len(sites), sites)


def assert_bonds_of_pymatgen(structure: Structure, cutoff: float) -> None:
    """The same bonds as pymatgen finds, of the same lengths."""
    positions = np.ascontiguousarray(structure.cart_coords)
    first, second, _, distances = find_points_in_spheres(
        positions,
        positions,
        r=cutoff,
        pbc=np.array(structure.pbc, dtype=np.int64),
        lattice=np.ascontiguousarray(structure.lattice.matrix),
        tol=neighbors.SAME_POSITION,
    )
    real = (first != second) | (distances > neighbors.SAME_POSITION)
    expected = sorted(zip(first[real].tolist(), second[real].tolist(), distances[real].tolist(), strict=True))
    built, faults = neighbors.build_all([structure], cutoff)
    assert_same_bonds(bonds_of(built), expected, cutoff)
    alone = set(range(len(structure))) - set(built.first.tolist())
    assert list(faults) == [0] * bool(alone)
    if alone:
        assert faults[0].message.startswith(f"atom {min(alone)} (")


@given(odd_cells())
def test_bonds_in_odd_cells_are_those_that_pymatgen_finds(structure: Structure) -> None:
    assert_bonds_of_pymatgen(structure, CUTOFF)


def sample() -> list[dict[str, Any]]:
    return storage.read_records(SAMPLE)["structure"].iloc[::8].tolist()


@pytest.mark.parametrize("cutoff", [4.0, 5.0])
def test_bonds_of_real_crystals_are_those_that_pymatgen_finds(cutoff: float) -> None:
    for record in sample():
        assert_bonds_of_pymatgen(Structure.from_dict(record), cutoff)


@given(st.lists(structures(), min_size=1, max_size=3))
def test_dictionaries_give_what_structures_give(crystals: list[Structure]) -> None:
    built = neighbors.build(crystals, CUTOFF)
    assert_same(neighbors.build([crystal.as_dict() for crystal in crystals], CUTOFF), built)
    charged = [crystal.copy().add_oxidation_state_by_guess() for crystal in crystals]
    assert_same(neighbors.build([crystal.as_dict(verbosity=0) for crystal in charged], CUTOFF), built)


def test_large_crystals_are_searched_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    crystals, cutoff = sample(), 6.0
    built = neighbors.build(crystals, cutoff)
    pieces: list[int] = []
    search = kernels.search

    def noted(*arguments: Any) -> Any:
        sizes = np.diff(arguments[3])
        pieces.append(int((sizes * (sizes + 1) // 2).sum()))
        return search(*arguments)

    monkeypatch.setattr(kernels, "search", noted)
    monkeypatch.setattr(neighbors, "PAIRS_A_PART", 50)
    assert_same(neighbors.build(crystals, cutoff), built)
    assert len(pieces) > 3 and max(pieces) < 50 + max(len(each["sites"]) ** 2 for each in crystals)


def test_threads_find_the_bonds_of_all_crystals(monkeypatch: pytest.MonkeyPatch) -> None:
    crystals, cutoff = sample(), 6.0
    built = neighbors.build(crystals, cutoff)
    fewer = graphs.merged(built)
    monkeypatch.setattr(neighbors, "CRYSTALS_A_PART", 7)
    monkeypatch.setattr(graphs, "BONDS_A_PART", 900)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2})
    assert_same(neighbors.build(crystals, cutoff), built)
    assert_same(graphs.merged(built), fewer)


@given(st.lists(structures(), min_size=1, max_size=5), st.data())
def test_selected_rows_are_what_building_them_gives(crystals: list[Structure], data: st.DataObject) -> None:
    built = neighbors.build(crystals, CUTOFF)
    rows = data.draw(st.lists(st.integers(0, len(crystals) - 1), max_size=7))
    assert_same(built.select(np.array(rows, dtype=int)), neighbors.build([crystals[row] for row in rows], CUTOFF))
    mask = np.array([row in rows for row in range(len(crystals))])
    assert_same(
        built.select(mask), neighbors.build([crystal for row, crystal in enumerate(crystals) if mask[row]], CUTOFF)
    )


@given(st.lists(structures(), max_size=6), st.integers(1, 400))
def test_batches_hold_every_crystal_once_and_few_bonds(crystals: list[Structure], bonds: int) -> None:
    built = neighbors.build(crystals, CUTOFF)
    batches = list(built.batches(bonds))
    assert sum(len(batch) for batch in batches) == len(built)
    assert all(len(batch) == 1 or len(batch.distances) <= bonds for batch in batches)
    start = 0
    for batch in batches:
        assert_same(batch, built.select(np.arange(start, start + len(batch))))
        start += len(batch)


def test_no_structures_make_empty_graphs() -> None:
    built = neighbors.build([], CUTOFF)
    assert len(built) == 0
    assert len(built.select(np.zeros(0, dtype=int))) == 0


# -------------------------------------------------------------------------------------------------- what is alike


def test_silicon_is_one_atom_and_two_kinds_of_bond() -> None:
    conventional = diamond().to_conventional()
    fewer = graphs.merged(neighbors.build([diamond(), conventional, conventional * (2, 1, 1)], CUTOFF))
    assert fewer.atomic_numbers.tolist() == [14] * 3
    assert fewer.atom_copies.tolist() == [2, 8, 16]
    assert fewer.bond_copies.tolist() == [4, 12] * 3
    assert fewer.first.tolist() == fewer.second.tolist() == [0] * 6
    np.testing.assert_allclose(fewer.distances, [5.431 * np.sqrt(3) / 4, 5.431 / np.sqrt(2)] * 3, atol=1e-5)


def test_atoms_are_told_apart_by_their_neighbours_neighbours() -> None:
    """Five hydrogen atoms in a row: every inner one has the same bonds, but not the same second neighbours."""
    row = Structure(Lattice.cubic(30), ["H"] * 5, [[0, 0, k / 30] for k in range(5)])
    fewer = graphs.merged(neighbors.build([row], 1.5))
    assert fewer.atom_copies.tolist() == [2, 2, 1]
    assert list(zip(fewer.first, fewer.second, fewer.bond_copies, strict=True)) == [
        (0, 1, 1), (1, 0, 1), (1, 2, 1), (2, 1, 2)
    ]  # fmt: skip


def test_elements_and_lengths_are_told_apart() -> None:
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.69), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    moved = salt.copy().translate_sites([0], [1e-3, 0, 0])
    noisy = salt.copy().perturb(1e-6)
    regular, other, noise = (graphs.merged(neighbors.build([crystal], CUTOFF)) for crystal in (salt, moved, noisy))
    assert regular.atomic_numbers.tolist() == noise.atomic_numbers.tolist() == [11, 17]
    assert regular.atom_copies.tolist() == noise.atom_copies.tolist() == [4, 4]
    assert len(other.atomic_numbers) > 4


@given(st.lists(st.one_of(structures(), st.sampled_from([diamond(), diamond() * (1, 2, 2)])), max_size=4))
def test_merged_crystals_stand_for_all_atoms_and_bonds(crystals: list[Structure]) -> None:
    built = neighbors.build(crystals, CUTOFF)
    fewer = graphs.merged(built)
    assert len(fewer) == len(built)
    for k in range(len(built)):
        one, other = built.between(k, k + 1), fewer.between(k, k + 1)
        numbers = np.repeat(other.atomic_numbers, other.atom_copies)
        assert sorted(numbers) == sorted(one.atomic_numbers)
        lengths = np.repeat(other.distances, other.bond_copies * other.atom_copies[other.first])
        np.testing.assert_allclose(np.sort(lengths), np.sort(one.distances), atol=graphs.SAME_DISTANCE)
        assert set(other.second) == set(range(len(other.atomic_numbers)))
        assert (np.diff(other.first) >= 0).all()
    assert_same(graphs.merged(fewer), fewer)
