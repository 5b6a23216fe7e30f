"""Figures of the composition model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bandgaps import formulas
from bandgaps.intervals import SHARES, Distribution, Intervals
from bandgaps.metrics import coverage, normal_coverage
from bandgaps.plotting import (
    CALCULATED,
    MEASURED,
    PREDICTED,
    REFERENCE,
    SECOND,
    SQUARE,
    TALL,
    WIDE,
    Measured,
    alloy_axes,
    diagonal,
    figure,
    measured_curve,
)

BINS = 25  # of equally many compositions, in which the typical interval is drawn


def calibration(path: Path | str, actual: np.ndarray, predicted: np.ndarray, std: np.ndarray, label: str) -> None:
    """Share of test rows within k σ of the prediction, against that of a normal distribution."""
    k = np.linspace(0, 3, 61)
    table = pd.DataFrame({"k": k, "share": coverage(actual, predicted, std, k), "share_normal": normal_coverage(k)})
    with figure(path, WIDE, table) as axes:
        axes.plot(k, table["share_normal"], color=REFERENCE, label="normal distribution")
        axes.plot(k, table["share"], color=PREDICTED, label=f"{len(actual)} test rows")
        axes.set(xlabel="k (standard deviations)", ylabel="share of rows within k σ", xlim=(0, 3), ylim=(0, 1.01))
        axes.set_title(f"Does σ hold what a normal distribution would?\n{label}")


def measured_gaps(folder: Path, found: Distribution, intervals: Intervals, actual: np.ndarray) -> None:
    """The four figures of a model of measured gaps, composition-experiment-*.pdf.

    Args:
        folder: of the figures.
        found: what trees say of compositions that they were not grown on.
        intervals: of the model.
        actual: the measured gaps of these, eV.
    """
    metal = actual <= 0
    stem = "composition-experiment"
    parity_with_intervals(folder / f"{stem}-parity.pdf", found, intervals, actual)
    interval_coverage(folder / f"{stem}-coverage.pdf", found, intervals, actual, metal)
    probability = intervals.metal_probability(found)
    reliability(folder / f"{stem}-reliability.pdf", probability, metal)
    roc(folder / f"{stem}-roc.pdf", probability, metal)


def parity_with_intervals(path: Path, found: Distribution, intervals: Intervals, actual: np.ndarray) -> None:
    """Measured against expected gap, with the typical interval of 68 % (eV)."""
    low, high = intervals.bounds(found)[0]
    table = pd.DataFrame({"band_gap": actual, "band_gap_predicted": found.median, "low_68": low, "high_68": high})
    order = np.argsort(found.median, kind="stable")
    bins = [rows for rows in np.array_split(order, BINS) if len(rows)]
    x, lower, upper = ([np.median(each[rows]) for rows in bins] for each in (found.median, low, high))
    with figure(path, SQUARE, table) as axes:
        limit = 1.05 * max(actual.max(initial=0.1), found.median.max(initial=0.1))
        axes.fill_between(x, lower, upper, color=PREDICTED, alpha=0.25, lw=0, label="interval of 68 %, typical")
        diagonal(axes, limit, "expected = measured")
        label = f"{len(actual):,} measured gaps"
        axes.scatter(found.median, actual, s=2, color=MEASURED, alpha=0.4, lw=0, label=label, rasterized=True)
        axes.set(xlabel="expected band gap (eV)", ylabel="measured band gap (eV)")
        axes.set_title("How near is the measured gap to the expected one?")


def interval_coverage(
    path: Path, found: Distribution, intervals: Intervals, actual: np.ndarray, metal: np.ndarray
) -> None:
    """The share of measured gaps that intervals hold, metals and non-metals apart, against what they should hold."""
    held = [(low <= actual) & (actual <= high) for low, high in intervals.bounds(found)]
    table = pd.DataFrame(
        {
            "nominal": SHARES,
            "non_metals": [each[~metal].mean() if (~metal).any() else np.nan for each in held],
            "metals": [each[metal].mean() if metal.any() else np.nan for each in held],
        }
    )
    with figure(path, SQUARE, table) as axes:
        axes.plot([0, 1], [0, 1], color=REFERENCE, linewidth=1, label="ideal")
        axes.plot(table["nominal"], table["non_metals"], "o", color=PREDICTED, markersize=5, label="non-metals")
        axes.plot(table["nominal"], table["metals"], "s", color=SECOND, markersize=5, label="metals (gap 0)")
        axes.set(xlabel="nominal share of an interval", ylabel="share of measured gaps in it")
        axes.set(xlim=(0.5, 1.01), ylim=(0.5, 1.01), aspect="equal")
        axes.set_title("Do intervals hold what they promise?")


def reliability(path: Path, probability: np.ndarray, metal: np.ndarray) -> None:
    """The share of metals among compositions of about equal predicted probability of a metal."""
    edges = np.linspace(0, 1, 11)
    bins = np.clip(np.digitize(probability, edges) - 1, 0, 9)
    filled = np.array([number for number in range(10) if (bins == number).any()])
    table = pd.DataFrame(
        {
            "probability": [probability[bins == number].mean() for number in filled],
            "share_metals": [metal[bins == number].mean() for number in filled],
            "gaps": [int((bins == number).sum()) for number in filled],
        }
    )
    with figure(path, SQUARE, table) as axes:
        axes.plot([0, 1], [0, 1], color=REFERENCE, linewidth=1, label="ideal")
        axes.plot(table["probability"], table["share_metals"], "o-", color=PREDICTED, label="ten bins of it")
        axes.set(xlabel="predicted probability of a metal", ylabel="share of metals")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axes.set_title("Is the probability of a metal right?")


def roc(path: Path, probability: np.ndarray, metal: np.ndarray) -> None:
    """Metals found against non-metals taken for metals, as the threshold on the probability falls."""
    from sklearn.metrics import roc_auc_score, roc_curve

    if metal.all() or not metal.any():
        return
    wrong, right, _ = roc_curve(metal, probability)
    with figure(path, SQUARE, pd.DataFrame({"false_metals": wrong, "true_metals": right})) as axes:
        axes.plot([0, 1], [0, 1], color=REFERENCE, linewidth=1, label="guessing")
        axes.plot(wrong, right, color=PREDICTED, label=f"area {roc_auc_score(metal, probability):.3f}")
        axes.set(xlabel="share of non-metals taken for metals", ylabel="share of metals found")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axes.set_title("Are metals told from non-metals?")


def importances(path: Path | str, table: pd.DataFrame, label: str) -> None:
    """Features whose shuffling costs most.

    Args:
        path: the PDF.
        table: columns `feature`, `mae_increase` and `mae_increase_std` (eV), the costliest first.
        label: what the model is.
    """
    with figure(path, WIDE, table) as axes:
        rows = np.arange(len(table))
        axes.barh(
            rows, table["mae_increase"], xerr=table["mae_increase_std"], color=PREDICTED, ecolor=REFERENCE, height=0.7
        )
        axes.set_yticks(rows, [name.removeprefix("MagpieData ") for name in table["feature"]])
        axes.invert_yaxis()
        axes.set_xlabel("rise of the MAE when shuffled (eV)", loc="right")
        axes.set_title(f"Which features matter most?\n{label}", loc="right")


def composition_sweep(
    path: Path | str,
    sweep: pd.DataFrame,
    known: pd.DataFrame,
    system: formulas.System,
    measured: Measured | None,
    title: str,
) -> None:
    """Gap predicted over the whole range of an alloy by a model that sees compositions.

    Args:
        path: the PDF.
        sweep: columns `x_B`, `band_gap` and `band_gap_std` (eV); where there are, `band_gap_experiment` and
            `band_gap_experiment_std` of a model that learnt measured gaps; further ones go to the CSV only.
        known: the system's rows of the training table, columns `x_B` and `band_gap` (eV).
        system: formulas of the ends (A, B); x is the fraction of B.
        measured: the measured curve, None where there is none.
        title: what the figure asks, and of which model.
    """
    column_of_x = formulas.fraction_column(system)
    curves = [("band_gap", PREDICTED, "-", "predicted ± σ")]
    if "band_gap_experiment" in sweep:
        curves = [
            ("band_gap_experiment", PREDICTED, "-", "predicted measured gap ± σ"),
            ("band_gap", SECOND, "-.", "predicted PBE gap ± σ"),
        ]
    note = "σ is wide: it is the spread of training gaps in a leaf"
    with figure(path, TALL, sweep, note) as axes:
        for column, color, line, label in curves:
            x, gap, std = sweep[column_of_x], sweep[column], sweep[f"{column}_std"]
            axes.fill_between(x, np.maximum(gap - std, 0), gap + std, color=color, alpha=0.25, lw=0, label=label)
            axes.plot(x, gap, line, color=color, label=label)
        measured_curve(axes, measured)
        if len(known):
            x, label = known[column_of_x], "rows the model was trained on"
            axes.scatter(x, known["band_gap"], s=12, color=CALCULATED, zorder=5, label=label, clip_on=False)
        alloy_axes(axes, system, title)
