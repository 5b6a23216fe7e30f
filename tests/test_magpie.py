from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import SHARED, needs_shared
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition

from bandgaps import elements, magpie
from bandgaps.errors import InputError, quoted

UNREADABLE = ["Xx2O3", "", "Si(", "Na1Cl-1", "nan", "Si2.3.4", "Si0", "NaCl*", None, 5, " ", "99", "Si" + "9" * 400]
ODD = ["Si49Ge51", "Ca(OH)2", "CH3COOH", "Si0.49Ge0.51", "Lr", "Es", "No2O3", "D2O", "He", "Og", "Fe2(SO4)3", "Xe"]

amounts = st.dictionaries(st.sampled_from(elements.SYMBOLS), st.integers(1, 60), min_size=1, max_size=6)


def peer(formulas: list[str]) -> np.ndarray:
    from matminer.featurizers.composition import ElementProperty

    featurizer = ElementProperty.from_preset("magpie")
    assert featurizer.feature_labels() == list(magpie.LABELS)
    return np.array([featurizer.featurize(Composition(formula)) for formula in formulas], dtype=float)


def written(amounts: dict[str, int]) -> str:
    return "".join(f"{symbol}{amount}" for symbol, amount in amounts.items())


def test_odd_formulas_have_matminers_features() -> None:
    np.testing.assert_allclose(magpie.features(ODD), peer(ODD), rtol=0, atol=1e-9)


@needs_shared
@pytest.mark.parametrize("file", ["matbench-mp-gap.csv", "expt-gap.csv"])
def test_real_formulas_have_matminers_features(file: str) -> None:
    formulas = pd.read_csv(SHARED / file)["formula"].sample(250, random_state=0).tolist()
    np.testing.assert_allclose(magpie.features(formulas), peer(formulas), rtol=0, atol=1e-9)


@given(st.lists(amounts, min_size=1, max_size=5))
def test_any_formula_has_matminers_features(compositions: list[dict[str, int]]) -> None:
    formulas = [written(each) for each in compositions]
    np.testing.assert_allclose(magpie.features(formulas), peer(formulas), rtol=0, atol=1e-9)


@given(amounts, st.integers(2, 9), st.randoms())
def test_order_and_formula_units_do_not_matter(composition: dict[str, int], times: int, random: object) -> None:
    symbols = list(composition)
    random.shuffle(symbols)  # type: ignore[attr-defined]
    shuffled = {symbol: composition[symbol] * times for symbol in symbols}
    one, other = magpie.features([written(composition), written(shuffled)])
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


@given(amounts, st.integers(1, 10**6))
def test_formulas_are_taken_apart_as_pymatgen_does(composition: dict[str, int], times: int) -> None:
    formula = written({symbol: amount * times for symbol, amount in composition.items()})
    ((rows, numbers, found),) = magpie.elements_and_amounts([formula])
    expected = {element.Z: amount for element, amount in Composition(formula).items()}
    assert rows.tolist() == [0] and dict(zip(numbers[:, 0].tolist(), found[:, 0].tolist(), strict=True)) == expected


def test_rows_do_not_depend_on_their_neighbours() -> None:
    together = magpie.features(ODD)
    assert all((magpie.features([formula])[0] == row).all() for formula, row in zip(ODD, together, strict=True))


def test_no_formula_gives_no_row() -> None:
    assert magpie.features([]).shape == (0, 132)


@pytest.mark.parametrize("formula", UNREADABLE)
def test_unreadable_formulas_are_named_with_their_row(formula: object) -> None:
    with pytest.raises(InputError, match="row 1: ") as caught:
        magpie.features(["Si", formula])  # type: ignore[list-item]
    assert quoted(formula) in str(caught.value)
