"""Formulas: how they are spelled, which elements they have, and when two of them are one composition."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from bandgaps.elements import SYMBOLS
from bandgaps.errors import InputError, quoted, shortened

if TYPE_CHECKING:
    from pymatgen.core import Composition

System = tuple[str, str]
MOST_ATOMS = 1_000_000_000  # in a formula
LONGEST = 1000  # characters of a formula
ISOTOPES = {"D": "H", "T": "H"}
_WHOLE = re.compile(r"([A-Z][a-z]?)([0-9]{0,6})")  # an element and how many atoms of it
_ELEMENTS = frozenset(SYMBOLS)


def parse_system(text: str) -> System:
    """Read the two ends of an alloy, written as in Si-Ge or GaAs-AlAs.

    Returns:
        Their formulas, reduced, otherwise as they were written.

    Raises:
        InputError: they are neither two elements nor two compounds that `exchanged` takes.
    """
    ends = text.split("-")
    how = "write two elements or two compounds that differ in one element, as in Si-Ge or GaAs-AlAs"
    if len(ends) != 2:
        raise InputError(f"the system {quoted(text)} is not two formulas; {how}")
    try:
        system = tuple(_as_written(end) for end in ends)
    except ValueError as error:
        raise InputError(f"the system {quoted(text)}: {error}; {how}") from None
    try:
        exchanged((system[0], system[1]))
    except InputError as error:
        raise InputError(f"the system {quoted(text)}: {error}; {how}") from None
    return system[0], system[1]


def _as_written(formula: str) -> str:
    """A formula as it is spelled, if it is reduced: PbTe stays PbTe, Pb2Te2 becomes pymatgen's TePb."""
    if formula in SYMBOLS:
        return formula
    composition = _composition(formula)
    if any(amount != round(amount) for amount in composition.values()):
        raise ValueError(f"{shortened(formula)} has amounts that are not whole")
    return formula if composition.get_reduced_composition_and_factor()[1] == 1 else reduced_formula(formula)


def exchanged(system: System) -> System:
    """The elements in which the ends of an alloy differ: Ga and Al of GaAs and AlAs.

    Args:
        system: formulas of the ends.

    Raises:
        InputError: they do not differ in one element, in equal amounts.
    """
    first, second = (_composition(end) for end in system)
    own, other = ([e for e in one if e not in two] for one, two in ((first, second), (second, first)))
    if len(own) != 1 or len(other) != 1:
        names = [", ".join(e.symbol for e in each) or "nothing" for each in (own, other)]
        how = f"only the first has {names[0]}, only the second {names[1]}" if own or other else "both have the same"
        raise InputError(f"{system[0]} and {system[1]} do not differ in one element; {how}")
    scale = first[own[0]] / second[other[0]]
    unlike = [e.symbol for e in first if e != own[0] and abs(first[e] - scale * second[e]) > 1e-6 * first[e]]
    if unlike:
        raise InputError(f"{system[0]} and {system[1]} have different amounts of {', '.join(unlike)}")
    return own[0].symbol, other[0].symbol


def fraction_column(system: System) -> str:
    """What tables of an alloy call the fraction of the second end: x_Ge of Si-Ge, x_Al of GaAs-AlAs."""
    return f"x_{exchanged(system)[1]}"


def mixture(system: System, first: int, second: int) -> str:
    """The formula of an alloy of so many units of one end and so many of the other: Si49Ge51, (GaAs)1(AlAs)3."""
    parts = zip(system, (first, second), strict=True)
    return "".join(f"{end if end in SYMBOLS else f'({end})'}{count}" for end, count in parts if count)


def reduced_formula(formula: object) -> str:
    """A formula as pymatgen spells it, reduced: `Ge2Si2` is `SiGe`.

    Raises:
        ValueError: it cannot be read, or names what is no element.
    """
    return _reduced(_text(formula))


def composition_key(formula: object) -> str:
    """What all spellings of one composition have in common: `Al0.5Ga0.5N` and `AlGaN2` are both `Al250 Ga250 N500`.

    Atomic fractions in thousandths, elements in alphabetical order, isotopes of hydrogen as hydrogen. Splitting,
    joining and the question whether a model has seen a composition go by this key, never by the spelling.

    Raises:
        ValueError: as `reduced_formula`.
    """
    return _key(_text(formula))


def composition_keys(formulas: Iterable[object]) -> np.ndarray:
    """`composition_key` of each formula, shape (formulas,).

    Raises:
        ValueError: as `reduced_formula`.
    """
    return np.array([composition_key(formula) for formula in formulas], dtype=str)


def elements(formula: object) -> frozenset[str]:
    """The symbols of a formula's elements.

    Raises:
        ValueError: as `reduced_formula`.
    """
    return frozenset(part.rstrip("0123456789") for part in composition_key(formula).split())


def _text(formula: object) -> str:
    if not isinstance(formula, str):
        raise ValueError("not a formula")
    return formula


@cache
def _reduced(formula: str) -> str:
    from pymatgen.core.composition import Composition, reduce_formula

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # helium has no electronegativity
        if atoms := _whole_atoms(formula):
            reduced, _ = reduce_formula(atoms)
            return Composition.special_formulas.get(reduced, reduced)
        return _composition(formula).reduced_formula


@cache
def _key(formula: str) -> str:
    atoms: list[tuple[str, float]] = [*_whole_atoms(formula).items()]
    atoms = atoms or [(element.symbol, amount) for element, amount in _composition(formula).items()]
    total = sum(amount for _, amount in atoms)
    fractions: dict[str, float] = defaultdict(float)
    for symbol, amount in atoms:
        fractions[ISOTOPES.get(symbol, symbol)] += amount / total
    # Rounded twice, so that what lies half-way between two thousandths goes the same way in every spelling.
    return " ".join(f"{symbol}{round(round(1000 * part, 6))}" for symbol, part in sorted(fractions.items()))


def _whole_atoms(formula: str) -> dict[str, int]:
    """Atoms of each element in a formula of elements and whole numbers, several times as fast as pymatgen's way.

    Nothing for all other formulas, such as Mg(OH)2, Si0.5Ge0.5 or what is none.
    """
    parts = _WHOLE.findall(formula)
    atoms: dict[str, int] = defaultdict(int)
    for symbol, count in parts:
        atoms[symbol] += int(count or 1)
    plain = len(formula) <= LONGEST and formula == "".join(map("".join, parts))
    return dict(atoms) if plain and _ELEMENTS.issuperset(atoms) and all(atoms.values()) else {}


def _composition(formula: str) -> Composition:
    from pymatgen.core import Composition, Element

    if len(formula) > LONGEST:
        raise ValueError(f"it has {len(formula):,} characters; the most is {LONGEST:,}")
    try:
        composition = Composition(formula)
    except (ValueError, ArithmeticError, KeyError, TypeError) as error:
        raise ValueError(f"not a formula ({shortened(error)})") from None
    unknown = [part.symbol for part in composition if not isinstance(part, Element)]
    if unknown:
        raise ValueError(f"{shortened(', '.join(unknown))}: no such element")
    if not 0 < composition.num_atoms <= MOST_ATOMS:
        raise ValueError(f"its number of atoms is not above 0 and at most {MOST_ATOMS:,}")
    return composition


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
        named = [ISOTOPES.get(part, part) for part in parts if part != "*"]
        unknown = [part for part in named if not Element.is_valid_symbol(part)]
        if unknown:
            raise ValueError(f"{quoted(unknown[0])} is no element; write Si-Ge, Si-* or Si-Ge,Si,Ge")
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


def has_together(formula: str, system: str) -> bool:
    """Whether a formula has all elements of a system, and maybe others."""
    return elements(formula) >= set(system.split("-"))


def in_system(formula: str, system: str) -> bool:
    """Whether a formula has exactly the elements of a system, each `*` standing for one more."""
    found, parts = elements(formula), system.split("-")
    return len(found) == len(parts) and found >= set(parts) - {"*"}
