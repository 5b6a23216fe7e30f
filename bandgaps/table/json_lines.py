"""Tables as JSON Lines: one object a material, with the fields `formula`, `cell`, `species`, `frac` and others.

`cell` holds a, b, c (Å) and three angles (degrees), `species` an element for each atom, `frac` its fractional
coordinates. All other fields are columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd

from bandgaps.errors import InputError

SUFFIXES = (".jsonl", ".jsonl.gz")


def table(lines: Sequence[bytes], path: Path | str, first: int = 1) -> pd.DataFrame:
    """Rows of a file, crystals as the dictionaries of structures.

    Args:
        lines: of the file, unpacked.
        path: what errors call it.
        first: number of the first line.

    Raises:
        InputError: a line is not such an object.
    """
    rows = [_row(line, f"{path}: line {number}") for number, line in enumerate(lines, start=first)]
    with_crystal = [row for row in rows if "cell" in row]
    matrices = _lattices(np.array([row.pop("cell") for row in with_crystal], dtype=float).reshape(-1, 6))
    if with_crystal:
        from bandgaps.table import records

        for row, matrix in zip(with_crystal, matrices.tolist(), strict=True):
            row["structure"] = records.of_elements(matrix, row.pop("species"), np.array(row.pop("frac"), dtype=float))
    return pd.DataFrame(rows)


def _row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON ({error}); correct or remove the line") from None
    if not isinstance(row, dict):
        raise InputError(f"{where}: not an object with the fields of a material; correct or remove the line")
    if "cell" in row and not _is_crystal(row):
        raise InputError(
            f"{where}: not a crystal; cell takes six numbers, species an element and frac three numbers for each atom"
        )
    return row


def _is_crystal(row: dict[str, Any]) -> bool:
    """Whether cell, species and frac have the shapes that they should."""
    cell, species, frac = (row.get(name) for name in ("cell", "species", "frac"))
    if not (isinstance(cell, list) and isinstance(species, list) and isinstance(frac, list)):
        return False
    if len(cell) != 6 or not species or len(species) != len(frac):
        return False
    try:
        lengths, positions = np.array(cell), np.array(frac)
    except ValueError:  # lists of several lengths
        return False
    shapes = lengths.shape == (6,) and positions.shape == (len(species), 3)
    return shapes and lengths.dtype.kind in "biuf" and positions.dtype.kind in "biuf"


def _lattices(cells: np.ndarray) -> np.ndarray:
    """Lattice vectors (rows, Å) of cells, oriented as by pymatgen's `Lattice.from_parameters`, shape (cells, 3, 3)."""
    a, b, c = cells[:, :3].T
    cos_alpha, cos_beta, cos_gamma = np.cos(np.radians(cells[:, 3:])).T
    sin_alpha, sin_beta = np.sin(np.radians(cells[:, 3:5])).T
    cos_between = np.clip((cos_alpha * cos_beta - cos_gamma) / (sin_alpha * sin_beta), -1, 1)  # of a* and b
    sin_between = np.sqrt(1 - cos_between**2)
    zero = np.zeros(len(cells))
    rows = (
        (a * sin_beta, zero, a * cos_beta),
        (-b * sin_alpha * cos_between, b * sin_alpha * sin_between, b * cos_alpha),
        (zero, zero, c),
    )
    return np.array(rows).transpose(2, 0, 1)
