"""Lists of measured gaps, joined with each other and with a table."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bandgaps import levels
from bandgaps.errors import InputError, quoted, shortened
from bandgaps.formulas import has_together
from bandgaps.table import columns
from bandgaps.table.sources import NO_ID, Filters, Source, latest

OF_CRYSTAL, OF_FORMULA = 0.2, 0.6  # eV; standard deviations of measured gaps: of a formula the crystal is a guess


def with_measured(source: Source, measured: Source) -> Source:
    """Add measured gaps as the column `band_gap_experiment`, how sure they are as `band_gap_experiment_std` (eV).

    A gap with a material_id belongs to that crystal and no other. One without belongs to the polymorph of lowest energy
    of its composition. Where a composition was measured several times, the mean is taken. What an earlier list said of
    a composition that this one has is dropped.

    Args:
        source: the rows; those that nobody measured get NaN.
        measured: rows with the column `band_gap_experiment` or `band_gap`, eV.

    Raises:
        InputError: `measured` has neither column, or a row without a gap of 0 eV or more.
    """
    gaps = gaps_of(measured)
    listed = columns.keys(measured.table, measured.name)
    own = ~measured.table["material_id"].str.startswith(NO_ID)
    of_crystals = gaps[own].groupby(measured.table["material_id"][own]).mean()
    of_compositions = gaps[~own].groupby(listed[~own]).mean()
    table = source.table
    compositions = columns.keys(table, source.name)
    values = table["material_id"].map(of_crystals)
    std = values.mask(values.notna(), OF_CRYSTAL)
    values = values.fillna(compositions.map(of_compositions).where(columns.represents_composition(table)))
    if levels.EXPERIMENT in table:
        values = values.fillna(table[levels.EXPERIMENT].where(~compositions.isin(listed)))
    if levels.EXPERIMENT_STD in table:
        std = std.fillna(table[levels.EXPERIMENT_STD])
    std = std.fillna(OF_FORMULA).where(values.notna())
    return replace(source, table=table.assign(**{levels.EXPERIMENT: values, levels.EXPERIMENT_STD: std}))


def gaps_of(measured: Source) -> pd.Series:
    """The gaps of a list, eV, in the column `band_gap_experiment`, else `band_gap`.

    Raises:
        InputError: there is neither column, or a row without a gap of 0 eV or more.
    """
    column = levels.EXPERIMENT if levels.EXPERIMENT in measured.table else "band_gap"
    columns.require_columns(measured.table, [column], measured.name)
    gaps = columns.numbers(measured.table[column])
    bad = np.flatnonzero(~(np.isfinite(gaps) & (gaps >= 0)))
    if bad.size:
        row, formula, found = bad[0], measured.table["formula"].iloc[bad[0]], measured.table[column].tolist()[bad[0]]
        what = f"row {row} ({shortened(formula)}): {quoted(found)} is no measured gap in eV"
        raise InputError(f"{measured.name}: {what}; correct or remove the row")
    return gaps


def together(measured: Collection[Source], filters: Filters) -> tuple[pd.Series, pd.Series]:
    """Formulas and gaps (eV) of several lists, without the systems that are to be left out.

    What a later list says of a composition replaces what earlier ones say.

    Raises:
        InputError: as `gaps_of`.
    """
    joined = latest([pd.DataFrame({"formula": each.table["formula"], "gap": gaps_of(each)}) for each in measured])
    left_out = [any(has_together(formula, system) for system in filters.leave_out) for formula in joined["formula"]]
    joined = joined[~np.array(left_out, dtype=bool)].reset_index(drop=True)
    return joined["formula"], joined["gap"]


def matches(measured: Collection[Source], table: pd.DataFrame) -> dict[str, Any] | None:
    """What the account of a table says of the lists: how many compositions they have, and how many of these it has.

    Returns:
        None without lists.
    """
    if not measured:
        return None
    listed = set().union(*(columns.keys(each.table, each.name) for each in measured))
    known = set(columns.keys(table[table[levels.EXPERIMENT].notna()]))
    return {
        "input": ", ".join(each.name for each in measured),
        "database_version": [each.database_version for each in measured],
        "formulas": len(listed),
        "matched": len(listed & known),
    }
