"""python -m benchmarks.scale [--table PATH] [--formulas N] [--crystals N].

How time and memory grow with the table: features, reading, graphs and prediction on tables of 1,000, 10,000 and 100,000
materials. The crystals are those of the table, without --table of the bundled sample repeated and varied as
benchmarks/data.py says; where they end, varied copies follow. Each measurement runs in a process of its own, whose peak
memory it is, on Linux alone.

Then what a long list of formulas and one of crystals take, written as CSV by the scripts alone and on Dask clusters of
one and two local workers with a core each, as benchmarks/screening.py says.

Prints a line for each and writes benchmarks/scale.json.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandgaps import processors
from bandgaps.arguments import Parser, whole_number
from bandgaps.errors import InputError, RunError, exit_code
from bandgaps.files import write_json
from bandgaps.table import storage
from benchmarks import data, screening

SIZES = (1_000, 10_000, 100_000)
CUTOFF = 4.0  # Å
TOLERANCE = 1.5  # how much more a row may cost in a table ten times as large, on a noisy machine
STATUS = Path("/proc/self/status")
RESULTS = data.ROOT / "benchmarks" / "scale.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure everything, or, in a process of its own, one task."""
    options = parser().parse_args(arguments)
    if not STATUS.exists():
        raise RunError(f"{STATUS}: no such file; only Linux tells the peak of memory")
    if min(options.sizes) < 1:
        raise InputError(f"--sizes {min(options.sizes)}: a table has one row or more")
    if options.task and not options.table:
        raise InputError(f"--task {options.task}: on which table? name it with --table")
    if options.task:
        print(json.dumps(measured(TASKS[options.task], options.table)))
        return
    with data.opened(options.table, options.rows) as table, tempfile.TemporaryDirectory() as folder:
        print(f"measuring on {table.name}", flush=True)
        records, rows = data.connected(storage.read_records(table.path)), []
        for size in options.sizes:
            path = Path(folder) / f"{size}.json.gz"
            storage.write(data.grown(records, size), path)
            for name in TASKS:
                rows.append({"what": name, "rows": size, **in_a_process(name, path)})
                print(line(rows[-1]), flush=True)
        content: dict[str, Any] = {"table": table.name, "rows": rows, "cores": processors.cores()}
        if options.formulas and options.crystals:
            content["screening"] = screened(records, options.formulas, options.crystals, Path(folder))
    write_json(content, options.output)
    for name in defects(rows):
        print(f"{name}: grows faster than linear")


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = Parser(__doc__, "python -m benchmarks.scale")
    add = parser.add_argument
    add("--table", type=Path, metavar="PATH", help="table of query.py to measure on, with structures and band_gap (eV)")
    add("--sizes", type=int, nargs="+", metavar="ROWS", default=SIZES, help="rows of the tables (1000 10000 100000)")
    rows = "rows that the sample is repeated to, before varied copies of them follow (%(default)s)"
    add("--rows", type=whole_number(data.FEWEST), metavar="N", default=data.ROWS, help=rows)
    formulas = "formulas of the long list (%(default)s); 0 leaves both lists out"
    add("--formulas", type=whole_number(0), metavar="N", default=screening.FORMULAS, help=formulas)
    crystals = "crystals of the long list (%(default)s); 0 leaves both lists out"
    add("--crystals", type=whole_number(0), metavar="N", default=screening.CRYSTALS, help=crystals)
    add("--output", type=Path, metavar="FILE", default=RESULTS, help="where to write (benchmarks/scale.json)")
    add("--task", choices=TASKS, help="measure this alone, on --table as it is, and print time (s) and memory (bytes)")
    return parser


def screened(records: pd.DataFrame, formulas: int, crystals: int, folder: Path) -> dict[str, Any]:
    """What long lists take; see benchmarks/screening.py."""
    rows = []
    for found in screening.measured(records, formulas, crystals, folder):
        workers = f"{found['workers']} worker(s)" if found["workers"] else "the script alone"
        rate = found["rows"] / found["seconds"]
        print(f"{found['rows']:,} {found['what']}, {workers}: {found['seconds']:.0f} s, {rate:,.0f}/s")
        sys.stdout.flush()
        rows.append(found)
    return {"rows": rows, **screening.summary(rows, screening.reading(folder / "crystals.jsonl"))}


def in_a_process(task: str, path: Path) -> dict[str, float]:
    """What is `measured` by a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scale", "--task", task, "--table", str(path.resolve())]
    done = subprocess.run(command, cwd=data.ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise RunError(f"{task}: failed with exit code {done.returncode} ({' '.join(last)})")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def line(result: dict[str, Any]) -> str:
    """One measurement, told per row."""
    micro, kilo = 1e6 * result["seconds"] / result["rows"], result["bytes"] / result["rows"] / 1000
    costs = f"{result['seconds']:8.2f} s  {micro:8.1f} µs/row  {kilo:8.1f} kB/row"
    return f"{result['what']:>10}  {result['rows']:>7,} rows  {costs}"


def defects(results: list[dict[str, Any]]) -> list[str]:
    """Tasks whose cost a row rises from the last size but one to the largest."""
    cost = {(each["what"], each["rows"]): each["seconds"] / each["rows"] for each in results}
    *_, smaller, largest = [0, *sorted({rows for _, rows in cost})]
    return [name for name in TASKS if cost[name, largest] > TOLERANCE * cost.get((name, smaller), np.inf)]


def measured(task: Callable[[Path], Callable[[], Any]], path: Path) -> dict[str, float]:
    """Time (s) of a task and how far memory rose during it (bytes), its preparations left out."""
    run = task(path)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = memory("VmRSS")
    start = time.perf_counter()
    kept = run()
    seconds = time.perf_counter() - start
    del kept
    return {"seconds": seconds, "bytes": memory("VmHWM") - before}


def memory(name: str) -> int:
    """Memory of this process as Linux tells it: VmRSS now, VmHWM at its peak, bytes."""
    status = STATUS.read_text(encoding="ascii")
    return 1024 * int(next(row.split()[1] for row in status.splitlines() if row.startswith(name)))


def features(path: Path) -> Callable[[], Any]:
    """Magpie features of all formulas."""
    from bandgaps import magpie

    formulas = storage.read(path, structures=False)["formula"].tolist()
    magpie.features(formulas[:2])
    return lambda: magpie.features(formulas)


def reading(path: Path) -> Callable[[], Any]:
    """The table with its structures."""
    import bandgaps.table.records  # noqa: F401 - what is imported when first needed is no cost of a row

    return lambda: storage.read(path)


def graphs(path: Path) -> Callable[[], Any]:
    """Crystal graphs from the table on disk."""
    from bandgaps.structure import neighbors

    def run() -> Any:
        return neighbors.build(storage.read_records(path)["structure"].tolist(), CUTOFF)

    neighbors.build(storage.read_records(path)["structure"].head(2).tolist(), CUTOFF)
    return run


def prediction(path: Path) -> Callable[[], Any]:
    """Gaps of all crystals by one network."""
    from bandgaps.structure import ensemble, neighbors, network

    built = neighbors.build(storage.read_records(path)["structure"].tolist(), CUTOFF)
    settings, generator = network.Hyperparameters(), np.random.default_rng(0)
    shapes = settings.weight_shapes().items()
    weights = {name: generator.normal(0, shape[0] ** -0.5, shape).astype(np.float32) for name, shape in shapes}
    model = ensemble.Model(settings, [weights])
    model.predict(built.select(np.arange(2)))
    return lambda: model.predict(built)


TASKS = {"features": features, "reading": reading, "graphs": graphs, "prediction": prediction}

if __name__ == "__main__":
    sys.exit(exit_code(main))
