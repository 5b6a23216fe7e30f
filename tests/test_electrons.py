"""What counting electrons says, against chemistry by hand and against sums over pymatgen's oxidation states."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Element

from bandgaps import electrons, elements, magpie

AMOUNTS = st.dictionaries(st.sampled_from(elements.SYMBOLS), st.integers(1, 30), min_size=1, max_size=4)


def column(label: str, *formulas: str) -> list[float]:
    """One of the columns, for formulas of any spelling."""
    result = np.empty(len(formulas))
    for rows, numbers, amounts in magpie.elements_and_amounts(formulas):
        result[rows] = electrons.features(numbers, amounts)[:, electrons.LABELS.index(label)]
    return result.tolist()


def of(amounts: dict[str, int]) -> np.ndarray:
    """The eight numbers of one formula."""
    numbers = np.array([[elements.SYMBOLS.index(symbol) + 1] for symbol in amounts])
    return electrons.features(numbers, np.array([[amount] for amount in amounts.values()], dtype=float))[0]


@pytest.mark.parametrize("formula", ["NaCl", "GaAs", "Fe2O3", "MgO", "SrTiO3", "SiGe", "Si", "C", "SiC", "Ca(OH)2"])
@pytest.mark.parametrize("kind", electrons.STATES)
def test_charges_that_balance_leave_nothing(formula: str, kind: str) -> None:
    labels = [f"{kind} charge {what}" for what in ("imbalance", "excess", "deficit")]
    assert [column(label, formula)[0] for label in labels] == [0, 0, 0]


def test_charges_that_cannot_balance() -> None:
    # Al is 3+. Of NaCl2, Na is 1+ and 2 Cl are 2- at most, and 14+ at least if they are not. Na3N2 likewise: 3+ and 6-.
    assert column("common charge imbalance", "Al", "Na") == [3, 1]
    assert column("common charge excess", "Al", "Na") == [3, 1]
    assert column("common charge deficit", "Al", "Na") == [electrons.FARTHEST] * 2
    assert column("common charge imbalance", "NaCl2")[0] == pytest.approx(1 / 3)
    assert column("common charge deficit", "NaCl2")[0] == pytest.approx(1 / 3)
    assert column("common charge excess", "NaCl2")[0] > 1 / 3


def test_the_ionic_charge_reduces_the_most_electronegative_element_alone() -> None:
    found = column("ionic charge", "NaCl", "Fe2O3", "FeO", "GaN")
    assert found == pytest.approx([0, (2 * 3 - 3 * 2) / 5, (3 - 2) / 2, 0])


@pytest.mark.parametrize(
    ("formula", "odd"),
    [
        ("NO", 1),
        ("NO2", 1),
        ("N2O4", 1),  # the formula unit is NO2
        ("H2O", 0),
        ("NaCl", 0),
        ("Na", 1),
        ("Na2", 1),
        ("Al", 1),
        ("Al2O3", 0),
        ("N0.5O0.5", 1),
        ("Al0.5Ga0.5N", 0),
        ("Cu0.3333O0.6667", 1),  # CuO2
        ("P37Si3", 1),
        ("P39Si2", 0),  # odd, but of 41 atoms
        ("P0.123Si0.877", 0),
        ("Si49Ge51", 0),
    ],
)
def test_an_odd_number_of_electrons(formula: str, odd: int) -> None:
    assert column("odd electrons", formula) == [odd]


def sums(amounts: dict[str, int], kind: str) -> np.ndarray:
    """All charges per atom that one oxidation state for each element can give."""
    known = []
    for symbol in amounts:
        element = Element(symbol)
        states = element.common_oxidation_states if kind == "common" else element.icsd_oxidation_states
        known.append(set(states or (0,)) | ({0} if symbol in {"C", "Si", "Ge", "Sn"} else set()))
    parts = np.array(list(amounts.values())) / sum(amounts.values())
    return np.array([parts @ chosen for chosen in product(*known)])


@given(AMOUNTS)
def test_the_nearest_charges_are_those_of_all_sums(amounts: dict[str, int]) -> None:
    found = of(amounts)
    for first, kind in ((0, "common"), (3, "icsd")):
        every = sums(amounts, kind)
        near = np.abs(every).min()
        above = every[every > 1e-6].min(initial=electrons.FARTHEST)
        below = -every[every < -1e-6].max(initial=-electrons.FARTHEST)
        expected = [0, 0, 0] if near < 1e-6 else [near, above, below]
        assert found[first : first + 3] == pytest.approx(expected, abs=1e-9)


@given(AMOUNTS, st.sampled_from([2, 3, 7, 0.5, 0.1, 1 / 3]), st.data())
def test_neither_factor_nor_order_matters(amounts: dict[str, int], factor: float, data: st.DataObject) -> None:
    order = data.draw(st.permutations(list(amounts)))
    numbers = np.array([[elements.SYMBOLS.index(symbol) + 1] for symbol in order])
    found = electrons.features(numbers, np.array([[amounts[symbol] * factor] for symbol in order]))[0]
    np.testing.assert_allclose(found, of(amounts), rtol=0, atol=1e-9)


def test_with_more_sums_than_anyone_can_count_zero_is_among_them() -> None:
    symbols = elements.SYMBOLS[20:60]
    assert prod(len(Element(symbol).icsd_oxidation_states or (0,)) for symbol in symbols) > 10**14
    assert of(dict.fromkeys(symbols, 1))[3:6].tolist() == [0, 0, 0]
