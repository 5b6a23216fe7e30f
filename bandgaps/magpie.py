"""Formulas to the 132 Magpie features, as one matrix.

The features are those of matminer's `ElementProperty.from_preset("magpie")`, in its order: six statistics of 22
elemental properties (Ward et al., npj Comput. Mater. 2, 16028). matminer's elemental tables are read from the installed
package; the statistics of all formulas with equally many elements are taken at once, instead of formula by formula.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from pymatgen.core import Composition

from bandgaps.elements import PROPERTIES, SYMBOLS, elemental_table
from bandgaps.errors import InputError, quoted, shortened
from bandgaps.formulas import LONGEST, MOST_ATOMS

STATISTICS = ("minimum", "maximum", "range", "mean", "avg_dev", "mode")
LABELS = tuple(f"MagpieData {statistic} {name}" for name in PROPERTIES for statistic in STATISTICS)
_NUMBERS = {**{symbol: number for number, symbol in enumerate(SYMBOLS, start=1)}, "D": 1, "T": 1}
_PART = re.compile(r"[A-Z][^A-Z]*|[^A-Z]+")  # of a formula: an element and what follows it
_PLAIN = re.compile(r"([A-Z][a-z]?)([0-9]{0,9})")  # such a part as Si49
_CHUNK = 20_000  # formulas whose statistics are taken at once: enough to be fast, little beside the result


def features(formulas: Sequence[str], first_row: int = 0) -> np.ndarray:
    """Magpie features of each formula, float64, shape (formulas, 132), columns as in `LABELS`.

    Raises:
        InputError: a formula cannot be read, or has an unknown element; the message names its row, counted from
            `first_row`.
    """
    result = np.empty((len(formulas), len(LABELS)))
    for rows, numbers, amounts in in_chunks(formulas, first_row):
        result[rows] = statistics(numbers, amounts)
    return result


def in_chunks(formulas: Sequence[str], first_row: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """As `elements_and_amounts`, in chunks that bound the memory that statistics of their elements take."""
    for start in range(0, len(formulas), _CHUNK):
        for rows, numbers, amounts in elements_and_amounts(formulas[start : start + _CHUNK], first_row + start):
            yield start + rows, numbers, amounts


def statistics(numbers: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """The six statistics of formulas with equally many elements.

    Args:
        numbers: atomic numbers, shape (elements, formulas).
        amounts: atoms of each element, shape (elements, formulas).

    Returns:
        Shape (formulas, 132). `mode` is the property of the most abundant element, the least of them where several are.
    """
    values = elemental_table()[numbers - 1]
    fractions = (amounts / amounts.sum(axis=0))[:, :, None]
    result = np.empty((values.shape[1], len(PROPERTIES), len(STATISTICS)))
    least, most, extent, mean, deviation, mode = (result[:, :, k] for k in range(len(STATISTICS)))
    least[:], most[:] = values.min(axis=0), values.max(axis=0)
    extent[:] = most - least
    mean[:] = (fractions * values).sum(axis=0)
    deviation[:] = (fractions * np.abs(values - mean)).sum(axis=0)
    abundant = np.isclose(amounts, amounts.max(axis=0))
    mode[:] = np.where(abundant[:, :, None], values, np.inf).min(axis=0)
    return result.reshape(len(result), len(LABELS))


def plain(formulas: Sequence[str]) -> np.ndarray:
    """Formulas without brackets, `Ba(NO3)2` as `Ba1N2O6`, text, shape (formulas,).

    Raises:
        InputError: as `features`.
    """
    result = np.empty(len(formulas), dtype=object)
    for rows, numbers, amounts in in_chunks(formulas):
        for row, atoms, counts in zip(rows, numbers.T.tolist(), amounts.T.tolist(), strict=True):
            result[row] = "".join(f"{SYMBOLS[atom - 1]}{count:.12g}" for atom, count in zip(atoms, counts, strict=True))
    return result.astype(str)


def elements_and_amounts(
    formulas: Sequence[str], first_row: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Formulas taken apart, those with equally many elements together.

    Formulas of different elements and whole numbers, nearly all there are, are read at once; the rest one by one.

    Yields:
        Rows, counted from 0, shape (rows,); their atomic numbers and amounts, each of shape (elements, rows).

    Raises:
        InputError: as `features`.
    """
    parts = [_PART.findall(formula) if isinstance(formula, str) and formula else [""] for formula in formulas]
    joined = [*chain.from_iterable(parts)]
    places = {part: place for place, part in enumerate(dict.fromkeys(joined))}
    place = np.fromiter(map(places.__getitem__, joined), dtype=np.intp, count=len(joined))
    known = np.array([_plain(part) for part in places], dtype=np.intp).reshape(-1, 2)
    sizes = np.array([len(each) for each in parts], dtype=np.intp)
    starts = np.cumsum(sizes) - sizes
    others: list[int] = []
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        numbers, amounts = known[place[starts[rows] + np.arange(size)[:, None]]].transpose(2, 0, 1)
        different = (np.diff(np.sort(numbers, axis=0), axis=0) > 0).all(axis=0)
        plain = different & (numbers > 0).all(axis=0) & (amounts > 0).all(axis=0)
        yield rows[plain], numbers[:, plain], amounts[:, plain]
        others += rows[~plain].tolist()
    yield from _by_size(others, [_composition(formulas[row], first_row + row) for row in others])


def _by_size(
    rows: list[int], compositions: list[tuple[tuple[int, ...], tuple[float, ...]]]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Atomic numbers and amounts as `elements_and_amounts` yields them."""
    sizes = np.array([len(numbers) for numbers, _ in compositions], dtype=np.intp)
    for size in np.unique(sizes):
        chosen = np.flatnonzero(sizes == size).tolist()
        numbers = np.array([compositions[place][0] for place in chosen], dtype=np.intp).T
        amounts = np.array([compositions[place][1] for place in chosen], dtype=float).T
        yield np.array([rows[place] for place in chosen]), numbers, amounts


def _plain(part: str) -> tuple[int, int]:
    """Atomic number and amount of a part such as Si49; zeros where it is another kind of part."""
    found = _PLAIN.fullmatch(part)
    return (_NUMBERS.get(found[1], 0), int(found[2] or 1)) if found else (0, 0)


def _composition(formula: str, row: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Atomic numbers and amounts by pymatgen, for formulas with brackets, fractions, repeated elements or errors."""
    try:
        if not isinstance(formula, str) or len(formula) > LONGEST:
            raise ValueError(f"not a text of up to {LONGEST:,} characters")
        amounts = Composition(formula, strict=True).element_composition
        if not 0 < sum(amounts.values()) <= MOST_ATOMS:
            raise ValueError(f"its number of atoms is not above 0 and at most {MOST_ATOMS:,}")
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
        what = f"row {row}: cannot read the formula {quoted(formula)} ({shortened(error)})"
        raise InputError(f"{what}; write it as in Si49Ge51") from None
    return tuple(element.Z for element in amounts), tuple(amounts.values())
