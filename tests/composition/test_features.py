from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spellings import COMPOSITIONS, spelled

from bandgaps import electrons, magpie
from bandgaps.composition import features
from bandgaps.elements import SYMBOLS
from bandgaps.errors import InputError
from bandgaps.formulas import composition_keys

FORMULAS = ["Si49Ge51", "Ca(OH)2", "CH3COOH", "Si0.49Ge0.51", "Lr", "Fe2(SO4)3", "Xe", "NaCl", "MgOHOH"]
AMOUNTS = st.dictionaries(st.sampled_from(["Si", "Ge", "O", "Fe", "N", "Al"]), st.integers(1, 60), min_size=1)
# Of the same few elements in nearly the same amounts, so that keys are often equal and often just not.
NEARLY = st.integers(1, 8).flatmap(lambda silicon: st.integers(1, 8).map(lambda other: f"Si{silicon}Ge{other}"))


def test_columns_are_magpies_electrons_and_fractions() -> None:
    X = features.features(FORMULAS)
    first, second = len(magpie.LABELS), len(magpie.LABELS) + len(electrons.LABELS)
    assert (X.shape, X.dtype) == ((len(FORMULAS), 258), np.float32) and len(features.LABELS) == 258
    np.testing.assert_array_equal(X[:, :first], magpie.features(FORMULAS).astype(np.float32))
    for rows, numbers, amounts in magpie.elements_and_amounts(FORMULAS):
        counted = electrons.features(numbers, amounts).astype(np.float32)
        np.testing.assert_array_equal(X[rows, first:second], counted)
    np.testing.assert_allclose(X[:, second:].sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("formula", "fractions"),
    [("Ca(OH)2", {"Ca": 0.2, "O": 0.4, "H": 0.4}), ("Si49Ge51", {"Si": 0.49, "Ge": 0.51}), ("Og", {"Og": 1})],
)
def test_fractions_are_those_of_the_elements(formula: str, fractions: dict[str, float]) -> None:
    row = dict(zip(features.LABELS, features.features([formula])[0].tolist(), strict=True))
    found = {symbol: row[f"fraction of {symbol}"] for symbol in SYMBOLS if row[f"fraction of {symbol}"]}
    assert found == pytest.approx(fractions)


def test_rows_and_hashes_do_not_depend_on_neighbours_or_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    X, hashes = features.features_and_hashes(FORMULAS)
    monkeypatch.setattr(magpie, "_CHUNK", 2)
    apart = features.features_and_hashes(FORMULAS)
    np.testing.assert_array_equal(apart[0], X)
    np.testing.assert_array_equal(apart[1], hashes)
    np.testing.assert_array_equal(features.composition_hashes(FORMULAS), hashes)


@given(st.lists(st.sampled_from(list(COMPOSITIONS)).flatmap(spelled), min_size=2, max_size=12))
def test_hashes_are_equal_where_keys_are(formulas: list[str]) -> None:
    keys, hashes = composition_keys(formulas), features.composition_hashes(formulas)
    np.testing.assert_array_equal(keys[:, None] == keys, hashes[:, None] == hashes)


@given(st.lists(NEARLY, min_size=2, max_size=12))
def test_hashes_differ_where_keys_do(formulas: list[str]) -> None:
    keys, hashes = composition_keys(formulas), features.composition_hashes(formulas)
    np.testing.assert_array_equal(keys[:, None] == keys, hashes[:, None] == hashes)


@given(AMOUNTS, st.one_of(st.integers(2, 100), st.floats(0.01, 10)), st.data())
def test_features_and_hashes_know_neither_factor_nor_order(
    amounts: dict[str, int], factor: float, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(list(amounts)))
    once = "".join(f"{element}{amount}" for element, amount in amounts.items())
    other = "".join(f"{element}{amounts[element] * factor:.9f}" for element in order)
    X, hashes = features.features_and_hashes([once, other])
    np.testing.assert_allclose(X[0], X[1], rtol=0, atol=1e-3)
    assert hashes[0] == hashes[1]


def test_the_resolution_of_hashes_is_a_thousandth() -> None:
    assert len(set(features.composition_hashes([f"Si{1000 - n}Ge{n}" for n in range(1, 1000)]).tolist())) == 999
    one, other = features.composition_hashes(["Si0.4999Ge0.5001", "SiGe"])
    assert one == other
    one, other = features.composition_hashes(["Si15O", "Si0.9375O0.0625"])  # half-way between two thousandths
    assert one == other


def test_no_formula_gives_no_row_and_no_hash() -> None:
    assert features.features([]).shape == (0, 258)
    assert features.composition_hashes([]).shape == (0,)


def test_an_unreadable_formula_is_named_with_its_row() -> None:
    for read in (features.features, features.composition_hashes):
        with pytest.raises(InputError, match=r"row 8: .*'Xx2O3'"):
            read(["Si", "Xx2O3"], first_row=7)
