"""How good predictions are: MAE, RMSE, R², calibration, and the table that is printed."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

Scores = dict[str, float]


def scores(actual: np.ndarray, predicted: np.ndarray) -> Scores:
    """Mean absolute error, root mean squared error (both in the target's unit, eV), R² and number of rows.

    They are NaN where there is no row or a number is not finite; R² is NaN, too, where all rows are equal.

    Args:
        actual: shape (rows,).
        predicted: shape (rows,).
    """
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    actual, predicted = np.asarray(actual, dtype=float), np.asarray(predicted, dtype=float)
    if not actual.size or not np.isfinite([actual, predicted]).all():
        return {"mae": math.nan, "rmse": math.nan, "r2": math.nan, "n": actual.size}
    return {
        "mae": float(mean_absolute_error(actual, predicted)),
        "rmse": float(root_mean_squared_error(actual, predicted)),
        "r2": float(r2_score(actual, predicted)) if np.ptp(actual) > 0 else math.nan,
        "n": actual.size,
    }


def coverage(actual: np.ndarray, predicted: np.ndarray, std: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Share of rows whose actual value lies within k standard deviations of the prediction, for each k; shape of k."""
    distance = np.abs(np.asarray(actual) - np.asarray(predicted))
    return np.mean(distance[:, None] <= np.asarray(std)[:, None] * np.asarray(k)[None, :], axis=0)


def normal_coverage(k: np.ndarray) -> np.ndarray:
    """The share within k standard deviations of a normal distribution, erf(k / √2)."""
    from scipy.special import erf

    return erf(np.asarray(k) / np.sqrt(2))


def format_table(columns: Mapping[str, Scores], unit: str = "eV") -> str:
    """The scores as a table in Markdown, one column a model, one row a metric."""
    rows = [("MAE", "mae", unit), ("RMSE", "rmse", unit), ("R2", "r2", ""), ("rows", "n", "")]
    width = max(12, *(len(name) for name in columns))
    lines = ["| " + " | ".join(["metric".ljust(10), *(name.rjust(width) for name in columns)]) + " |"]
    lines.append("|" + "-" * 12 + "|" + "|".join("-" * (width + 1) + ":" for _ in columns) + "|")
    for label, key, row_unit in rows:
        heading = f"{label} ({row_unit})" if row_unit else label
        cells = (str(column[key]) if key == "n" else f"{column[key]:.4f}" for column in columns.values())
        lines.append("| " + " | ".join([heading.ljust(10), *(cell.rjust(width) for cell in cells)]) + " |")
    return "\n".join(lines)
