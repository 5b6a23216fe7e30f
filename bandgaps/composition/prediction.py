"""Formulas in, gaps out: from arguments and files of any length, in bounded memory."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd

from bandgaps.composition.gap_model import GapModel
from bandgaps.errors import SHOWN, InputError, quoted
from bandgaps.files import reading, replacing

CHUNK = 20_000  # formulas that are asked about at once
DECIMALS = 4  # of eV, in a CSV
HEADING = ("gap", "68 % interval", "95 % interval", "metal", "PBE gap", "in training")


@dataclass(frozen=True)
class Asked:
    """A formula and where it stands.

    Attributes:
        formula: as it was written.
        place: file and line, with a colon and a space; empty for an argument.
    """

    formula: str
    place: str


Rows = Callable[[pd.DataFrame], None]


def predict(model: GapModel, items: Sequence[str], rows: Rows, tell: bool = True) -> int:
    """Hand the predictions for all formulas to `rows`, a chunk at a time, and print what cannot be read.

    Args:
        model: of compositions.
        items: as for `asked`.
        rows: takes the table of `GapModel.predict`.
        tell: whether to print what cannot be read.

    Returns:
        How many formulas could not be read.

    Raises:
        InputError: as `asked`.
    """
    wrong = done = 0
    for chunk in asked(items):
        table, errors = answered(model, chunk)
        if table is not None:
            rows(table)
        for error in errors if tell else ():
            print(f"error: {error}", file=sys.stderr)
        wrong, done = wrong + len(errors), done + len(chunk)
        if len(chunk) == CHUNK:
            print(f"{done:,} formulas", file=sys.stderr, flush=True)
    return wrong


@contextmanager
def to_screen() -> Iterator[Rows]:
    """Within it, rows are printed, under one heading."""
    first = True

    def rows(table: pd.DataFrame) -> None:
        nonlocal first
        print(formatted(table, first), flush=True)
        first = False

    yield rows


@contextmanager
def to_csv(path: Path) -> Iterator[Rows]:
    """Within it, rows go to a CSV, which takes its place when all are there.

    Raises:
        OSError: it cannot be written.
    """
    written = 0
    with replacing(path) as temporary:
        with temporary.open("w", encoding="utf-8", newline="") as file:

            def rows(table: pd.DataFrame) -> None:
                nonlocal written
                table.round(DECIMALS).to_csv(file, header=not written, index=False)
                written += len(table)

            yield rows
        if not written:
            raise InputError(f"{path}: not written, since no formula could be read")
    print(f"wrote {path}: {written:,} formulas")


def asked(items: Sequence[str]) -> Iterator[list[Asked]]:
    """Formulas in chunks, from arguments that are formulas themselves or files of them.

    Args:
        items: formulas; CSV files with a column `formula`; text files, a formula a line.

    Raises:
        InputError: a file cannot be read, or has no formulas.
    """
    every = (each for item in items for each in _asked(item))
    while chunk := list(islice(every, CHUNK)):
        yield chunk


def _asked(item: str) -> Iterator[Asked]:
    path = Path(item)
    if path.suffix.lower() not in (".csv", ".txt"):
        yield Asked(item, "")
        return
    found = False
    for line, formula in _lines(path):
        found = True
        yield Asked(formula, f"{path}: line {line}: ")
    if not found:
        raise InputError(f"{path}: no formulas; give a CSV with a column formula, or a text file with one a line")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and formula of each line that has one."""
    try:
        with (
            reading(path, "correct the name, or write a formula as in Si49Ge51"),
            path.open(encoding="utf-8-sig", newline="") as file,
        ):
            if path.suffix.lower() == ".txt":
                yield from ((number, text.strip()) for number, text in enumerate(file, start=1) if text.strip())
                return
            rows = csv.DictReader(file, strict=True)
            if not rows.fieldnames:
                raise InputError(f"{path}: empty; give a CSV with a column formula")
            if "formula" not in rows.fieldnames:
                raise InputError(f"{path}: no column formula; it has {', '.join(rows.fieldnames)[:SHOWN]}")
            yield from ((rows.line_num, row["formula"] or "") for row in rows)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not readable as text with formulas ({error}); correct the file") from None


def answered(model: GapModel, chunk: Sequence[Asked]) -> tuple[pd.DataFrame | None, list[str]]:
    """What a model says of a chunk of formulas, and an error for each that it cannot read.

    Args:
        model: of compositions.
        chunk: formulas.

    Returns:
        The table of `GapModel.predict`, None where no formula can be read; and the errors.
    """
    formulas = [each.formula for each in chunk]
    try:
        return model.predict(formulas), []
    except InputError:
        readable, errors = _readable(chunk)
    return (model.predict(readable) if readable else None), errors


def _readable(chunk: Sequence[Asked]) -> tuple[list[str], list[str]]:
    from bandgaps.composition.features import composition_hashes

    readable, errors = [], []
    for each in chunk:
        try:
            composition_hashes([each.formula])
            readable.append(each.formula)
        except InputError:
            errors.append(f"{each.place}{quoted(each.formula)} is no formula; write it as in Si49Ge51")
    return readable, errors


def formatted(table: pd.DataFrame, header: bool) -> str:
    """Predictions as text, eV, a line a formula."""
    width = max(10, int(table["formula"].str.len().max()))
    shown = [column for column in HEADING if column != "PBE gap" or "band_gap_pbe" in table]
    lines = [f"{'formula':>{width}} " + " ".join(f"{name:>14}" for name in shown)] if header else []
    for row in table.to_dict("records"):
        cells = {
            "gap": f"{row['band_gap']:.2f} ± {row['band_gap_std']:.2f}",
            "68 % interval": f"{row['band_gap_low_68']:.2f} – {row['band_gap_high_68']:.2f}",
            "95 % interval": f"{row['band_gap_low_95']:.2f} – {row['band_gap_high_95']:.2f}",
            "metal": f"{100 * row['metal_probability']:.0f} %",
            "PBE gap": f"{row.get('band_gap_pbe', float('nan')):.2f}",
            "in training": row["in_training"],
        }
        lines.append(f"{row['formula']:>{width}} " + " ".join(f"{cells[name]:>14}" for name in shown))
    return "\n".join(lines)
