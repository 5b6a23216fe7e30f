"""The columns of the shared table: which there must be, and what they say of its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from bandgaps.errors import InputError
from bandgaps.formulas import composition_key

Understood = TypeVar("Understood")
PARTS = ("train", "validation", "calibration", "test", "measured")
ENERGIES = ("energy_above_hull", "formation_energy_per_atom", "energy_per_atom")
ALLOY_ID = "alloy-"  # begins the ids of measured alloys, whose crystals have a measured gap and nothing else


class MissingNumbersError(InputError):
    """Rows have no number in the target column, and leaving such rows out when the table is made would help."""


def require_columns(table: pd.DataFrame, columns: Sequence[str], path: Path | str) -> None:
    """Raise InputError if `table` (read from `path`) lacks one of `columns`."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}")


def target_values(table: pd.DataFrame, target: str, path: Path | str) -> np.ndarray:
    """The target column as float64, shape (rows,).

    Raises:
        InputError: there is no such column, or only measured alloys lack a number in it.
        MissingNumbersError: a value is missing, infinite or not a number.
    """
    require_columns(table, [target], path)
    values = pd.to_numeric(table[target], errors="coerce").to_numpy(dtype=float)
    missing = ~np.isfinite(values)
    if not missing.any():
        return values
    first = int(missing.argmax())
    found = (
        f"{path}: {missing.sum()} of {len(table)} rows have no number in column {target}, "
        f"first row {first} ({table['formula'].iloc[first]}: {table[target].tolist()[first]!r})"
    )
    if "material_id" in table and table["material_id"][missing].astype(str).str.startswith(ALLOY_ID).all():
        raise InputError(
            f"{found}; these are measured alloys, of which nothing was calculated: "
            "make the table without them, or train on several fidelities"
        )
    raise MissingNumbersError(f"{found}; drop such rows from the table")


def is_metal(table: pd.DataFrame, target: str = "band_gap") -> np.ndarray:
    """Which rows are metals (gap exactly 0 eV), by the target if it is a gap, else by `band_gap`; shape (rows,)."""
    other_property = "band_gap" in table and not target.startswith("band_gap")
    return table["band_gap" if other_property else target].to_numpy(dtype=float) == 0


def counts(table: pd.DataFrame, target: str) -> dict[str, int]:
    """Rows of each part, of metals and of non-metals, and those with a gap of another fidelity."""
    metal = is_metal(table, target)
    further = [column for column in map(str, table) if column.startswith("band_gap_") and column != target]
    return {
        **{part: int(rows) for part in PARTS if (rows := (table["split"] == part).sum()) or part != "measured"},
        "metals": int(metal.sum()),
        "non-metals": int((~metal).sum()),
        **{f"with {column}": int(table[column].notna().sum()) for column in further},
    }


def keys(table: pd.DataFrame, path: Path | str = "the table") -> pd.Series:
    """`bandgaps.formulas.composition_key` of each row, with the table's index.

    Raises:
        InputError: a formula cannot be read.
    """
    return pd.Series(of_formulas(composition_key, table, path), index=table.index, dtype=str)


def of_formulas(read: Callable[[object], Understood], table: pd.DataFrame, path: Path | str) -> list[Understood]:
    """What a function makes of each row's formula.

    Raises:
        InputError: the function raised a ValueError; the message names the row.
    """

    def understood(row: int, formula: object) -> Understood:
        try:
            return read(formula)
        except ValueError as error:
            raise InputError(f"{path}: row {row}: formula {formula!r}: {error}; correct or remove the row") from None

    return [understood(row, formula) for row, formula in enumerate(table["formula"])]


def represents_composition(table: pd.DataFrame) -> np.ndarray:
    """Which row of each composition is its polymorph of lowest energy, else its first; shape (rows,).

    Raises:
        InputError: a formula cannot be read.
    """
    energy = energy_column(table)
    rows = np.arange(len(table))
    if energy:
        rows = np.argsort(pd.to_numeric(table[energy], errors="coerce").to_numpy(dtype=float), kind="stable")
    first = ~keys(table).iloc[rows].duplicated().to_numpy()
    return np.isin(np.arange(len(table)), rows[first])


def energy_column(table: pd.DataFrame) -> str | None:
    """The column that tells which polymorph is lowest in energy, None where there is none."""
    return next((column for column in ENERGIES if column in table and table[column].notna().any()), None)
