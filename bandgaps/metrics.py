"""How good predictions are: MAE, RMSE, R², calibration, and the table that is printed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Scores = dict[str, float]


def scores(actual: np.ndarray, predicted: np.ndarray) -> Scores:
    """Mean absolute error, root mean squared error (both in the target's unit, eV), R² and number of rows.

    R² is NaN where it is not defined: fewer than two rows, or rows that are all equal.
    """
    actual, predicted = np.asarray(actual, dtype=float), np.asarray(predicted, dtype=float)
    error = predicted - actual
    spread = np.sum((actual - actual.mean()) ** 2) if actual.size > 1 else 0.0
    return {
        "mae": float(np.mean(np.abs(error))) if actual.size else float("nan"),
        "rmse": float(np.sqrt(np.mean(error**2))) if actual.size else float("nan"),
        "r2": float(1 - np.sum(error**2) / spread) if spread > 0 else float("nan"),
        "n": int(actual.size),
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
