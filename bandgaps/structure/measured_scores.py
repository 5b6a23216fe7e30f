"""How well measured gaps are predicted: by cross-validation over compositions, intervals included."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from bandgaps import intervals, metrics
from bandgaps.intervals import SHARES, Distribution
from bandgaps.structure import compositions
from bandgaps.structure.calibration import coverage
from bandgaps.structure.measured import LEVELS, MeasuredLevel, cross_validated

PBE = len(compositions.LABELS)  # column of a model's inputs
Bounds = list[tuple[np.ndarray, np.ndarray]]


def scores(level: MeasuredLevel, chosen: np.ndarray | None = None) -> dict[str, Any]:
    """Scores of a model of measured gaps on the crystals that it knows, each predicted without its composition.

    The intervals of one half of the compositions are fitted to the other half.

    Args:
        level: with what it knows.
        chosen: which crystals to score, a mask of shape (known,); by default all.

    Returns:
        Errors (eV) of `non-metals`, of `all`, and of `pbe-metals`: those that are metals by the network's PBE gap and
        insulators as measured. Of non-metals also the shares that intervals hold (each composition counts once), the
        median width of the interval of 68 % and the continuous ranked probability score (eV); and the area under the
        ROC curve of telling metals.
    """
    found = cross_validated(level)
    bounds = cross_fitted(found, level)
    part = np.ones(len(level.gaps), dtype=bool) if chosen is None else chosen
    gapped = part & (level.gaps > 0)
    result: dict[str, Any] = {
        "all": _errors(found.median, level.gaps, part),
        "non-metals": _errors(found.median, level.gaps, gapped) | _intervals(found, bounds, level, gapped),
        "pbe-metals": _errors(found.median, level.gaps, gapped & (level.inputs[:, PBE] <= 0)),
    }
    if (level.gaps[part] == 0).any():
        probability = level.intervals.metal_probability(found)
        result["metals_roc_auc"] = float(roc_auc_score(level.gaps[part] == 0, probability[part]))
    return result


def cross_fitted(found: Distribution, level: MeasuredLevel) -> Bounds:
    """Both intervals of each crystal (eV), from `Intervals` that were fitted to the other half of the compositions."""
    names, index = np.unique(level.composition, return_inverse=True)
    half = (np.random.default_rng(1).permutation(len(names)) % 2 == 0)[index]
    ends = np.empty((len(SHARES), 2, len(half)))
    for own in (half, ~half):
        fitted = intervals.fit(found.of(~own), level.gaps[~own], level.gaps[~own] == 0)
        ends[:, :, own] = np.array(fitted.bounds(found.of(own)))
    return [(low, high) for low, high in ends]


def _errors(predicted: np.ndarray, actual: np.ndarray, rows: np.ndarray) -> dict[str, float]:
    median = float(np.median(np.abs(predicted - actual)[rows])) if rows.any() else float("nan")
    return {**metrics.scores(actual[rows], predicted[rows]), "median": median}


def _intervals(found: Distribution, bounds: Bounds, level: MeasuredLevel, rows: np.ndarray) -> dict[str, float]:
    held = [(low <= level.gaps) & (level.gaps <= high) for low, high in bounds]
    shares = {
        f"within_{share:.0%}".rstrip("%"): coverage(each[rows], level.composition[rows])
        for share, each in zip(SHARES, held, strict=True)
    }
    low, high = bounds[0]
    return {
        **shares,
        "width_68": float(np.median((high - low)[rows])),
        "crps": float(crps(found, level.gaps)[rows].mean()),
    }


def crps(found: Distribution, actual: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of each prediction, eV, shape (rows,).

    Twice the mean quantile loss (Gneiting & Raftery, J. Am. Stat. Assoc. 102, 359, eq. 21 and sect. 4.2).
    """
    beyond = actual[:, None] - found.values
    return 2 * np.maximum(LEVELS * beyond, (LEVELS - 1) * beyond).mean(axis=1)
