"""Formulas to the 132 Magpie features, as one matrix.

The features are those of matminer's `ElementProperty.from_preset("magpie")`, in its order: six statistics of 22
elemental properties (Ward et al., npj Comput. Mater. 2, 16028). matminer's elemental tables are read from the installed
package; the statistics of all formulas with equally many elements are taken at once, instead of formula by formula.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from bandgaps.errors import InputError

PROPERTIES = (
    "Number", "MendeleevNumber", "AtomicWeight", "MeltingT", "Column", "Row", "CovalentRadius", "Electronegativity",
    "NsValence", "NpValence", "NdValence", "NfValence", "NValence", "NsUnfilled", "NpUnfilled", "NdUnfilled",
    "NfUnfilled", "NUnfilled", "GSvolume_pa", "GSbandgap", "GSmagmom", "SpaceGroupNumber",
)  # fmt: skip
STATISTICS = ("minimum", "maximum", "range", "mean", "avg_dev", "mode")
LABELS = tuple(f"MagpieData {statistic} {name}" for name in PROPERTIES for statistic in STATISTICS)

SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb "
    "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au "
    "Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc "
    "Lv Ts Og"
).split()
_ATOMIC_NUMBER = {symbol: number for number, symbol in enumerate(SYMBOLS, start=1)} | {"D": 1, "T": 1}
_PAIR = re.compile(r"([A-Z][a-z]?)(\d*\.?\d*)")
_CHUNK = 20_000  # formulas whose statistics are taken at once: enough to be fast, little beside the result


def features(formulas: Sequence[str]) -> np.ndarray:
    """Magpie features of each formula, float64, shape (formulas, 132), columns as in `LABELS`.

    Raises:
        InputError: a formula cannot be read, or has an unknown element; the message names its row.
    """
    result = np.empty((len(formulas), len(LABELS)))
    for start in range(0, len(formulas), _CHUNK):
        compositions = [
            _composition(formula, start + row) for row, formula in enumerate(formulas[start : start + _CHUNK])
        ]
        sizes = np.array([len(numbers) for numbers, _ in compositions])
        for size in np.unique(sizes):
            rows = np.flatnonzero(sizes == size)
            numbers = np.array([compositions[row][0] for row in rows])
            amounts = np.array([compositions[row][1] for row in rows])
            result[start + rows] = _statistics(elemental_table()[numbers - 1], amounts)
    return result


def _statistics(values: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """The six statistics of formulas with equally many elements.

    Args:
        values: elemental properties, shape (formulas, elements, 22).
        amounts: atoms of each element, shape (formulas, elements).

    Returns:
        Shape (formulas, 132). `mode` is the property of the most abundant element, the least of them where several are.
    """
    fractions = (amounts / amounts.sum(axis=1, keepdims=True))[:, :, None]
    least, most = values.min(axis=1), values.max(axis=1)
    mean = (fractions * values).sum(axis=1)
    deviation = (fractions * np.abs(values - mean[:, None, :])).sum(axis=1)
    abundant = np.isclose(amounts, amounts.max(axis=1, keepdims=True))
    mode = np.where(abundant[:, :, None], values, np.inf).min(axis=1)
    return np.stack([least, most, most - least, mean, deviation, mode], axis=2).reshape(len(values), len(LABELS))


@cache
def elemental_table() -> np.ndarray:
    """Magpie's elemental properties, shape (118, 22); where one is unknown, the mean over all elements stands in."""
    package = find_spec("matminer")
    if package is None or package.origin is None:
        raise InputError("the package matminer is not installed; run `make`, or pip install -r requirements.txt")
    folder = Path(package.origin).parent / "utils" / "data_files" / "magpie_elementdata"
    table = np.array([_column(folder / f"{name}.table") for name in PROPERTIES]).T
    return np.where(np.isnan(table), np.nanmean(table, axis=0), table)


def _column(path: Path) -> list[float]:
    lines = path.read_text(encoding="utf-8").split("\n")
    return [_number(lines[row]) if row < len(lines) else np.nan for row in range(len(SYMBOLS))]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


@lru_cache(maxsize=200_000)
def composition(formula: str) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Atomic numbers and amounts of the elements in a formula, in the order in which they are written.

    Raises:
        ValueError: it cannot be read, or has an unknown element.
    """
    pairs = _PAIR.findall(formula)
    numbers = tuple(_ATOMIC_NUMBER.get(symbol, 0) for symbol, _ in pairs)
    plain = "".join(symbol + amount for symbol, amount in pairs) == formula
    if not plain or not all(numbers) or len(set(numbers)) < len(numbers):
        return _parse(formula)
    amounts = tuple(float(amount) if amount else 1.0 for _, amount in pairs)
    return (numbers, amounts) if formula and min(amounts) > 0 else _parse(formula)


def _parse(formula: str) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """What pymatgen makes of a formula with brackets, repeated elements or errors."""
    from pymatgen.core import Composition

    amounts = Composition(formula, strict=True).element_composition
    if not amounts:
        raise ValueError("no element in it")
    return tuple(element.Z for element in amounts), tuple(amounts.values())


def _composition(formula: str, row: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    try:
        return composition(formula)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"row {row}: cannot read the formula {formula!r} ({error}); write it as in Si49Ge51") from None
