"""Lists of measured gaps, joined with each other and with a table."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pandas as pd

from bandgaps import levels
from bandgaps.errors import InputError
from bandgaps.formulas import has_together
from bandgaps.table import columns
from bandgaps.table.sources import NO_ID, Filters, Source


def with_measured(source: Source, measured: Source) -> Source:
    """Add measured gaps, as the column `band_gap_experiment` (eV).

    A gap given with a material_id belongs to that crystal and no other, one without to the polymorph of lowest
    energy of its formula; of a formula that was measured several times the mean is taken. What an earlier list said of
    a formula that this one has is dropped.

    Args:
        source: the rows; those that nobody measured get NaN.
        measured: rows with the column `band_gap_experiment` or `band_gap`, eV.

    Raises:
        InputError: `measured` has neither column, or a row without a gap of 0 eV or more.
    """
    gaps = gaps_of(measured)
    table = source.table
    own = ~measured.table["material_id"].str.startswith(NO_ID)
    of_crystals = gaps[own].groupby(measured.table["material_id"][own]).mean()
    of_formulas = gaps[~own].groupby(measured.table["formula"][~own]).mean()
    values = table["material_id"].map(of_crystals)
    values = values.fillna(table["formula"].map(of_formulas).where(columns.represents_composition(table)))
    if levels.EXPERIMENT in table:
        values = values.fillna(table[levels.EXPERIMENT].where(~table["formula"].isin(measured.table["formula"])))
    return replace(source, table=table.assign(**{levels.EXPERIMENT: values}))


def gaps_of(measured: Source) -> pd.Series:
    """The gaps in a list of measured ones, eV, each checked to be one."""
    column = levels.EXPERIMENT if levels.EXPERIMENT in measured.table else "band_gap"
    columns.require_columns(measured.table, [column], measured.name)
    gaps = pd.to_numeric(measured.table[column], errors="coerce")
    bad = np.flatnonzero(~(np.isfinite(gaps) & (gaps >= 0)))
    if bad.size:
        row, formula, found = bad[0], measured.table["formula"].iloc[bad[0]], measured.table[column].tolist()[bad[0]]
        raise InputError(
            f"{measured.name}: row {row} ({formula}): {found!r} in column {column} is no gap in eV; "
            "correct or remove the row"
        )
    return gaps


def together(measured: Collection[Source], filters: Filters) -> tuple[pd.Series, pd.Series]:
    """Formulas and gaps (eV) of several lists; what a later one says of a formula replaces what earlier ones say."""
    lists = [
        pd.DataFrame({"formula": each.table["formula"], "gap": gaps_of(each), "list": number})
        for number, each in enumerate(measured)
    ]
    joined = pd.concat(lists)
    left_out = [any(has_together(formula, system) for system in filters.leave_out) for formula in joined["formula"]]
    last = joined["list"] == joined.groupby("formula")["list"].transform("max")
    joined = joined[last & ~np.array(left_out, dtype=bool)].reset_index(drop=True)
    return joined["formula"], joined["gap"]
