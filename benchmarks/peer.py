"""What the benchmarks of graphs and of MEGNet share: rows to work on, and the megnet package to compare with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from bandgaps.errors import InputError
from bandgaps.structure import neighbors
from bandgaps.table import storage
from benchmarks.measure import ROOT, TABLE

TABLES = (TABLE, ROOT / "data" / "sample" / "sample.json.gz")
CUTOFF = 5.0  # Å
TURNS = 2


def sample(rows: int) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Dictionaries of random structures of the largest table there is, and their gaps, eV."""
    table = storage.read_records(next(path for path in TABLES if path.exists()))
    table = table[[_is_connected(record) for record in table["structure"]]] if len(table) < rows else table
    table = table.sample(min(rows, len(table)), random_state=0)
    return table["structure"].tolist(), table["band_gap"].to_numpy(dtype=np.float32)


def _is_connected(record: dict[str, Any]) -> bool:
    try:
        neighbors.build([record], CUTOFF)
    except InputError:
        return False
    return True


@contextmanager
def megnet(folder: Path, records: list[dict[str, Any]], targets: np.ndarray) -> Iterator[Callable[[str], float]]:
    """The megnet package, with these rows; a call makes it do something and returns the seconds that took."""
    (folder / "structures.json").write_bytes(orjson.dumps(records))
    np.save(folder / "targets.npy", targets)
    command = [sys.executable, "-m", "benchmarks.megnet_peer", str(folder)]
    with (
        (folder / "errors.txt").open("w") as errors,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        requests, answers = process.stdin, process.stdout

        def ask(task: str) -> float:
            print(task, file=requests, flush=True)
            for line in answers:
                if line.startswith("seconds "):
                    return float(line.split()[1])
            raise RuntimeError(f"megnet failed at {task}:\n{(folder / 'errors.txt').read_text()[-2000:]}")

        yield ask
        requests.close()
