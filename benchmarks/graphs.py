"""Structures to graphs, against megnet's own: python -m benchmarks.graphs."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from bandgaps.structure import graph_cache, neighbors
from bandgaps.structure.graphs import Graphs
from bandgaps.table import storage
from benchmarks import peer
from benchmarks.measure import Entry, speed


def run(rows: int = 8_000) -> list[Entry]:
    """From a table on disk by matminer's reader and megnet's converter, by ours, and from ours in the cache.

    The cached graphs are compared with megnet's conversion alone, of Structures that are ready.
    """
    from matminer.utils.io import load_dataframe_from_json

    records, targets = peer.sample(rows)
    neighbors.build(records[:1], peer.CUTOFF)  # loads what has been compiled
    theirs, converted, ours, cached = [], [], [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        graph_cache.cached(records, peer.CUTOFF, folder)
        table = folder / "table.json.gz"
        storage.write(pd.DataFrame({"formula": "", "structure": records}), table)
        with peer.megnet(folder, records, targets) as ask:
            for _ in range(peer.TURNS):
                start = time.perf_counter()
                load_dataframe_from_json(str(table), pbar=False)
                reading = time.perf_counter() - start
                converted.append(ask("graphs"))
                theirs.append(reading + converted[-1])
                start = time.perf_counter()
                built = neighbors.build(storage.read_records(table)["structure"].tolist(), peer.CUTOFF)
                middle = time.perf_counter()
                again = graph_cache.cached(records, peer.CUTOFF, folder)
                ours.append(middle - start)
                cached.append(time.perf_counter() - middle)
        with np.load(folder / "graphs.npz") as arrays:
            same = [_same(graph, dict(arrays)) for graph in (built, again)]
    unit, amount = "structures/s", len(records)
    return [
        speed("graphs", unit, amount, min(theirs), min(ours), same[0]),
        speed("graphs-cached", unit, amount, min(converted), min(cached), same[1]),
    ]


def _same(ours: Graphs, theirs: dict[str, np.ndarray]) -> bool:
    """Whether these are the same bonds, of lengths equal to 1e-6 Å, in whatever order."""
    if not np.array_equal(ours.bond_counts, theirs["counts"]):
        return False
    crystal = np.repeat(np.arange(len(ours)), ours.bond_counts)
    order = np.lexsort((ours.distances, ours.second, ours.first, crystal))
    other = np.lexsort((theirs["distances"], theirs["second"], theirs["first"], crystal))
    ends = all(np.array_equal(getattr(ours, name)[order], theirs[name][other]) for name in ("first", "second"))
    return ends and np.allclose(ours.distances[order], theirs["distances"][other], rtol=0, atol=1e-6)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
