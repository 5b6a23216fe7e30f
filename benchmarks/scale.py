"""How time and memory grow with the table: python -m benchmarks.scale.

Features, reading, graphs and prediction on tables of 1,000, 10,000 and 100,000 materials; where the data end, crystals
of the table are decorated with other elements. Each measurement runs in a process of its own, whose peak memory it is.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandgaps.elements import SYMBOLS
from bandgaps.errors import exit_code
from bandgaps.files import write_json
from bandgaps.table import cleaning, storage
from benchmarks.measure import ROOT, TABLE

SIZES = (1_000, 10_000, 100_000)
CUTOFF = 4.0  # Å
TOLERANCE = 1.5  # how much more a row may cost in a table ten times as large, on a noisy machine


def main() -> None:
    """Measure everything, or, with the name of a task and a table, that."""
    if len(sys.argv) == 3:
        print(json.dumps(measured(TASKS[sys.argv[1]], Path(sys.argv[2]))))
        return
    results = []
    with tempfile.TemporaryDirectory() as folder:
        records = connected(storage.read_records(TABLE))
        for size in SIZES:
            path = Path(folder) / f"{size}.json.gz"
            storage.write(grown(records, size), path)
            for name in TASKS:
                command = [sys.executable, "-m", "benchmarks.scale", name, str(path)]
                output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
                results.append({"what": name, "rows": size, **json.loads(output.splitlines()[-1])})
                print(line(results[-1]), flush=True)
    write_json(results, ROOT / "benchmarks" / "scale.json")
    for name in defects(results):
        print(f"{name}: grows faster than linear")


def line(result: dict[str, Any]) -> str:
    """One measurement, told per row."""
    micro, kilo = 1e6 * result["seconds"] / result["rows"], result["bytes"] / result["rows"] / 1000
    costs = f"{result['seconds']:8.2f} s  {micro:8.1f} µs/row  {kilo:8.1f} kB/row"
    return f"{result['what']:>10}  {result['rows']:>7,} rows  {costs}"


def defects(results: list[dict[str, Any]]) -> list[str]:
    """Tasks whose cost a row rises from the second size to the largest."""
    cost = {(each["what"], each["rows"]): each["seconds"] / each["rows"] for each in results}
    return [name for name in TASKS if cost[name, SIZES[-1]] > TOLERANCE * cost[name, SIZES[-2]]]


def connected(records: pd.DataFrame) -> pd.DataFrame:
    """The rows whose structures can be graphs: no atom is alone."""
    from bandgaps.table.records import structure

    return records[[not cleaning.has_isolated_atom(structure(record), CUTOFF) for record in records["structure"]]]


def grown(records: pd.DataFrame, rows: int) -> pd.DataFrame:
    """So many rows: those of the table in random order, then decorated copies of them."""
    generator = np.random.default_rng(0)
    shuffled = records.iloc[generator.permutation(len(records))]
    parts = [shuffled]
    while sum(map(len, parts)) < rows:
        parts.append(decorated(shuffled, generator))
    return pd.concat(parts, ignore_index=True).head(rows)


def decorated(records: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    """The same crystals with every element replaced by another, of the first 83."""
    known = SYMBOLS[:83]
    other = dict(zip(known, generator.permutation(known).tolist(), strict=True))
    structures, formulas = [], []
    for record in records["structure"]:
        sites = [
            {**site, "species": [{"element": other.get(site["species"][0]["element"], "U"), "occu": 1}]}
            for site in record["sites"]
        ]
        elements = [site["species"][0]["element"] for site in sites]
        structures.append({**record, "sites": sites})
        formulas.append("".join(f"{element}{elements.count(element)}" for element in dict.fromkeys(elements)))
    return records.assign(structure=structures, formula=formulas)


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
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(next(row.split()[1] for row in status.splitlines() if row.startswith(name)))


def features(path: Path) -> Callable[[], Any]:
    """Magpie features of all formulas."""
    from bandgaps.composition import magpie

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
