"""Formulas: how they are spelled, which elements they have, and when two of them are one composition."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

from bandgaps.elements import SYMBOLS
from bandgaps.errors import InputError

System = tuple[str, str]


def parse_system(text: str) -> System:
    """Read the two elements of an alloy, written as in Si-Ge.

    Raises:
        InputError: they are not two different elements.
    """
    a, _, b = text.partition("-")
    if a not in SYMBOLS or b not in SYMBOLS or a == b:
        raise InputError(f"--system: {text!r} is not two different elements; write them as in Si-Ge")
    return a, b


def reduced_formula(formula: object) -> str:
    """A formula as pymatgen spells it, reduced: `Ge2Si2` is `SiGe`.

    Raises:
        ValueError: it cannot be read, or names what is no element.
    """
    return _parsed(formula).reduced


def composition_key(formula: object) -> str:
    """What all spellings of one composition have in common: `Al0.5Ga0.5N` and `AlGaN2` are both `Al250 Ga250 N500`.

    Atomic fractions in thousandths, elements in alphabetical order. Splitting, joining and the question whether a model
    has seen a composition go by this key, never by the spelling.

    Raises:
        ValueError: as `reduced_formula`.
    """
    return _parsed(formula).key


def composition_keys(formulas: Iterable[object]) -> np.ndarray:
    """`composition_key` of each formula, shape (formulas,)."""
    return np.array([composition_key(formula) for formula in formulas], dtype=str)


@dataclass(frozen=True)
class _Parsed:
    reduced: str
    elements: frozenset[str]
    key: str


@cache
def _parsed(formula: object) -> _Parsed:
    from pymatgen.core import Composition, Element

    if not isinstance(formula, str):
        raise ValueError("not a formula")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # helium has no electronegativity
        try:
            composition = Composition(formula)
            spelling = composition.reduced_formula
        except (ValueError, ArithmeticError, KeyError, TypeError) as error:
            raise ValueError(f"not a formula ({error})") from None
    unknown = [str(part) for part in composition if not isinstance(part, Element)]
    if unknown or not spelling:
        raise ValueError(f"{', '.join(unknown)}: no such element" if unknown else "no atoms")
    fractions: dict[str, float] = defaultdict(float)
    for element, amount in composition.items():
        fractions["H" if element.symbol in ("D", "T") else element.symbol] += amount / composition.num_atoms
    # Rounded twice, so that what lies half-way between two thousandths goes the same way in every spelling.
    key = " ".join(f"{symbol}{round(round(1000 * part, 6))}" for symbol, part in sorted(fractions.items()))
    return _Parsed(spelling, frozenset(element.symbol for element in composition), key)


def chemical_systems(text: str) -> tuple[str, ...]:
    """Chemical systems from a comma-separated list, elements in alphabetical order: `Si-Ge,Si` is `Ge-Si`, `Si`.

    As at the Materials Project, a system means exactly its elements, and `*` stands for one more element of any kind,
    in a system that is the only one.

    Raises:
        ValueError: an element does not exist or is named twice, or `*` stands in a list.
    """
    from pymatgen.core import Element

    systems = []
    for system in text.split(","):
        parts = [part.strip() for part in system.split("-")]
        named = [part for part in parts if part != "*"]
        unknown = [part for part in named if not Element.is_valid_symbol(part)]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no element; write Si-Ge, Si-* or Si-Ge,Si,Ge")
        if len(set(named)) < len(named):
            raise ValueError(f"{system.strip()} names an element twice")
        systems.append("-".join(sorted(named) + ["*"] * (len(parts) - len(named))))
    if len(systems) > 1 and "*" in text:
        raise ValueError("the Materials Project takes * in a single system only")
    return tuple(dict.fromkeys(systems))


def left_out(texts: Collection[str]) -> tuple[str, ...]:
    """What `Filters.leave_out` takes, from texts such as `Si-Ge`.

    Raises:
        ValueError: as `chemical_systems`, or there is a `*`.
    """
    if any("*" in text for text in texts):
        raise ValueError("name the elements; * is none")
    return tuple(dict.fromkeys(system for text in texts for system in chemical_systems(text)))


def elements(formula: str) -> frozenset[str]:
    """The symbols of a formula's elements."""
    return _parsed(formula).elements


def has_together(formula: str, system: str) -> bool:
    """Whether a formula has all elements of a system, and maybe others."""
    return _parsed(formula).elements >= set(system.split("-"))


def in_system(formula: str, system: str) -> bool:
    """Whether a formula has exactly the elements of a system, each `*` standing for one more."""
    elements, parts = _parsed(formula).elements, system.split("-")
    return len(elements) == len(parts) and elements >= set(parts) - {"*"}
