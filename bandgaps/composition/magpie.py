"""Formulas to the 132 Magpie features, as one matrix.

The features are those of matminer's `ElementProperty.from_preset("magpie")`, in its order: six statistics of 22
elemental properties (Ward et al., npj Comput. Mater. 2, 16028). matminer's elemental tables are read from the installed
package; the statistics of all formulas with equally many elements are taken at once, instead of formula by formula.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bandgaps.elements import PROPERTIES, SYMBOLS, elemental_table
from bandgaps.errors import InputError

STATISTICS = ("minimum", "maximum", "range", "mean", "avg_dev", "mode")
LABELS = tuple(f"MagpieData {statistic} {name}" for name in PROPERTIES for statistic in STATISTICS)
_NUMBERS = np.zeros((128, 128), dtype=np.intp)  # atomic numbers by the letters of the symbol
_CHUNK = 20_000  # formulas whose statistics are taken at once: enough to be fast, little beside the result


for _number_of, _symbol in [*enumerate(SYMBOLS, start=1), (1, "D"), (1, "T")]:
    _NUMBERS[ord(_symbol[0]), ord(_symbol[1]) if len(_symbol) > 1 else 0] = _number_of


def features(formulas: Sequence[str], first_row: int = 0) -> np.ndarray:
    """Magpie features of each formula, float64, shape (formulas, 132), columns as in `LABELS`.

    Raises:
        InputError: a formula cannot be read, or has an unknown element; the message names its row, counted from
            `first_row`.
    """
    result = np.empty((len(formulas), len(LABELS)))
    table = elemental_table()
    for start in range(0, len(formulas), _CHUNK):
        for rows, numbers, amounts in _by_size(formulas[start : start + _CHUNK], first_row + start):
            result[start + rows] = _statistics(table[numbers - 1], amounts)
    return result


def _statistics(values: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """The six statistics of formulas with equally many elements.

    Args:
        values: elemental properties, shape (elements, formulas, 22).
        amounts: atoms of each element, shape (elements, formulas).

    Returns:
        Shape (formulas, 132). `mode` is the property of the most abundant element, the least of them where several are.
    """
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


def _by_size(formulas: Sequence[str], first_row: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows with equally many elements, their atomic numbers and amounts, each of shape (elements, rows).

    Formulas of plain elements and whole numbers, nearly all there are, are read all at once; the rest one by one.
    """
    row, number, amount, plain = _plain_pairs(formulas)
    sizes = np.where(plain, np.bincount(row, minlength=len(formulas)), 0)
    starts = np.searchsorted(row, np.arange(len(formulas)))
    others = {index: _composition(formulas[index], first_row + index) for index in np.flatnonzero(~plain).tolist()}
    for size in np.unique(sizes[plain]):
        rows = np.flatnonzero(sizes == size)
        pairs = starts[rows] + np.arange(size)[:, None]
        yield rows, number[pairs], amount[pairs]
    for index, (numbers, amounts) in others.items():
        yield np.array([index]), np.array(numbers)[:, None], np.array(amounts)[:, None]


def _plain_pairs(formulas: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Elements and amounts of formulas such as Si49Ge51, read from the bytes of all of them at once.

    Returns:
        Row, atomic number and amount of each element in the order written; and which rows were plain enough: whole
        numbers, no brackets, known elements, none twice.
    """
    text = "\n".join(f if isinstance(f, str) and f and "\n" not in f else "?" for f in formulas) + "\n"
    letters = np.frombuffer(text.encode("ascii", "replace"), dtype=np.uint8)
    end = letters == ord("\n")
    upper, lower, digit = ((letters >= low) & (letters <= high) for low, high in (b"AZ", b"az", b"09"))
    row_of = np.cumsum(end) - end
    heads = np.flatnonzero(upper)
    row, two = row_of[heads], lower[heads + 1]
    number = _NUMBERS[letters[heads], np.where(two, letters[heads + 1], 0)]

    amount, position = np.zeros(len(heads)), heads + 1 + two
    reading = digit[position]
    amount[~reading] = 1
    while reading.any():
        amount[reading] = 10 * amount[reading] + (letters[position[reading]] - ord("0"))
        position += reading
        reading &= digit[position]

    plain = upper[np.concatenate([[0], np.flatnonzero(end)[:-1] + 1])]  # begins with an element
    plain[row_of[~(upper | lower | digit | end)]] = False
    plain[row[(number == 0) | (amount == 0) | ~(upper | end)[position]]] = False
    order = np.lexsort((number, row))
    twice = (np.diff(row[order]) == 0) & (np.diff(number[order]) == 0)
    plain[row[order][1:][twice]] = False
    return row, number, amount, plain


def _composition(formula: str, row: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Atomic numbers and amounts by pymatgen, for formulas with brackets, fractions, repeated elements or errors."""
    from pymatgen.core import Composition

    try:
        amounts = Composition(formula, strict=True).element_composition
        if not amounts:
            raise ValueError("no element in it")
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"row {row}: cannot read the formula {formula!r} ({error}); write it as in Si49Ge51") from None
    return tuple(element.Z for element in amounts), tuple(amounts.values())
