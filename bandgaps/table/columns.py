"""The columns of the shared table: which there must be, and what they say of its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from bandgaps.errors import InputError, quoted, shortened
from bandgaps.formulas import composition_key

Understood = TypeVar("Understood")
PARTS = ("train", "validation", "calibration", "test")
MEASURED = "measured"  # the part whose gaps were measured, from which no network learns
ENERGIES = ("energy_above_hull", "formation_energy_per_atom", "energy_per_atom")
LARGEST_GAP = 100.0  # eV
LARGEST_TARGET = 1e12  # of any property, in its unit


class MissingNumbersError(InputError):
    """Rows have no number in the target column, and leaving such rows out when the table is made would help."""


def check(table: pd.DataFrame, path: Path | str) -> None:
    """Raise InputError if a table (read from `path`) is none that can be worked with, naming the column or row.

    It has rows, formulas, no column twice, and nothing but numbers where energies are due; no gap is above 100 eV.
    """
    names = [*map(str, table.columns)]
    check_names(names, path)
    require_columns(table, ["formula"], path)
    if table.empty:
        raise InputError(f"{path}: the table has no rows; widen the filters it was made with, or name another")
    for name in names:
        if name in ENERGIES:
            _check_numbers(table, name, path)
        if name.startswith("band_gap"):
            _check_limit(table, name, LARGEST_GAP, "eV", path)


def check_names(names: Iterable[str], path: Path | str) -> None:
    """Raise InputError if several columns have one name."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"{path}: {quoted(twice[0])} is the name of several columns; rename or remove all but one")


def numbers(column: pd.Series) -> pd.Series:
    """A column as float64, with NaN for what is no number."""
    simple = column.where(column.map(pd.api.types.is_scalar)) if column.dtype == object else column
    return pd.to_numeric(simple, errors="coerce").astype(float)


def _check_numbers(table: pd.DataFrame, name: str, path: Path | str) -> None:
    found = table[name]
    wrong = found.notna() & ~np.isfinite(numbers(found))
    if wrong.any():
        what = f"{name} is {quoted(found[wrong].iloc[0])}, not a number (eV/atom)"
        raise InputError(f"{_row(table, path, wrong)}: {what}; correct or remove it")


def _check_limit(table: pd.DataFrame, name: str, most: float, unit: str, path: Path | str) -> None:
    """Raise InputError for the first number that is too large; other checks see to what is no number."""
    values = numbers(table[name])
    wrong = np.isfinite(values) & (values.abs() > most)
    if wrong.any():
        what = f"{name} is {values[wrong].iloc[0]:g}, more than {most:,.0f} {unit}".rstrip()
        raise InputError(f"{_row(table, path, wrong)}: {what}; correct or remove the row")


def require_between(
    table: pd.DataFrame, rows: pd.Series, name: str, least: float, most: float, path: Path | str
) -> None:
    """Raise InputError if one of some rows (a mask) of a table (from `path`) has no number from `least` to `most`."""
    wrong = rows & ~numbers(table[name]).between(least, most)
    if wrong.any():
        what = f"{name} is {quoted(table[name][wrong].tolist()[0])}, not a number from {least:g} to {most:g}"
        raise InputError(f"{_row(table, path, wrong)}: {what}; correct or remove the row")


def _row(table: pd.DataFrame, path: Path | str, chosen: pd.Series) -> str:
    """What errors call the first of the chosen rows."""
    row = int(chosen.to_numpy().argmax())
    return f"{path}: row {row} ({shortened(table['formula'].iloc[row])})"


def require_columns(table: pd.DataFrame, columns: Sequence[str], path: Path | str) -> None:
    """Raise InputError if `table` (read from `path`) lacks one of `columns`."""
    missing = [column for column in columns if column not in table]
    if missing:
        found = shortened(", ".join(map(str, table.columns)), 500)
        raise InputError(f"{path}: no column {shortened(', '.join(missing))}; it has {found}")


def target_values(table: pd.DataFrame, target: str, path: Path | str) -> np.ndarray:
    """The target column as float64, shape (rows,).

    Raises:
        InputError: there is no such column, only measured alloys lack a number in it, or a number is beyond 1e12.
        MissingNumbersError: a value is missing, infinite or not a number.
    """
    require_columns(table, [target], path)
    values = numbers(table[target]).to_numpy()
    missing = ~np.isfinite(values)
    if not missing.any():
        _check_limit(table, target, LARGEST_TARGET, "", path)
        return values
    first = int(missing.argmax())
    found = (
        f"{path}: {missing.sum()} of {len(table)} rows have no number in column {target}, "
        f"first row {first} ({shortened(table['formula'].iloc[first])}: {quoted(table[target].tolist()[first])})"
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
        **{part: int((table["split"] == part).sum()) for part in PARTS},
        **({MEASURED: int(apart)} if (apart := (table["split"] == MEASURED).sum()) else {}),
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
    formulas = table["formula"].tolist()
    result: list[Understood] = []
    try:
        result.extend(map(read, formulas))
    except ValueError as error:
        row = len(result)
        what = f"{path}: row {row}: formula {quoted(formulas[row])}: {error}; correct or remove the row"
        raise InputError(what) from None
    return result


def represents_composition(table: pd.DataFrame) -> np.ndarray:
    """Which row of each composition is its polymorph of lowest energy, else its first; shape (rows,).

    Raises:
        InputError: a formula cannot be read.
    """
    energy = energy_column(table)
    rows = np.arange(len(table))
    if energy:
        rows = np.argsort(numbers(table[energy]).to_numpy(), kind="stable")
    first = ~keys(table).iloc[rows].duplicated().to_numpy()
    return np.isin(np.arange(len(table)), rows[first])


def energy_column(table: pd.DataFrame) -> str | None:
    """The column that tells which polymorph is lowest in energy, None where there is none."""
    return next((column for column in ENERGIES if column in table and table[column].notna().any()), None)
