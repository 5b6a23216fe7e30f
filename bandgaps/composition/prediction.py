"""Formulas in, gaps out: from arguments and files of any length, in bounded memory."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bandgaps import screening
from bandgaps.composition.gap_model import GapModel
from bandgaps.errors import SHOWN, InputError, quoted
from bandgaps.files import reading
from bandgaps.table.columns import check_names

if TYPE_CHECKING:
    from distributed import Client

CHUNK = 20_000  # formulas that are asked about at once
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


def to_screen(model: GapModel, items: Sequence[str], client: Client | None = None, errors: bool = True) -> int:
    """Print the predictions for all formulas under one heading.

    Args:
        model: of compositions.
        items: as for `asked`.
        client: of a Dask cluster that does the work.
        errors: whether to print what cannot be read.

    Returns:
        How many formulas could not be read.

    Raises:
        InputError: as `asked`.
    """
    wrong, first = 0, True
    for table, unread in screening.answers(model, _question(items), client):
        if table is not None:
            print(formatted(table, first), flush=True)
            first = False
        screening.tell(unread if errors else ())
        wrong += len(unread)
    return wrong


def to_csv(model: GapModel, name: str, items: Sequence[str], path: Path, client: Client | None = None) -> int:
    """Write the predictions for all formulas as a CSV, and go on with one that was cut off.

    Args:
        model: of compositions.
        name: what to call it.
        items: as for `asked`.
        path: the CSV.
        client: as for `to_screen`.

    Returns:
        As `to_screen`.

    Raises:
        InputError: as `asked`; or no formula can be read.
    """
    rows, wrong = screening.to_csv(model, (name, model.card.get("date")), _question(items), path, client)
    if not rows:
        raise InputError(f"{path}: not written, since no formula could be read")
    return wrong


def _question(items: Sequence[str]) -> screening.Question:
    def chunks(skip: int) -> Iterator[list[Asked]]:
        return asked(items, skip)

    def length() -> int:
        return sum(1 for item in items for _ in _asked(item))

    return screening.Question("formulas", items, chunks, length, answered)


def asked(items: Sequence[str], skip: int = 0) -> Iterator[list[Asked]]:
    """Formulas in chunks, from arguments that are formulas themselves or files of them.

    Args:
        items: formulas; CSV files with a column `formula`; text files, a formula a line.
        skip: how many to leave out at the beginning.

    Raises:
        InputError: a file cannot be read, or has no formulas.
    """
    every = islice((each for item in items for each in _asked(item)), skip, None)
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
            check_names(filter(None, rows.fieldnames), path)
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
