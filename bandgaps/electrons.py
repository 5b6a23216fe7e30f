"""What counting electrons says of a formula: do oxidation states balance, and is the number of electrons even?

A band gap needs filled bands. A formula whose elements cannot all have one of their oxidation states, or that has an
odd number of electrons, is mostly that of a metal; Magpie's means over elements do not tell. The oxidation states are
pymatgen's: the common ones, and all that the ICSD holds.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import njit
from pymatgen.core import Element

from bandgaps.elements import PROPERTIES, SYMBOLS, elemental_table

STATES = ("common", "icsd")
LABELS = (
    *(f"{kind} charge {what}" for kind in STATES for what in ("imbalance", "excess", "deficit")),
    "ionic charge",
    "odd electrons",
)
COVALENT = ("C", "Si", "Ge", "Sn")  # as elements, and in compounds with each other, they are insulators without charge
FARTHEST = 10.0  # charge per atom; what stands for one that cannot be reached
MOST_SUMS = 20_000  # of a formula; with more elements and states than that, zero lies among the sums
LARGEST_UNIT = 40  # atoms; whether a larger formula unit has an odd number of electrons says nothing
WHOLE = 1e-4  # atoms; how far from a whole number of them an amount may lie, as those of Si0.3333Ge0.6667 do


def features(numbers: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Charges per atom (elementary charges) and the parity of electrons, columns as in `LABELS`.

    The imbalance is the charge nearest to zero that one oxidation state for each element can give, excess and deficit
    are the nearest on either side. The ionic charge has the most electronegative element in its lowest state and all
    others in their highest. The last column is 1 where a small formula unit has an odd number of electrons.

    Args:
        numbers: atomic numbers, shape (elements, formulas).
        amounts: atoms of each element, shape (elements, formulas).

    Returns:
        Shape (formulas, 8).
    """
    result = np.empty((numbers.shape[1], len(LABELS)))
    numbers, fractions = np.ascontiguousarray(numbers), np.ascontiguousarray(amounts / amounts.sum(axis=0))
    for column, kind in enumerate(STATES):
        states, counts = oxidation_states(kind)
        nearest = result[:, 3 * column : 3 * column + 3]
        nearest[:, 1], nearest[:, 2] = _nearest(numbers, fractions, states, counts, MOST_SUMS, FARTHEST)
        nearest[:, 0] = nearest[:, 1:].min(axis=1)
    result[:, -2] = _ionic(numbers, fractions)
    result[:, -1] = _parity(numbers, fractions)
    return result


@cache
def oxidation_states(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Oxidation states of the elements, a row each, and how many each has; 0 where none is known.

    Args:
        kind: one of `STATES`.
    """
    names = {"common": "common_oxidation_states", "icsd": "icsd_oxidation_states"}
    known = [set(getattr(Element(symbol), names[kind])) or {0} for symbol in SYMBOLS]
    known = [states | {0} if symbol in COVALENT else states for symbol, states in zip(SYMBOLS, known, strict=True)]
    counts = np.array([len(states) for states in known])
    table = np.zeros((len(SYMBOLS), counts.max()))
    for row, states in zip(table, known, strict=True):
        row[: len(states)] = sorted(states)
    return table, counts


@njit(cache=True, nogil=True)
def _nearest(
    numbers: np.ndarray, fractions: np.ndarray, states: np.ndarray, counts: np.ndarray, most: int, farthest: float
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest charges above and below zero, or zero, shape (formulas,) each."""
    elements, formulas = numbers.shape
    above, below = np.full(formulas, farthest), np.full(formulas, farthest)
    choice = np.empty(elements, dtype=np.int64)
    for formula in range(formulas):
        sums = 1
        for element in range(elements):
            sums *= counts[numbers[element, formula] - 1]
            if sums > most:
                break
        if sums > most:
            above[formula] = below[formula] = 0.0
            continue
        choice[:] = 0
        for _ in range(sums):
            charge = 0.0
            for element in range(elements):
                charge += fractions[element, formula] * states[numbers[element, formula] - 1, choice[element]]
            if abs(charge) < 1e-6:
                above[formula] = below[formula] = 0.0
                break
            if charge > 0:
                above[formula] = min(above[formula], charge)
            else:
                below[formula] = min(below[formula], -charge)
            element = 0
            while element < elements:
                choice[element] += 1
                if choice[element] < counts[numbers[element, formula] - 1]:
                    break
                choice[element] = 0
                element += 1
    return above, below


def _ionic(numbers: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Charge per atom with the most electronegative element reduced and all others oxidised, shape (formulas,)."""
    states, counts = oxidation_states("common")
    lowest, highest = states[:, 0], states[np.arange(len(states)), counts - 1]
    electronegativity = elemental_table()[numbers - 1, PROPERTIES.index("Electronegativity")]
    anion = electronegativity == electronegativity.max(axis=0)
    return (fractions * np.where(anion, lowest[numbers - 1], highest[numbers - 1])).sum(axis=0)


def _parity(numbers: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """1 for an odd number of electrons in a small formula unit, else 0, shape (formulas,).

    The unit is the smallest number of atoms that makes all amounts whole, however the formula is spelled. Large ones
    count as even, so that an alloy of even compounds, such as Si49Ge51 beside SiGe, does not jump along its range.
    """
    result = np.zeros(numbers.shape[1])
    for atoms in range(LARGEST_UNIT, 0, -1):
        units = np.round(atoms * fractions)
        whole = np.isclose(atoms * fractions, units, rtol=0, atol=WHOLE).all(axis=0)
        result[whole] = ((units * numbers).sum(axis=0) % 2)[whole]
    return result
