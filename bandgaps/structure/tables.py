"""Tables of crystals: reading them, and their graphs."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from bandgaps.errors import InputError, quoted, shortened
from bandgaps.formulas import composition_key
from bandgaps.structure import graph_cache
from bandgaps.structure.faults import Faults
from bandgaps.structure.graphs import Graphs
from bandgaps.table import account, columns, splitting, storage


def read(path: Path, target: str | None = None, fidelities: Collection[str] = ()) -> tuple[pd.DataFrame, str]:
    """A table of crystals with its split, structures as dictionaries.

    Args:
        path: a file in the shared format.
        target: column to learn or to score; None takes the one that the table was made for, else `band_gap`.
        fidelities: those that are to be learnt together. Without any, every row must have a target.

    Returns:
        The table and the name of its target.

    Raises:
        InputError: the file cannot be read, lacks a column, or has a formula or a target that cannot be used.
    """
    table = storage.read_records(path)
    target = target or account.read_meta(path).get("target", "band_gap")
    columns.require_columns(table, ["structure", target], path)
    for row, formula in table["formula"].items():
        _check_formula(formula, f"{path}: row {row}")
    if not fidelities:
        table = table.assign(**{target: columns.target_values(table, target, path)})
    return splitting.with_split(table, target), target


def _check_formula(formula: object, where: str) -> None:
    try:
        composition_key(formula)
    except ValueError as error:
        raise InputError(f"{where}: column formula has {quoted(formula)} ({error}); write it as in SiGe") from None


def names(rows: pd.DataFrame, path: Path) -> list[str]:
    """What errors call each row."""
    return [f"{path}: row {row} ({shortened(formula)})" for row, formula in rows["formula"].items()]


def graphs(rows: pd.DataFrame, path: Path, cutoff: float) -> Graphs:
    """The graphs of rows, kept on disk between runs.

    Args:
        rows: part of the table.
        path: where the table lies; the graphs lie beside it.
        cutoff: atoms closer than this share a bond, Å.

    Raises:
        InputError: one of them cannot be a graph.
    """
    return graph_cache.cached(list(rows["structure"]), cutoff, path.parent / ".cache", names(rows, path))


def graphs_and_faults(rows: pd.DataFrame, path: Path, cutoff: float) -> tuple[Graphs, Faults]:
    """As `graphs`, with what is wrong with some rows, whose graphs are not to be used."""
    return graph_cache.cached_all(list(rows["structure"]), cutoff, path.parent / ".cache")
