"""What the benchmarks of graphs and of MEGNet share: rows to work on, and the megnet package to compare with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import orjson

from bandgaps.errors import RunError
from bandgaps.table import storage
from bandgaps.table.records import Record
from benchmarks.data import ROOT, Table, connected

BATCH_SIZE = 128  # crystals in a step of training
CUTOFF = 5.0  # Å
TURNS = 2


def sample(table: Table, rows: int) -> tuple[list[Record], np.ndarray]:
    """Dictionaries of so many random structures of the table, or all that can be graphs, and their gaps, eV."""
    records = storage.read_records(table.path)
    chosen = connected(records.sample(min(rows, len(records)), random_state=0), CUTOFF)
    return chosen["structure"].tolist(), chosen["band_gap"].to_numpy(dtype=np.float32)


@contextmanager
def megnet(
    folder: Path, records: list[Record], targets: np.ndarray, module: str = "benchmarks.megnet_peer"
) -> Iterator[Callable[[str], float]]:
    """The megnet package, with these rows; a call makes it do something and returns the seconds that took."""
    (folder / "structures.json").write_bytes(orjson.dumps(records))
    np.save(folder / "targets.npy", targets)
    command = [sys.executable, "-m", module, str(folder)]
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
            last = (folder / "errors.txt").read_text().strip().splitlines()[-1:]
            raise RunError(f"megnet failed at {task}: {' '.join(last) or 'it says nothing'}")

        yield ask
        requests.close()
