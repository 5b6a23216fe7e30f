"""The crystals of a table one after the other, in memory of a few of them, however long it is."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from bandgaps.errors import InputError, shortened
from bandgaps.files import reading
from bandgaps.table import json_lines, storage
from bandgaps.table.columns import check_names

LINES_AT_ONCE = 200  # of JSON Lines
PIECE = 2**20  # characters that are read at once
LONGEST = 64 * PIECE  # characters of a line, or of one value of a table; a crystal of 10,000 atoms has some 3 million


def named(path: Path, skip: int = 0) -> Iterator[tuple[str, Any]]:
    """The id and the structure of each row, the structure as a dictionary; without ids, their number.

    Args:
        path: of a table in the shared format or as JSON Lines, gzipped or not.
        skip: how many rows to leave out at the beginning.

    Raises:
        InputError: the file is missing, damaged, or without structures.
    """
    with _opened(path) as file:
        yield from (_of_lines if path.name.endswith(json_lines.SUFFIXES) else _of_table)(file, path, skip)


def count(path: Path) -> int:
    """How many rows a table has.

    Raises:
        InputError: as `named`.
    """
    with _opened(path) as file:
        if path.name.endswith(json_lines.SUFFIXES):
            return sum(1 for _ in _lines(file, path))
        head = dict(_Values(file).head())
        return len(head["index"] if "index" in head else storage.read_records(path))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A file, unpacked if it is gzipped. What is wrong within it is an InputError that names it."""
    with reading(path, "write it with query.py or name another table"):
        file = path.open("rb")
    with file:
        packed = file.peek(2)[:2] == b"\x1f\x8b"
        try:
            yield gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[misc]
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{path}: damaged or half-written gzip ({error}); restore it or name another") from None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            found = shortened(error)
            raise InputError(f"{path}: not a table in the shared format ({found}); write it with query.py") from None


def _of_lines(file: BinaryIO, path: Path, skip: int) -> Iterator[tuple[str, Any]]:
    lines, first = islice(_lines(file, path), skip, None), skip + 1
    while some := list(islice(lines, LINES_AT_ONCE)):
        table = json_lines.table(some, path, first)
        if "structure" not in table:
            raise InputError(f"{path}: no column structure; it has {', '.join(map(str, table))}")
        names = table.get("material_id", range(first - 1, first - 1 + len(some)))
        yield from zip(map(str, names), table["structure"], strict=True)
        first += len(some)


def _lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    number = 0
    while line := file.readline(LONGEST):
        number += 1
        if len(line) == LONGEST:
            raise InputError(f"{path}: line {number} has more than {LONGEST:,} characters; correct or remove it")
        yield line


def _of_table(file: BinaryIO, path: Path, skip: int) -> Iterator[tuple[str, Any]]:
    values = _Values(file)
    head = dict(values.head())
    if not head.keys() >= {"index", "columns"}:  # written in another order
        records = storage.read_records(path)
        head, rows = {"columns": [*records], "index": [*records.index]}, iter(records.to_numpy().tolist())
    else:
        rows = values.items()
    columns = head["columns"]
    check_names(map(str, columns), path)
    if "structure" not in columns:
        raise InputError(f"{path}: no column structure; it has {shortened(', '.join(map(str, columns)))}")
    place, name = columns.index("structure"), columns.index("material_id") if "material_id" in columns else None
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise ValueError(f"row {number} has {len(row)} values for {len(columns)} columns")
        if number >= skip:
            yield str(head["index"][number] if name is None else row[name]), row[place]


class _Values:
    """The values of a JSON object, read one by one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._text, self._at = io.TextIOWrapper(file, "utf-8"), "", 0
        self._decode = json.JSONDecoder().raw_decode

    def head(self) -> Iterator[tuple[str, Any]]:
        """Names and values before the one called data."""
        self._expect("{")
        while (name := self._value()) != "data":
            self._expect(":")
            yield name, self._value()
            if self._expect(",}") == "}":
                return
        self._expect(":")

    def items(self) -> Iterator[Any]:
        """Each item of an array."""
        self._expect("[")
        while self._next() != "]":
            yield self._value()
            if self._expect(",]") == "]":
                return

    def _expect(self, characters: str) -> str:
        found = self._next()
        if not found or found not in characters:
            raise ValueError(f"{found!r} where {' or '.join(characters)} is due")
        self._at += 1
        return found

    def _next(self) -> str:
        """The next character that is no space, which is not passed yet; the empty string at the end."""
        while True:
            while self._at < len(self._text):
                if not self._text[self._at].isspace():
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def _value(self) -> Any:
        while True:
            self._next()
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError:
                if not self._more():
                    raise
                continue
            if end < len(self._text) or not self._more():  # else more of a number may follow
                self._at = end
                return value

    def _more(self) -> bool:
        """Read on; whether there was more."""
        piece = self._file.read(PIECE)
        self._text, self._at = self._text[self._at :] + piece, 0
        if len(self._text) > LONGEST:
            raise ValueError(f"a value of more than {LONGEST:,} characters, or what is none")
        return bool(piece)
