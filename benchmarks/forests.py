"""The forest with uncertainty against scikit-learn's plain random forest."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from bandgaps import metrics
from bandgaps.composition import forest, magpie
from bandgaps.table import splitting, storage
from benchmarks.measure import TABLE, Entry, duration, in_turn, speed

JOBS = 2


def run() -> list[Entry]:
    """Fit and predict on the Magpie features of the lowest polymorph of each formula of the table."""
    table = storage.read(TABLE, structures=False)
    lowest = table.loc[table.groupby("formula")["formation_energy_per_atom"].idxmin()]
    X, y = magpie.features(lowest["formula"].tolist()), lowest["band_gap"].to_numpy(float)
    test = splitting.split(y == 0, seed=0) == "test"

    peer_time, our_time, theirs, ours = in_turn(
        lambda: RandomForestRegressor(100, n_jobs=JOBS, random_state=0).fit(X[~test], y[~test]),
        lambda: forest.new(seed=0, jobs=JOBS).fit(X[~test], y[~test]),
        times=1,
    )
    errors = [metrics.scores(y[test], model.predict(X[test]))["mae"] for model in (theirs, ours)]
    fit = duration("forest-fit", peer_time, our_time, errors[1] <= errors[0])
    peer_time, our_time, plain, (mean, _) = in_turn(
        lambda: ours.predict(X), lambda: ours.predict(X, return_std=True), times=4
    )
    predict = speed("forest-predict", "rows/s", len(X), peer_time, our_time, np.allclose(plain, mean, atol=1e-9))
    return [fit, predict]
