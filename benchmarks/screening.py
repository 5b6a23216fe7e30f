"""Long lists through the bundled models: by the scripts alone, and on Dask clusters of one and more local workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd

from bandgaps.elements import SYMBOLS
from bandgaps.errors import RunError
from bandgaps.structure import crystal_files
from benchmarks import data

WORKERS = (1, 2)
FORMULAS, CRYSTALS = 1_000_000, 20_000
MANY_WORKERS, MANY_CRYSTALS = 100, 2_500_000  # a cluster and a list that are computed, not measured
LIBRARIES = ("bandgaps.composition.prediction", "bandgaps.structure.prediction")


def measured(records: pd.DataFrame, formulas: int, crystals: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Time (s) of the script as a whole, for both lists.

    Args:
        records: crystals that the list begins with, before varied copies of them.
        formulas: how many, different ones of two to four elements.
        crystals: how many.
        folder: for the lists and results.

    Yields:
        `what`, `rows`, `workers` (0 where the script worked alone, on all cores), `seconds`.
    """
    (folder / "formulas.txt").write_text("\n".join(some_formulas(formulas)))
    write_crystals(data.grown(records, crystals), folder / "crystals.jsonl")
    asked = {
        "formulas": (formulas, ["composition.py", "--predict", "formulas.txt", "--csv", "gaps.csv"]),
        "crystals": (crystals, ["structure.py", "--predict", "crystals.jsonl", "--csv", "gaps.csv"]),
    }
    for workers in (0, *WORKERS):
        with cluster(workers) as address:
            for what, (rows, call) in asked.items():
                yield {"what": what, "rows": rows, "workers": workers, "seconds": timed([*call, *address], folder)}


def reading(path: Path) -> float:
    """Seconds to read all crystals of a list, which one process does for all workers."""
    begun = time.perf_counter()
    for _ in crystal_files.asked([path]):
        pass
    return time.perf_counter() - begun


def summary(rows: Sequence[dict[str, Any]], seconds_to_read: float) -> dict[str, Any]:
    """Ratios of the rate on more workers to that on one, and the hours that a large cluster would take.

    Args:
        rows: what `measured` yields.
        seconds_to_read: what `reading` returns.
    """
    seconds = {(row["what"], row["workers"]): row["seconds"] for row in rows}
    crystals = next(row["rows"] for row in rows if row["what"] == "crystals")
    shared = seconds["crystals", 1] / MANY_WORKERS
    return {
        "ratio": {what: seconds[what, 1] / seconds[what, WORKERS[-1]] for what in ("formulas", "crystals")},
        "workers": MANY_WORKERS,
        "crystals": MANY_CRYSTALS,
        "minutes": MANY_CRYSTALS / crystals * max(shared, seconds_to_read) / 60,
        "minutes_to_read": MANY_CRYSTALS / crystals * seconds_to_read / 60,
        "limited_by_reading": seconds_to_read > shared,
    }


@contextmanager
def cluster(workers: int) -> Iterator[list[str]]:
    """The flags that name a cluster of so many workers, each on one core and with the libraries loaded; none for 0.

    Raises:
        RunError: there are fewer cores than workers.
    """
    if not workers:
        yield []
        return
    from distributed import Client, LocalCluster

    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < workers:
        raise RunError(f"{workers} workers need a core each; this process may use {len(cores)}")
    own = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0")
    with own as local, Client(local) as client:
        for core, address in zip(cores[:workers], client.scheduler_info()["workers"], strict=True):
            client.run(os.sched_setaffinity, 0, {core}, workers=[address])
        for name in LIBRARIES:
            client.run(import_module, name)
        yield ["--dask", local.scheduler_address]


def timed(call: Sequence[str], folder: Path) -> float:
    """Time (s) of a script.

    Raises:
        RunError: it fails.
    """
    begun = time.perf_counter()
    command = [sys.executable, str(data.ROOT / call[0]), *call[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunError(f"{call[0]}: exit code {done.returncode} ({done.stderr[-200:]})")
    return time.perf_counter() - begun


def some_formulas(count: int) -> list[str]:
    """So many different formulas of two to four elements."""
    generator, found = np.random.default_rng(0), dict[str, None]()
    while len(found) < count:
        symbols = generator.choice(SYMBOLS[:83], generator.integers(2, 5), replace=False)
        amounts = generator.integers(1, 9, len(symbols))
        found["".join(f"{symbol}{amount}" for symbol, amount in zip(symbols, amounts, strict=True))] = None
    return [*found]


def write_crystals(records: pd.DataFrame, path: Path) -> None:
    """Write crystals without disorder as JSON Lines."""
    from pymatgen.core import Lattice

    with path.open("wb") as file:
        for number, record in enumerate(records["structure"]):
            lattice, sites = Lattice(record["lattice"]["matrix"]), record["sites"]
            row = {
                "material_id": f"x-{number}",
                "cell": lattice.parameters,
                "species": [site["species"][0]["element"] for site in sites],
                "frac": [site["abc"] for site in sites],
            }
            file.write(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
