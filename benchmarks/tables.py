"""Magpie features against matminer's; reading and writing the table against matminer's."""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from bandgaps import magpie
from bandgaps.table import storage
from benchmarks.data import Table
from benchmarks.measure import Entry, duration, in_turn, speed, timed

PEER_FORMULAS = 2_000  # matminer's speed does not depend on how many there are


def run(table: Table) -> list[Entry]:
    """Features, reading without and with structures, writing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [features(table), *tables(table)]


def features(table: Table) -> Entry:
    """All formulas of the table; matminer on a sample of them, with one job, which is its faster way."""
    from matminer.featurizers.composition import ElementProperty
    from pymatgen.core import Composition

    formulas = storage.read(table.path, structures=False)["formula"].tolist()
    some = slice(None, None, max(1, len(formulas) // PEER_FORMULAS))
    featurizer = ElementProperty.from_preset("magpie")
    featurizer.set_n_jobs(1)
    magpie.features(formulas[:10])

    def peer() -> np.ndarray:
        return np.array(featurizer.featurize_many([Composition(formula) for formula in formulas[some]], pbar=False))

    peer_time, our_time, theirs, ours = in_turn(peer, lambda: magpie.features(formulas))
    same = np.allclose(theirs, ours[some], rtol=0, atol=1e-9)
    peer_time *= len(formulas) / len(theirs)
    what = f"Magpie features of {len(formulas):,} formulas, against matminer's `ElementProperty`"
    return speed(what, "formulas/s", len(formulas), peer_time, our_time, same)


def tables(table: Table) -> list[Entry]:
    """The table, by `dataset` and by matminer."""
    from matminer.utils.io import load_dataframe_from_json, store_dataframe_as_json

    peer_time, theirs = timed(lambda: load_dataframe_from_json(str(table.path), pbar=False))
    our_time, ours = timed(lambda: storage.read(table.path, structures=False))
    what = f"reading {len(ours):,} materials without structures, against matminer's reader, which cannot leave them out"
    bare = duration(what, peer_time, our_time, theirs.drop(columns="structure").equals(ours))
    our_time, ours = timed(lambda: storage.read(table.path))
    what = "reading them with structures, against matminer's reader"
    whole = duration(what, peer_time, our_time, equal(theirs, ours))
    del theirs
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("theirs.json.gz", "ours.json.gz")]
        peer_time, our_time, _, _ = in_turn(
            lambda: store_dataframe_as_json(ours, paths[0], compression="gz", pbar=False),
            lambda: storage.write(ours, paths[1]),
            times=1,
        )
        sizes = [Path(path).stat().st_size / 1e6 for path in paths]
        written = load_dataframe_from_json(paths[1], pbar=False)
    what = f"writing them ({sizes[1]:.1f} MB), against matminer's writer ({sizes[0]:.1f} MB, with what can be computed)"
    return [bare, whole, duration(what, peer_time, our_time, equal(written, ours))]


def equal(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two tables are equal, structures to the last digit and label."""
    pairs = zip(one["structure"], other["structure"], strict=True)
    same = len(one) == len(other) and all(
        a.labels == b.labels
        and a.atomic_numbers == b.atomic_numbers
        and np.array_equal(a.frac_coords, b.frac_coords)
        and np.array_equal(a.lattice.matrix, b.lattice.matrix)
        for a, b in pairs
    )
    return same and one.drop(columns="structure").equals(other.drop(columns="structure"))


if __name__ == "__main__":
    from benchmarks.__main__ import start

    sys.exit(start("tables"))
