"""A CSV that is written in pieces and goes on where it was cut off, without repeating or losing a row."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pandas as pd

from bandgaps.errors import InputError, RunError
from bandgaps.files import claimed, read_json, write_json

DECIMALS = 4  # of eV


class ResumableCsv:
    """A CSV in the making: FILE.part, and FILE.progress.json that says how far it is.

    Within the context rows are added. It takes the place of FILE at the end, unless an error ends the context.

    Attributes:
        done: how many inputs need not be asked about again.
        wrong: how many of these could not be answered.
        rows: how many rows are written.
    """

    def __init__(self, path: Path, of: str) -> None:
        """Begin, or go on with what an earlier run of the same has left.

        Args:
            path: the CSV.
            of: what tells this run from others: its model, its inputs.

        Raises:
            InputError: the folder is no folder.
            RunError: another run is writing it.
        """
        self.path, self.of = path, of
        self._part, self._progress = (path.with_name(path.name + end) for end in (".part", ".progress.json"))
        if path.parent.exists() and not path.parent.is_dir():
            raise InputError(f"{path.parent}: not a folder; name a file in one")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._opened()
        found = self._found()
        self.done, self.wrong, self.rows, length = (int(found[name]) for name in ("done", "wrong", "rows", "length"))
        self._file.truncate(length)  # what came after the last complete piece
        self._file.seek(length)

    def _opened(self) -> IO[bytes]:
        """FILE.part, kept to this process; the system releases it when the process ends, however it ends."""
        while True:
            file = self._part.open("a+b")
            if not claimed(file):
                file.close()
                raise RunError(f"{self.path}: another run is writing it; wait for its end, or name another")
            if self._part.exists() and os.path.samestat(os.fstat(file.fileno()), self._part.stat()):
                return file
            file.close()  # the other run has just finished it

    def _found(self) -> dict[str, Any]:
        """What an earlier run has noted, zeros if there was none."""
        none = {"done": 0, "wrong": 0, "rows": 0, "length": 0}
        if not (self._progress.is_file() and self._part.is_file()):
            return none
        try:
            found = read_json(self._progress)
            same = found["of"] == self.of and self._part.stat().st_size >= int(found["length"])
            return {name: int(found[name]) for name in none} if same else none
        except (InputError, KeyError, TypeError, ValueError):
            return none

    def add(self, table: pd.DataFrame | None, inputs: int, wrong: int = 0) -> None:
        """Add rows, and note that so many more inputs are dealt with.

        Args:
            table: the rows; None where there are none.
            inputs: how many inputs they answer.
            wrong: how many of these could not be answered.
        """
        if table is not None:
            text = table.round(DECIMALS).to_csv(header=not self.rows, index=False)
            self._file.write(text.encode())
            self.rows += len(table)
        self.done, self.wrong = self.done + inputs, self.wrong + wrong
        self._file.flush()
        os.fsync(self._file.fileno())
        numbers = {"done": self.done, "wrong": self.wrong, "rows": self.rows, "length": self._file.tell()}
        write_json({"of": self.of, **numbers}, self._progress)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if kind is not None:
                return
            if self.rows:
                self._part.replace(self.path)
            else:
                self._part.unlink()
            self._progress.unlink(missing_ok=True)
