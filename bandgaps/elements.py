"""The elements and their Magpie properties (Ward et al., npj Comput. Mater. 2, 16028), as matminer has them."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from pymatgen.core import Element

from bandgaps.errors import InputError

PROPERTIES = (
    "Number", "MendeleevNumber", "AtomicWeight", "MeltingT", "Column", "Row", "CovalentRadius", "Electronegativity",
    "NsValence", "NpValence", "NdValence", "NfValence", "NValence", "NsUnfilled", "NpUnfilled", "NdUnfilled",
    "NfUnfilled", "NUnfilled", "GSvolume_pa", "GSbandgap", "GSmagmom", "SpaceGroupNumber",
)  # fmt: skip
SYMBOLS = tuple(Element.from_Z(number).symbol for number in range(1, 119))


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
    return [_number_in(lines[row]) if row < len(lines) else np.nan for row in range(len(SYMBOLS))]


def _number_in(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan
