"""How a curve over the composition of an alloy compares with the measured one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bandgaps.alloy.representations import REPRESENTATIONS

FRACTIONS = np.arange(101) / 100
REPORTED = (0, 0.25, 0.5, 0.51, 0.75, 1)  # compositions named in the metrics
SAME = 1e-6  # eV; gaps that differ by less are equal


def anchored(x: np.ndarray, gap: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """A curve from x = 0 to 1, shifted by what is linear in x such that it starts and stops at `ends` (eV)."""
    return gap + (1 - x) * (ends[0] - gap[0]) + x * (ends[1] - gap[-1])


def bowing(x: np.ndarray, gap: np.ndarray) -> float:
    """The b for which the straight line between the ends less b x (1 - x) comes nearest to the gap, eV.

    Args:
        x: from 0 to 1, shape (n,).
        gap: eV, shape (n,).
    """
    parabola = x * (1 - x)
    line = (1 - x) * gap[0] + x * gap[-1]
    return float(((line - gap) * parabola).sum() / (parabola**2).sum())


def anchored_curve(curve: pd.DataFrame) -> pd.DataFrame:
    """The curve of `PredictedAlloy.curve` in both representations, its ends the measured ones.

    Returns:
        Columns x_B, band_gap_anchored, band_gap_measured and band_gap_…_anchored of each representation, eV. There is
        no sigma: that of the model is not that of a curve which has been told its ends.
    """
    x, measured = curve.iloc[:, 0].to_numpy(), curve["band_gap_measured"].to_numpy()
    shifted = {
        f"{name}_anchored": anchored(x, curve[name].to_numpy(), (measured[0], measured[-1]))
        for name in ("band_gap", *REPRESENTATIONS.values())
    }
    first = {curve.columns[0]: x, "band_gap_anchored": shifted.pop("band_gap_anchored"), "band_gap_measured": measured}
    return pd.DataFrame({**first, **shifted})


def results(curve: pd.DataFrame, wide: float) -> dict[str, Any]:
    """The `scores` of `PredictedAlloy.curve` in each representation, under `curves`, and what to hold them against.

    None where nothing was measured, else under `measured` the gaps at `REPORTED`, and under `straight-line` what the
    line between the measured ends reaches without any model: the gap at x = 0.51 and the mean absolute deviation, eV.
    """
    measured = curve["band_gap_measured"].to_numpy()
    curves = {
        name: scores(curve[column].to_numpy(), curve[f"{column}_std"].to_numpy(), measured, wide)
        for name, column in REPRESENTATIONS.items()
    }
    line = scores(np.zeros(len(FRACTIONS)), np.zeros(len(FRACTIONS)), measured, wide)["anchored"]
    known = None if line is None else {f"{x:g}": float(measured[round(100 * x)]) for x in REPORTED}
    return {"curves": curves, "measured": known, "straight-line": line}


def mean_scores(means: pd.DataFrame) -> dict[str, float | None]:
    """Deviation of `PredictedAlloy.means` from the measured curve, weighted and plain, and three of them, eV."""
    off = {name: (means[name] - means["band_gap_measured"]).abs().mean() for name in ("band_gap", "band_gap_plain")}
    values = {
        "mean_absolute_deviation": off["band_gap"],
        "mean_absolute_deviation_plain": off["band_gap_plain"],
        **dict(zip(("first", "middle", "last"), means["band_gap"].iloc[[0, len(means) // 2, -1]], strict=True)),
    }
    return {name: None if np.isnan(value) else float(value) for name, value in values.items()}


def scores(gap: np.ndarray, std: np.ndarray, measured: np.ndarray, wide: float) -> dict[str, Any]:
    """How a curve on `FRACTIONS` compares with the measured one.

    Args:
        gap: predicted, eV, shape (101,).
        std: sigma, eV, shape (101,).
        measured: eV, shape (101,); NaN where no measurement is known.
        wide: how many sigma to each side make the interval of 95 %.

    Returns:
        Gaps (eV) at `REPORTED`; `mean_absolute_deviation` (eV); whether every composition lies `between_ends`, the
        curve's own, and whether it is `monotone`; `share_inside_95`, the part of the measured curve inside the
        interval, and `outside_95`, the ranges of x where it is not; the same deviation of the curve once `anchored`.
        None where that is not known.
    """
    low, high = min(gap[0], gap[-1]) - SAME, max(gap[0], gap[-1]) + SAME
    steps = np.diff(gap)
    result: dict[str, Any] = {f"{x:g}": float(gap[round(100 * x)]) for x in REPORTED}
    result["between_ends"] = bool(((gap >= low) & (gap <= high)).all())
    result["monotone"] = bool((steps <= SAME).all() or (steps >= -SAME).all())
    inside = np.abs(gap - measured) <= wide * std
    unknown = bool(np.isnan(measured).any())
    result["share_inside_95"] = None if unknown or np.isnan(std).any() else float(inside.mean())
    result["outside_95"] = None if result["share_inside_95"] is None else _ranges(~inside)
    result["mean_absolute_deviation"] = None if unknown else float(np.abs(gap - measured).mean())
    fitted = anchored(FRACTIONS, gap, (measured[0], measured[-1]))
    result["anchored"] = (
        None
        if unknown
        else {
            "0.51": float(fitted[51]),
            "mean_absolute_deviation": float(np.abs(fitted - measured).mean()),
        }
    )
    return result


def _ranges(where: np.ndarray) -> list[list[float]]:
    """First and last of `FRACTIONS` of every stretch that is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(int)))
    return [[float(FRACTIONS[start]), float(FRACTIONS[stop - 1])] for start, stop in edges.reshape(-1, 2)]
