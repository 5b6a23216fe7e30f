from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition

from bandgaps import formulas
from bandgaps.elements import SYMBOLS
from bandgaps.errors import InputError


@given(st.text(max_size=12) | st.from_regex(r"[A-Z][a-z]?[0-9.]{0,3}[A-Z(*+-]?[a-z]?\)?[0-9]?", fullmatch=True))
def test_any_text_is_a_formula_or_a_value_error(text: str) -> None:
    try:
        formula = formulas.reduced_formula(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"\w"):
            formulas.composition_key(text)
        return
    whole, _ = Composition(text).get_integer_formula_and_factor()
    assert formulas.composition_key(text) == formulas.composition_key(formula) == formulas.composition_key(whole)
    assert formulas.reduced_formula(formula) == formula


@given(st.lists(st.tuples(st.sampled_from([*SYMBOLS, *"NOFPS"]), st.sampled_from([1, 2, 3, 4, 12])), min_size=1))
def test_formulas_of_whole_numbers_are_spelled_as_by_pymatgen(parts: list[tuple[str, int]]) -> None:
    text = "".join(f"{element}{amount if amount > 1 else ''}" for element, amount in parts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # helium has no electronegativity
        assert formulas.reduced_formula(text) == Composition(text).reduced_formula


AMOUNTS = st.dictionaries(st.sampled_from(["Si", "Ge", "O", "Fe", "H", "N", "Al"]), st.integers(1, 60), min_size=1)


@pytest.mark.parametrize(
    ("spellings", "key"),
    [
        (["Al0.5Ga0.5N", "AlGaN2", "GaAlN2", "N2GaAl", "Al0.5Ga0.5N1", "Al50Ga50N100"], "Al250 Ga250 N500"),
        (["SiGe", "Si2Ge2", "GeSi", "Si0.5Ge0.5", "Si4 Ge4"], "Ge500 Si500"),
        (["CuAlS2", "AlCuS2"], "Al250 Cu250 S500"),
        (["AgInTe2", "InAgTe2", "Te2AgIn"], "Ag250 In250 Te500"),
        (["Mg(OH)2", "MgO2H2", "MgOHOH"], "H400 Mg200 O400"),
        (["H2O", "D2O", "T2O", "HDO", "DHO"], "H667 O333"),
        (["Si15O", "Si0.9375O0.0625"], "O62 Si938"),  # half-way between two thousandths
        (["He", "He2"], "He1000"),
    ],
)
def test_all_spellings_of_a_composition_have_one_key(spellings: list[str], key: str) -> None:
    assert formulas.composition_keys(spellings).tolist() == [key] * len(spellings)


@given(AMOUNTS, st.one_of(st.integers(2, 100), st.floats(0.01, 10)), st.data())
def test_the_key_knows_neither_factor_nor_order(amounts: dict[str, int], factor: float, data: st.DataObject) -> None:
    order = data.draw(st.permutations(list(amounts)))
    once = "".join(f"{element}{amount}" for element, amount in amounts.items())
    other = "".join(f"{element}{amounts[element] * factor!r}" for element in order)
    assert formulas.composition_key(other) == formulas.composition_key(once)


@given(AMOUNTS, AMOUNTS)
def test_what_differs_by_more_than_a_thousandth_has_another_key(one: dict[str, int], other: dict[str, int]) -> None:
    def shares(amounts: dict[str, int]) -> dict[str, float]:
        return {element: amount / sum(amounts.values()) for element, amount in amounts.items()}

    first, second = shares(one), shares(other)
    apart = max(abs(first.get(element, 0) - second.get(element, 0)) for element in first | second)
    spelled = ["".join(f"{element}{amount}" for element, amount in amounts.items()) for amounts in (one, other)]
    different = len(set(formulas.composition_keys(spelled))) == 2
    if apart > 1.001e-3:
        assert different
    if apart < 1e-9:
        assert not different


def test_the_resolution_of_keys_is_a_thousandth() -> None:
    keys = formulas.composition_keys([f"Si{1000 - n}Ge{n}" for n in range(1, 1000)])
    assert len(set(keys)) == len(keys)
    assert formulas.composition_key("Si0.4999Ge0.5001") == formulas.composition_key("SiGe")


@pytest.mark.parametrize("formula", ["", "Xx2O3", "banana", "Si0", "(Si", "12", "Fe2O3+", "Si1e500", "XO2"])
def test_a_text_that_is_no_formula_has_no_key(formula: str) -> None:
    for read in (formulas.composition_key, formulas.reduced_formula):
        with pytest.raises(ValueError, match=r"formula|element|atoms"):
            read(formula)


@pytest.mark.parametrize("value", [None, 7, float("nan"), ["Si"], {"Si": 1}])
def test_what_is_no_text_has_no_key(value: object) -> None:
    for read in (formulas.composition_key, formulas.reduced_formula):
        with pytest.raises(ValueError, match="not a formula"):
            read(value)


def test_isotopes_of_hydrogen_are_hydrogen() -> None:
    assert formulas.elements("NaOD") == {"Na", "O", "H"}
    assert formulas.chemical_systems("D-O") == formulas.chemical_systems("H-O") == ("H-O",)
    assert formulas.has_together("D2O", "H-O")


NO_SYSTEMS = {
    "two formulas": ["Si", "", "Si-Ge-Sn"],
    "formula": ["Si-", "silicon-germanium", "Si-1e400"],
    "no such element": ["Si-Xx"],
    "whole": ["GaAs-Al0.5As0.5"],
    "do not differ in one element": ["Si-Si", "GaAs-InP", "SiC-Si", "GaAs-As2Ga2"],
    "different amounts of As": ["Ga3As2-AlAs"],
}


@pytest.mark.parametrize(("why", "text"), [(why, text) for why, texts in NO_SYSTEMS.items() for text in texts])
def test_a_system_is_two_elements_or_compounds_that_differ_in_one(why: str, text: str) -> None:
    with pytest.raises(InputError, match=f"{why}.*; write two elements or two compounds .* Si-Ge or GaAs-AlAs"):
        formulas.parse_system(text)


@pytest.mark.parametrize(
    ("text", "system", "elements"),
    [
        ("Si-Ge", ("Si", "Ge"), ("Si", "Ge")),
        ("Na-Cl", ("Na", "Cl"), ("Na", "Cl")),
        ("PbS-PbTe", ("PbS", "PbTe"), ("S", "Te")),
        ("Ga2As2-AlAs", ("GaAs", "AlAs"), ("Ga", "Al")),
        ("CsPbI3-CsPbBr3", ("CsPbI3", "CsPbBr3"), ("I", "Br")),
        ("CH3NH3PbI3-CH3NH3PbBr3", ("CH3NH3PbI3", "CH3NH3PbBr3"), ("I", "Br")),
    ],
)
def test_a_system_is_read_as_it_is_spelled(text: str, system: formulas.System, elements: tuple[str, str]) -> None:
    assert formulas.parse_system(text) == system
    assert formulas.exchanged(system) == elements
    assert formulas.fraction_column(system) == f"x_{elements[1]}"


def test_mixtures_are_spelled_as_formulas() -> None:
    assert [formulas.mixture(("Si", "Ge"), *counts) for counts in ((100, 0), (49, 51))] == ["Si100", "Si49Ge51"]
    spelled = formulas.mixture(("GaAs", "AlAs"), 7, 3)
    assert formulas.composition_key(spelled) == formulas.composition_key("Al0.3Ga0.7As")


@given(st.dictionaries(st.sampled_from(["Si", "Ge", "O", "Fe", "H"]), st.integers(1, 6), min_size=1), st.integers(2, 5))
def test_multiples_of_a_formula_are_one(amounts: dict[str, int], factor: int) -> None:
    once = "".join(f"{element}{amount}" for element, amount in amounts.items())
    many = "".join(f"{element}{amount * factor}" for element, amount in reversed(amounts.items()))
    assert formulas.reduced_formula(once) == formulas.reduced_formula(many)
    system = "-".join(amounts)
    assert formulas.in_system(once, formulas.chemical_systems(system)[0])
    assert not formulas.in_system(once, formulas.chemical_systems(system + "-*")[0])
    assert formulas.in_system(once, "-".join("*" * len(amounts)))


@pytest.mark.parametrize(
    ("text", "message"),
    [("Si-Xx", "'Xx' is no element"), ("Si,", "'' is no element"), ("Si-Si", "twice"), ("Si-*,Ge", "single system")],
)
def test_chemical_system_that_makes_no_sense(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        formulas.chemical_systems(text)


elements = st.sets(st.sampled_from(["Si", "Ge", "O", "Fe", "H"]), min_size=1)


@given(elements, elements)
def test_what_is_left_out_has_all_elements_together(formula: set[str], system: set[str]) -> None:
    (wanted,) = formulas.left_out(["-".join(system)])
    assert formulas.has_together("".join(sorted(formula)), wanted) is (system <= formula)


@pytest.mark.parametrize(
    ("text", "message"), [("Si-*", "is none"), ("Si-Xx", "'Xx' is no element"), ("", "no element")]
)
def test_what_cannot_be_left_out(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        formulas.left_out([text])
