"""What a model of compositions sees of a formula: Magpie features, element fractions, and what counting electrons says.

Magpie's statistics alone do not tell whether charges balance, which decides whether there is a gap at all. On gaps of
the Materials Project the eight columns of `electrons` take a quarter off a forest's error.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bandgaps import electrons, magpie
from bandgaps.elements import SYMBOLS

LABELS = (*magpie.LABELS, *electrons.LABELS, *(f"fraction of {symbol}" for symbol in SYMBOLS))
_MAGPIE, _ELECTRONS = len(magpie.LABELS), len(electrons.LABELS)
_MIX = np.array([0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)


def features(formulas: Sequence[str], first_row: int = 0) -> np.ndarray:
    """Features of each formula, float32, shape (formulas, 258), columns as in `LABELS`.

    Raises:
        InputError: as `magpie.features`.
    """
    return features_and_hashes(formulas, first_row)[0]


def has_together(X: np.ndarray, elements: Sequence[str]) -> np.ndarray:
    """Which rows of `features` have all of these elements, and maybe others; shape (rows,)."""
    columns = [LABELS.index(f"fraction of {element}") for element in elements]
    return np.all(X[:, columns] > 0, axis=1)


def composition_hashes(formulas: Sequence[str], first_row: int = 0) -> np.ndarray:
    """A number for each formula that is the same for all spellings of a composition, uint64, shape (formulas,).

    As `bandgaps.formulas.composition_key` it goes by atomic fractions in thousandths, but reads a million formulas in
    seconds.

    Raises:
        InputError: as `magpie.features`.
    """
    result = np.zeros(len(formulas), dtype=np.uint64)
    for rows, numbers, amounts in magpie.in_chunks(formulas, first_row):
        result[rows] = _hashes(numbers, amounts)
    return result


def features_and_hashes(formulas: Sequence[str], first_row: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """`features` and `composition_hashes`, for which each formula is read once."""
    result = np.zeros((len(formulas), len(LABELS)), dtype=np.float32)
    hashes = np.zeros(len(formulas), dtype=np.uint64)
    for rows, numbers, amounts in magpie.in_chunks(formulas, first_row):
        result[rows, :_MAGPIE] = magpie.statistics(numbers, amounts)
        result[rows, _MAGPIE : _MAGPIE + _ELECTRONS] = electrons.features(numbers, amounts)
        for number, fraction in zip(numbers, amounts / amounts.sum(axis=0), strict=True):
            result[rows, _MAGPIE + _ELECTRONS + number - 1] += fraction
        hashes[rows] = _hashes(numbers, amounts)
    return result, hashes


def _hashes(numbers: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Of formulas with equally many elements, the sum over elements, so that their order does not matter."""
    thousandths = np.rint(np.round(1000 * amounts / amounts.sum(axis=0), 6)).astype(np.uint64)
    return _mixed(numbers.astype(np.uint64) * np.uint64(1001) + thousandths).sum(axis=0, dtype=np.uint64)


def _mixed(values: np.ndarray) -> np.ndarray:
    """Integers whose bits are mixed: splitmix64 (Steele et al., OOPSLA 2014)."""
    values = (values + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in zip((np.uint64(30), np.uint64(27)), _MIX, strict=True):
        values = (values ^ (values >> shift)) * factor
    return values ^ (values >> np.uint64(31))
