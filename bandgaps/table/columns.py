"""The columns of the shared table: which there must be, and what they say of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bandgaps.errors import InputError
from bandgaps.formulas import composition_keys

PARTS = ("train", "validation", "calibration", "test")
ENERGIES = ("energy_above_hull", "formation_energy_per_atom", "energy_per_atom")


def require_columns(table: pd.DataFrame, columns: Sequence[str], path: Path | str) -> None:
    """Raise InputError if `table` (read from `path`) lacks one of `columns`."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}")


def target_values(table: pd.DataFrame, target: str, path: Path | str) -> np.ndarray:
    """The target column as float64, shape (rows,).

    Raises:
        InputError: there is no such column, or a value is missing, infinite or not a number.
    """
    require_columns(table, [target], path)
    values = pd.to_numeric(table[target], errors="coerce").to_numpy(dtype=float)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        formula, found = table["formula"].iloc[bad[0]], table[target].tolist()[bad[0]]
        raise InputError(
            f"{path}: {bad.size} of {len(table)} rows have no number in column {target}, "
            f"first row {bad[0]} ({formula}: {found!r}); drop them with query.py --drop-missing"
        )
    return values


def is_metal(table: pd.DataFrame, target: str = "band_gap") -> np.ndarray:
    """Which rows are metals (gap exactly 0 eV), by the target if it is a gap, else by `band_gap`; shape (rows,)."""
    other_property = "band_gap" in table and not target.startswith("band_gap")
    return table["band_gap" if other_property else target].to_numpy(dtype=float) == 0


def counts(table: pd.DataFrame, target: str) -> dict[str, int]:
    """Rows of each part, of metals and of others, and those with a gap at a further level of theory."""
    metal = is_metal(table, target)
    further = [column for column in map(str, table) if column.startswith("band_gap_") and column != target]
    return {
        **{part: int((table["split"] == part).sum()) for part in PARTS},
        "metals": int(metal.sum()),
        "non-metals": int((~metal).sum()),
        **{f"with {column}": int(table[column].notna().sum()) for column in further},
    }


def represents_composition(table: pd.DataFrame) -> np.ndarray:
    """Which row of each composition is its polymorph of lowest energy, else its first; shape (rows,)."""
    energy = energy_column(table)
    rows = np.arange(len(table))
    if energy:
        rows = np.argsort(pd.to_numeric(table[energy], errors="coerce").to_numpy(dtype=float), kind="stable")
    first = ~pd.Series(composition_keys(table["formula"]))[rows].duplicated().to_numpy()
    return np.isin(np.arange(len(table)), rows[first])


def energy_column(table: pd.DataFrame) -> str | None:
    """The column that tells which polymorph is lowest in energy, None where there is none."""
    return next((column for column in ENERGIES if column in table and table[column].notna().any()), None)
