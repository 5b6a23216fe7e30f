"""Structures to graphs, against megnet's own."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from bandgaps.structure import graph_cache, neighbors
from bandgaps.structure.graphs import Graphs
from bandgaps.table import storage
from benchmarks import peer
from benchmarks.data import Table
from benchmarks.measure import Entry, speed, timed

ROWS = 4_000


def run(table: Table, rows: int = ROWS) -> list[Entry]:
    """From a table on disk by matminer's reader and megnet's converter, by ours, and from ours in the cache.

    The cached graphs are compared with megnet's conversion alone, of Structures that are ready.
    """
    from matminer.utils.io import load_dataframe_from_json

    records, targets = peer.sample(table, rows)
    neighbors.build(records[:1], peer.CUTOFF)  # loads what has been compiled
    theirs, converted, ours, cached = [], [], [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        graph_cache.cached(records, peer.CUTOFF, folder)
        path = folder / "table.json.gz"
        storage.write(pd.DataFrame({"formula": "", "structure": records}), path)
        with peer.megnet(folder, records, targets) as ask:
            for _ in range(peer.TURNS):
                reading, _ = timed(lambda: load_dataframe_from_json(str(path), pbar=False))
                converted.append(ask("graphs"))
                theirs.append(reading + converted[-1])
                seconds, built = timed(lambda: from_disk(path))
                ours.append(seconds)
                seconds, again = timed(lambda: graph_cache.cached(records, peer.CUTOFF, folder))
                cached.append(seconds)
        with np.load(folder / "graphs.npz") as arrays:
            same = [equal(graph, dict(arrays)) for graph in (built, again)]
    unit, amount = "structures/s", len(records)
    what = (
        f"from a table of {amount:,} crystals on disk to graphs, {peer.CUTOFF:g} Å, against matminer's reader and "
        "megnet's `CrystalGraph`",
        "the same graphs read from our cache, against their computation by `CrystalGraph` (megnet has no cache)",
    )
    return [
        speed(what[0], unit, amount, min(theirs), min(ours), same[0]),
        speed(what[1], unit, amount, min(converted), min(cached), same[1]),
    ]


def from_disk(path: Path) -> Graphs:
    """The graphs of a table."""
    return neighbors.build(storage.read_records(path)["structure"].tolist(), peer.CUTOFF)


def equal(ours: Graphs, theirs: dict[str, np.ndarray]) -> bool:
    """Whether these are the same bonds, of lengths equal to 1e-6 Å, in whatever order.

    Args:
        ours: the graphs.
        theirs: `counts`, the bonds of each crystal, and of all bonds `first`, `second` and `distances` (Å).
    """
    if not np.array_equal(ours.bond_counts, theirs["counts"]):
        return False
    crystal = np.repeat(np.arange(len(ours)), ours.bond_counts)
    order = np.lexsort((ours.distances, ours.second, ours.first, crystal))
    other = np.lexsort((theirs["distances"], theirs["second"], theirs["first"], crystal))
    ends = all(np.array_equal(getattr(ours, name)[order], theirs[name][other]) for name in ("first", "second"))
    return ends and np.allclose(ours.distances[order], theirs["distances"][other], rtol=0, atol=1e-6)


if __name__ == "__main__":
    from benchmarks.__main__ import start

    sys.exit(start("graphs"))
