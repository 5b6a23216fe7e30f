"""Graphs of crystals whose sites elements share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from some_crystals import CUTOFF, alloy, assert_same, diamond

from bandgaps.elements import SYMBOLS
from bandgaps.errors import InputError
from bandgaps.structure import graphs, neighbors
from bandgaps.structure.graphs import Graphs


def on_sites(built: Graphs) -> list[dict[str, Any]]:
    """What each atom is of."""
    table = np.concatenate([np.eye(graphs.FIRST_MIXTURE), built.mixtures])[built.atomic_numbers]
    return [{SYMBOLS[k - 1]: pytest.approx(row[k]) for k in np.flatnonzero(row)} for row in table]


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=4))
def test_sites_are_shared_as_the_structure_says(fractions: list[float]) -> None:
    crystals = [alloy(Si=1 - x, Ge=x) for x in fractions]
    crystals.insert(1, diamond())
    expected = [crystals[k].species_and_occu[0].get_el_amt_dict() for k in range(len(crystals)) for _ in range(2)]
    for given_as in (crystals, [crystal.as_dict() for crystal in crystals]):
        built = neighbors.build(given_as, CUTOFF)
        assert on_sites(built) == expected
        assert on_sites(graphs.merged(built)) == expected[::2]
        assert on_sites(built.select(np.array([1, 0]))) == [*expected[2:4], *expected[:2]]
        assert len(built.mixtures) == len(set(fractions))


def test_the_order_of_elements_and_rounding_do_not_matter() -> None:
    same = [alloy(Si=0.25, Ge=0.75), alloy(Ge=0.75, Si=0.25), alloy(**{"Ge4+": 0.5, "Ge": 0.25, "Si": 0.25})]
    same.append(alloy(Si=0.24999, Ge=0.74997))
    built = neighbors.build(same, CUTOFF)
    np.testing.assert_allclose(np.unique(built.mixtures, axis=0), built.mixtures[:1])
    assert set(built.atomic_numbers) == {graphs.FIRST_MIXTURE}
    pure = [diamond("Si"), alloy(Si=0.9999), alloy(**{"Si": 0.5, "Si4+": 0.5})]
    assert_same(neighbors.build(pure, CUTOFF), neighbors.build([diamond()] * 3, CUTOFF))


def test_other_mixtures_on_other_sites_are_told_apart() -> None:
    frac = diamond().frac_coords
    mixed = Structure(diamond().lattice, [{"Si": 0.5, "Ge": 0.5}, {"Si": 0.4, "Ge": 0.6}], frac)
    fewer = graphs.merged(neighbors.build([mixed, alloy(Si=0.5, Ge=0.5)], CUTOFF))
    assert fewer.atom_counts.tolist() == [2, 1]


def test_parts_of_the_work_agree_on_mixtures(monkeypatch: pytest.MonkeyPatch) -> None:
    crystals = [alloy(Si=1 - x, Ge=x) for x in (0.1, 0.2, 0.3, 0.1, 0.3, 0.4)]
    built = neighbors.build(crystals, CUTOFF)
    monkeypatch.setattr(neighbors, "CRYSTALS_A_PART", 2)
    assert_same(neighbors.build(crystals, CUTOFF), built)
    assert on_sites(built)[::2] == [crystal.species_and_occu[0].get_el_amt_dict() for crystal in crystals]


def test_a_lonely_mixture_is_named() -> None:
    lonely = Structure(Lattice.cubic(9), [{"Xe": 0.5, "Kr": 0.5}], [[0, 0, 0]])
    with pytest.raises(InputError, match=r"structure 0 \(mixture1\): atom 0 \(mixture\) has no neighbour"):
        neighbors.build([lonely], CUTOFF)
