"""What several tests share: the folders, the bundled sample, and running a script as a user does."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bandgaps.errors import exit_code
from bandgaps.table import storage

ROOT = Path(__file__).parents[1]
SCRIPTS = ["query.py", "composition.py", "explore_composition.py", "structure.py", "explore_structure.py"]
SHARED = ROOT.parent / "shared" / "data"
SAMPLE = ROOT / "data" / "sample" / "sample.json.gz"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="needs the development data, which is not bundled")

Result = subprocess.CompletedProcess[str]
Script = Callable[..., Result]


def run_script(name: str, *arguments: object, cwd: Path, **environment: str) -> Result:
    """Run one of the five scripts in the folder `cwd`, without any key the surroundings may hold."""
    kept = {key: value for key, value in os.environ.items() if key not in ("MP_API_KEY", "PMG_MAPI_KEY")}
    command = [sys.executable, str(ROOT / name), *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env={**kept, **environment}, capture_output=True, text=True, timeout=300, check=False
    )


def call(main: Callable[[Sequence[str]], None], *arguments: object, cwd: Path) -> None:
    """Call a script's main function in this process, which has loaded the libraries already, in the folder `cwd`."""
    with contextlib.chdir(cwd):
        main(list(map(str, arguments)))


def run_here(main: Callable[[Sequence[str]], None], *arguments: object, cwd: Path) -> Result:
    """The same, with what it printed and its exit code."""
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
        try:
            code = exit_code(lambda: call(main, *arguments, cwd=cwd))
        except SystemExit as stop:  # by argparse
            code = stop.code if isinstance(stop.code, int) else 1
    return Result(list(map(str, arguments)), code, printed.getvalue(), errors.getvalue())


def assert_failed(result: Result, code: int, *words: str) -> None:
    """The script ended with this code and one line on stderr that has all these words."""
    assert result.returncode == code, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert "Traceback" not in result.stderr, result.stderr
    assert lines, "nothing on stderr"
    assert lines[-1].startswith("error: "), result.stderr
    for word in words:
        assert word in lines[-1], (word, lines[-1])


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_one_line(text: str) -> bool:
    return text.startswith("error: ") and text.count("\n") == 1 and text.endswith("\n")


@cache
def gaps_of_2019() -> pd.DataFrame:
    """All rows of the Materials Project of 2019, without their structures; copy before changing it."""
    return storage.read(SHARED / "mp-2019.json.gz", structures=False)


def first_rows(number: int) -> tuple[list[str], list[list[Any]]]:
    """The columns and the first rows of the Materials Project of 2019, without reading all of it."""
    decoder = json.JSONDecoder()
    rows: list[list[Any]] = []
    with gzip.open(SHARED / "mp-2019.json.gz", "rt") as file:
        text = file.read(8000 * number)  # a row has some 5,000 characters
    columns, _ = decoder.raw_decode(text, text.index('"columns": ') + len('"columns": '))
    position = text.index('"data": [') + len('"data": [')
    while len(rows) < number:
        row, end = decoder.raw_decode(text, position)
        rows.append(row)
        position = end + len(", ")
    return columns, rows
