"""The forest with uncertainty against scikit-learn's plain random forest."""

from __future__ import annotations

import sys

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from bandgaps import magpie, metrics
from bandgaps.composition import forest
from bandgaps.table import columns, splitting, storage
from benchmarks.data import Table
from benchmarks.measure import Entry, duration, in_turn, speed

JOBS = 2
TREES = 100


def run(table: Table) -> list[Entry]:
    """Fit and predict on the Magpie features of the lowest polymorph of each formula of the table."""
    rows = storage.read(table.path, structures=False)
    lowest = rows[columns.represents_composition(rows)]
    X, y = magpie.features(lowest["formula"].tolist()), lowest["band_gap"].to_numpy(float)
    test = splitting.split(y == 0, seed=0) == "test"

    peer_time, our_time, theirs, ours = in_turn(
        lambda: RandomForestRegressor(TREES, n_jobs=JOBS, random_state=0).fit(X[~test], y[~test]),
        lambda: forest.new(seed=0, jobs=JOBS).fit(X[~test], y[~test]),
        times=1,
    )
    errors = [metrics.scores(y[test], model.predict(X[test]))["mae"] for model in (theirs, ours)]
    what = (
        f"a fit to {np.sum(~test):,} formulas: {TREES} extremely randomized trees against a random forest of {TREES}, "
        "both scikit-learn's code; the same answer means an error that is not higher"
    )
    fit = duration(what, peer_time, our_time, errors[1] <= errors[0])
    peer_time, our_time, plain, (mean, _) = in_turn(
        lambda: ours.predict(X), lambda: ours.predict(X, return_std=True), times=4
    )
    what = f"prediction of {len(X):,} gaps with σ, against scikit-learn's by the same trees without"
    return [fit, speed(what, "rows/s", len(X), peer_time, our_time, np.allclose(plain, mean, atol=1e-9))]


if __name__ == "__main__":
    from benchmarks.__main__ import start

    sys.exit(start("forests"))
