"""Magpie features against matminer's; reading and writing the table against matminer's."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from bandgaps.composition import magpie
from bandgaps.table import storage
from benchmarks.measure import SHARED, TABLE, Entry, duration, in_turn, speed

PEER_FORMULAS = 4000  # matminer's speed does not depend on how many there are


def run() -> list[Entry]:
    """Features, reading without and with structures, writing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [features(), *tables()]


def features() -> Entry:
    """All formulas of matbench-mp-gap.csv; matminer on a sample of them, with one job, which is its faster way."""
    from matminer.featurizers.composition import ElementProperty
    from pymatgen.core import Composition

    formulas = pd.read_csv(SHARED / "matbench-mp-gap.csv")["formula"].tolist()
    some = formulas[:: len(formulas) // PEER_FORMULAS]
    featurizer = ElementProperty.from_preset("magpie")
    featurizer.set_n_jobs(1)
    magpie.features(formulas[:10])

    def peer() -> np.ndarray:
        return np.array(featurizer.featurize_many([Composition(formula) for formula in some], pbar=False))

    peer_time, our_time, theirs, ours = in_turn(peer, lambda: magpie.features(formulas))
    same = np.allclose(theirs, ours[:: len(formulas) // PEER_FORMULAS], rtol=0, atol=1e-9)
    peer_time *= len(formulas) / len(some)
    return speed("features", "formulas/s", len(formulas), peer_time, our_time, same)


def tables() -> list[Entry]:
    """The table of 31,257 materials."""
    from matminer.utils.io import load_dataframe_from_json, store_dataframe_as_json

    def load() -> pd.DataFrame:
        return load_dataframe_from_json(str(TABLE), pbar=False)

    peer_time, our_time, theirs, ours = in_turn(load, lambda: storage.read(TABLE, structures=False), times=1)
    same = theirs.drop(columns="structure").equals(ours)
    bare = duration("read", peer_time, our_time, same)
    peer_time, our_time, theirs, ours = in_turn(load, lambda: storage.read(TABLE), times=1)
    whole = duration("read-structures", peer_time, our_time, equal_structures(theirs, ours))
    del theirs
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("theirs.json.gz", "ours.json.gz")]
        peer_time, our_time, _, _ = in_turn(
            lambda: store_dataframe_as_json(ours, paths[0], compression="gz", pbar=False),
            lambda: storage.write(ours, paths[1]),
            times=1,
        )
        written = load_dataframe_from_json(paths[1], pbar=False)
    return [bare, whole, duration("write", peer_time, our_time, equal_structures(written, ours))]


def equal_structures(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two tables are equal, structures to the last digit and label."""
    pairs = zip(one["structure"], other["structure"], strict=True)
    same = all(
        a.labels == b.labels
        and a.atomic_numbers == b.atomic_numbers
        and np.array_equal(a.frac_coords, b.frac_coords)
        and np.array_equal(a.lattice.matrix, b.lattice.matrix)
        for a, b in pairs
    )
    return same and one.drop(columns="structure").equals(other.drop(columns="structure"))
