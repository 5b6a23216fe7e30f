"""Figures of the composition model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bandgaps import formulas
from bandgaps.metrics import coverage, normal_coverage
from bandgaps.plotting import BLUE, GREEN, GREY, ORANGE, WIDE, Measured, alloy_axes, figure, measured_curve


def calibration(path: Path | str, actual: np.ndarray, predicted: np.ndarray, std: np.ndarray, label: str) -> None:
    """Share of test rows within k σ of the prediction, against that of a normal distribution."""
    k = np.linspace(0, 3, 61)
    table = pd.DataFrame({"k": k, "share": coverage(actual, predicted, std, k), "share_normal": normal_coverage(k)})
    with figure(path, WIDE, table) as axes:
        axes.plot(k, table["share_normal"], color=GREY, label="normal distribution")
        axes.plot(k, table["share"], color=BLUE, label=f"{len(actual)} test rows")
        axes.set(xlabel="k (standard deviations)", ylabel="share of rows within k σ", xlim=(0, 3), ylim=(0, 1.01))
        axes.set_title(f"{label}: calibration of σ")
        axes.legend(loc="lower right")


def importances(path: Path | str, table: pd.DataFrame, label: str) -> None:
    """Features whose shuffling costs most.

    Args:
        path: the PDF.
        table: columns `feature`, `mae_increase` and `mae_increase_std` (eV), the costliest first.
        label: what the model is.
    """
    with figure(path, WIDE, table) as axes:
        rows = np.arange(len(table))
        axes.barh(rows, table["mae_increase"], xerr=table["mae_increase_std"], color=BLUE, ecolor=GREY, height=0.7)
        axes.set_yticks(rows, [name.removeprefix("MagpieData ") for name in table["feature"]])
        axes.invert_yaxis()
        axes.set(xlabel="increase of MAE when the feature is shuffled (eV)")
        axes.set_title(f"{label}: permutation importance")


def composition_sweep(
    path: Path | str,
    sweep: pd.DataFrame,
    known: pd.DataFrame,
    system: formulas.System,
    measured: Measured | None,
    label: str,
) -> None:
    """Gap predicted over the whole range of an alloy by a model that sees compositions.

    Args:
        path: the PDF.
        sweep: columns `x_B`, `band_gap` and `band_gap_std` (eV); where there are, `band_gap_experiment` and
            `band_gap_experiment_std` of a model that learnt measured gaps; further ones go to the CSV only.
        known: the system's rows of the training table, columns `x_B` and `band_gap` (eV).
        system: the two elements (A, B); x is the fraction of B.
        measured: the measured curve, None where there is none.
        label: what the model is.
    """
    a, b = system
    curves = [("band_gap", BLUE, "predicted")]
    if "band_gap_experiment" in sweep:
        both = "from calculated gaps", "from measured gaps (experiment)"
        curves = [("band_gap", BLUE, both[0]), ("band_gap_experiment", GREEN, both[1])]
    with figure(path, WIDE, sweep) as axes:
        for column, color, name in curves:
            x, gap, std = sweep[f"x_{b}"], sweep[column], sweep[f"{column}_std"]
            axes.fill_between(x, np.maximum(gap - std, 0), gap + std, color=color, alpha=0.2, linewidth=0, label="± σ")
            axes.plot(x, gap, color=color, label=name)
        measured_curve(axes, measured)
        if len(known):
            label_known = "rows the model was trained on"
            axes.scatter(known[f"x_{b}"], known["band_gap"], color=ORANGE, zorder=3, label=label_known, clip_on=False)
        alloy_axes(axes, a, b, label)
