"""Structures that cannot be graphs are named, and say what is wrong with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure
from some_crystals import CUTOFF, assert_same, diamond

from bandgaps.errors import InputError
from bandgaps.structure import faults, neighbors


def test_dictionaries_that_are_no_structures_are_named() -> None:
    whole = diamond().as_dict()
    lattice = {"lattice": {"matrix": [[1, 0, 0], [2, 0, 0], [0, 0, 1]]}}
    sites = [{**site, "species": [{"element": "Qq", "occu": 1}]} for site in whole["sites"]]
    short = [{**site, "abc": [0, 0]} for site in whole["sites"]]
    for wrong, message in {
        "null": (None, "not a pymatgen Structure"),
        "empty": ({}, "not a pymatgen Structure"),
        "flat": ({**whole, **lattice}, "a lattice without volume"),
        "element": ({**whole, "sites": sites}, "not a pymatgen Structure .*Qq"),
        "nowhere": ({**whole, "sites": [{**site, "abc": [0, None, 0]} for site in whole["sites"]]}, "not a pymatgen"),
        "endless": ({**whole, "lattice": {"matrix": [[1e999, 0, 0], [0, 1, 0], [0, 0, 1]]}}, "not a pymatgen"),
        "tiny": (
            {**whole, "lattice": {"matrix": (1e-5 * np.eye(3)).tolist()}},
            "2 atoms in 1e-15 Å³, which no crystal",
        ),
        "huge": ({**whole, "lattice": {"matrix": (1e6 * np.eye(3)).tolist()}}, r"a lattice vector of 1e\+06 Å"),
        "huger": ({**whole, "lattice": {"matrix": (1e16 * np.eye(3)).tolist()}}, r"a lattice vector of 1e\+16 Å"),
        "skewed": ({**whole, "lattice": {"matrix": [[900, 0, 0], [899, 0.02, 0], [0, 0, 1]]}}, "a cell so skewed that"),
        "periodic": (
            {**whole, "lattice": {**whole["lattice"], "pbc": "yes"}},
            "not a pymatgen Structure .*pbc is 'yes'",
        ),
        "charge": ({**whole, "charge": "much"}, "not a pymatgen Structure .*charge is 'much', not a number"),
        "many": ({**whole, "sites": whole["sites"] * 5001}, "10,002 atoms in a cell, the most is 10,000"),
        "nothing": ({**whole, "sites": []}, "not a pymatgen"),
        "coordinates": ({**whole, "sites": short}, "not a pymatgen Structure"),
    }.values():
        with pytest.raises(InputError, match=f"^row 1: {message}"):
            neighbors.build([whole, wrong], CUTOFF, ["row 0", "row 1"])  # type: ignore[list-item]


def test_a_cutoff_that_finds_too_much_is_named() -> None:
    with pytest.raises(InputError, match=r"structure 0: some [\d,]+ neighbours of each atom within 50 Å; use"):
        neighbors.build([diamond()], 50.0)


def test_an_isolated_atom_is_named() -> None:
    lonely = Structure(Lattice.cubic(9), ["Xe"], [[0, 0, 0]])
    with pytest.raises(InputError, match=r"structure 1 \(Xe1\): atom 0 \(Xe\) has no neighbour within 4 Å; leave"):
        neighbors.build([diamond(), lonely], CUTOFF)
    half = Structure(Lattice.cubic(20), ["C", "O", "Ar"], np.array([[0, 0, 0], [0.05, 0, 0], [0.5, 0.5, 0.5]]))
    with pytest.raises(InputError, match=r"half\.cif: atom 2 \(Ar\)"):
        neighbors.build([half], CUTOFF, ["half.cif"])


def test_a_vacancy_is_named() -> None:
    half = Structure(Lattice.cubic(2.5), [Composition({"Si": 0.5, "Ge": 0.25})], [[0, 0, 0]])
    for crystal in (half, half.as_dict()):
        with pytest.raises(InputError, match=r"^half\.cif: the occupancies of a site \(Si:0\.5, Ge:0\.25\) do not add"):
            neighbors.build([diamond(), crystal], CUTOFF, ["whole.cif", "half.cif"])


def test_structures_with_a_fault_leave_the_others_as_they_are() -> None:
    lonely = Structure(Lattice.cubic(9), ["Xe"], [[0, 0, 0]])
    vacancy = Structure(Lattice.cubic(2.5), [Composition({"Si": 0.5})], [[0, 0, 0]])
    flat = {**diamond().as_dict(), "lattice": {"matrix": [[1, 0, 0], [2, 0, 0], [0, 0, 1]]}}
    crystals: list[Any] = [lonely, diamond(), {"sites": 3}, vacancy, diamond("Ge"), flat, lonely]
    built, found = neighbors.build_all(crystals, CUTOFF)
    assert_same(built.select(np.array([1, 4])), neighbors.build([diamond(), diamond("Ge")], CUTOFF))
    assert faults.counts(found) == {
        "a cell that no crystal has": 1,
        "an atom that has no neighbour within 4 Å": 2,
        "no readable structure": 1,
        "vacancies": 1,
    }
    lines = faults.summary(found, [f"row {row}" for row in range(7)])
    assert len(lines) == 4
    assert lines[1].startswith(
        "left out 2 with an atom that has no neighbour within 4 Å; the first is row 0: atom 0 (Xe)"
    )
