"""A list of any length through a model into a CSV: a chunk at a time, here or on a cluster, and on after a kill."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bandgaps.cluster import in_order
from bandgaps.errors import LINE, shortened
from bandgaps.files import sha256
from bandgaps.progress import Line
from bandgaps.resumable import ResumableCsv

if TYPE_CHECKING:
    from distributed import Client

Answer = tuple[pd.DataFrame | None, list[str]]  # a row for each that has an answer, an error for each that has none


@dataclass(frozen=True)
class Question:
    """What is asked of a model.

    Attributes:
        what: it is asked about, in the plural.
        items: the files, or the inputs themselves, as a user names them.
        chunks: the inputs from a number on, a chunk at a time.
        length: how many inputs there are.
        answer: what a model says of a chunk; a function of a module, for the workers of a cluster.
    """

    what: str
    items: Sequence[str | Path]
    chunks: Callable[[int], Iterable[Any]]
    length: Callable[[], int]
    answer: Callable[[Any, Any], Answer]


def answers(model: Any, question: Question, client: Client | None = None, skip: int = 0) -> Iterator[Answer]:
    """The answers chunk by chunk, in order; see `cluster.in_order`."""
    return in_order(question.answer, model, question.chunks(skip), client)


def to_csv(
    model: Any, identity: Sequence[object], question: Question, path: Path, client: Client | None = None
) -> tuple[int, int]:
    """Write all answers as a CSV, and go on with one that was cut off. Progress and errors go to stderr.

    Args:
        model: of any kind.
        identity: what tells the model from others.
        question: for it.
        path: the CSV.
        client: of a Dask cluster that does the work.

    Returns:
        How many inputs were answered, and how many could not be.

    Raises:
        InputError, RunError: as `cluster.in_order`, and as the question does.
    """
    total = question.length()
    with ResumableCsv(path, " ".join(map(str, [*_named(question.items), *identity]))) as csv:
        line = Line(question.what, total, csv.done)
        for table, errors in answers(model, question, client, csv.done):
            tell(errors)
            csv.add(table, len(errors) + (0 if table is None else len(table)), len(errors))
            line.tell(csv.done)
    if csv.rows:
        print(f"wrote {path}: {csv.rows:,} {question.what}")
    return csv.rows, csv.wrong


def tell(errors: Sequence[str]) -> None:
    """Print what cannot be answered, a line each."""
    for error in errors:
        print(f"error: {shortened(' '.join(error.split()), LINE)}", file=sys.stderr)


def _named(items: Sequence[str | Path]) -> list[str]:
    """What tells these inputs from others: their names, and the checksums of files."""
    return [*map(str, items), *filter(None, map(_digest, map(Path, items)))]


def _digest(path: Path) -> str:
    try:
        return sha256(path) if path.is_file() else ""
    except (OSError, ValueError):  # a long formula is no name of a file
        return ""
