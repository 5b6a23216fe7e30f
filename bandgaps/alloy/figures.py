"""Figures of an alloy seen by a structure model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from bandgaps import formulas
from bandgaps.plotting import (
    CALCULATED,
    MEASURED,
    PREDICTED,
    SECOND,
    TALL,
    Measured,
    alloy_axes,
    figure,
    measured_curve,
)

CURVES = {"shared-site": "shared sites", "orderings": "mean over orderings"}
"""What figures call the two representations that give a curve."""


def orderings(
    path: Path | str,
    points: pd.DataFrame,
    means: pd.DataFrame,
    system: formulas.System,
    measured: Measured | None,
    title: str,
) -> None:
    """Gap of every ordered superstructure of an alloy, and their mean at each composition.

    Args:
        path: the PDF; the points go to its CSV.
        points: columns `x_B`, `n_atoms`, `multiplicity`, `band_gap` and `band_gap_std` (eV), one row an ordering.
        means: columns `x_B`, `band_gap` and `band_gap_spread` (eV), one row a composition.
        system: formulas of the ends (A, B); x is the fraction of B.
        measured: the measured curve, None where there is none.
        title: what the figure asks, and of which model.
    """
    column = formulas.fraction_column(system)
    x = means[column]
    with figure(path, TALL, points) as axes:
        _scatter_orderings(axes, points, column)
        low, high = means["band_gap"] - means["band_gap_spread"], means["band_gap"] + means["band_gap_spread"]
        label = "their mean ± spread"
        axes.fill_between(x, low, high, color=PREDICTED, alpha=0.2, linewidth=0, label=label)
        axes.plot(x, means["band_gap"], color=PREDICTED, marker="o", markersize=2.5, label=label)
        measured_curve(axes, measured)
        alloy_axes(axes, system, title)


def disorder(
    path: Path | str,
    points: pd.DataFrame,
    curve: pd.DataFrame,
    representation: str,
    cells: pd.DataFrame,
    system: formulas.System,
    measured: Measured | None,
    wide: float,
    title: str,
    computed: pd.DataFrame | None = None,
) -> None:
    """Gap of an alloy: the model's curve with its intervals, and beside it the other representations of disorder.

    Args:
        path: the PDF; the orderings go to its CSV.
        points: of the orderings, columns `x_B` and `band_gap` (eV).
        curve: the model's, columns `x_B`, `band_gap` and `band_gap_std` (eV).
        representation: of disorder, one of `CURVES`, that the curve is computed in.
        cells: of the quasirandom structures, columns `x_B` and `band_gap` (eV).
        system: formulas of the ends (A, B); x is the fraction of B.
        measured: the measured curve, None where there is none.
        wide: how many sigma to each side make an interval of 95 %.
        title: what the figure asks, and of which model.
        computed: gaps of orderings from first principles, columns `x_B`, `band_gap` (eV) and `level`, their name.
    """
    x = formulas.fraction_column(system)
    with figure(path, TALL, points) as axes:
        _band(axes, curve[x], curve["band_gap"], curve["band_gap_std"], wide, CURVES[representation])
        _scatter_orderings(axes, points, x)
        mixed = cells[(cells[x] > 0) & (cells[x] < 1)]
        style: dict[str, Any] = {"markersize": 4, "markerfacecolor": "white", "linestyle": "", "color": PREDICTED}
        axes.plot(mixed[x], mixed["band_gap"], "D", zorder=4, label="predicted (quasirandom structures)", **style)
        for level, rows in () if computed is None else computed.groupby("level"):
            style = {"s": 9, "marker": "x", "color": CALCULATED, "linewidth": 0.7, "zorder": 5}
            axes.scatter(rows[x], rows["band_gap"], label=level, **style)
        measured_curve(axes, measured)
        alloy_axes(axes, system, title)


def _scatter_orderings(axes: Axes, points: pd.DataFrame, x: str) -> None:
    label = f"predicted ({len(points)} orderings)"
    axes.scatter(points[x], points["band_gap"], s=4, color=SECOND, linewidths=0, zorder=3, label=label)


def _band(axes: Axes, x: pd.Series, gap: pd.Series, std: pd.Series, wide: float, label: str) -> None:
    """A curve, and as far as its uncertainty is known, the intervals that hold 68 and 95 %."""
    known = bool(std.notna().all())
    label = f"predicted ({label}), 68 and 95 % intervals" if known else f"predicted ({label})"
    for reach, shade in ((wide * std, 0.12), (std, 0.2)) if known else ():
        low = (gap - reach).clip(lower=0)
        axes.fill_between(x, low, gap + reach, color=PREDICTED, alpha=shade, lw=0, label=label)
    axes.plot(x, gap, color=PREDICTED, label=label)


def anchored(
    path: Path | str, curve: pd.DataFrame, system: formulas.System, measured: Measured | None, title: str
) -> None:
    """Curves of an alloy that were shifted so that their ends are the measured ones.

    Args:
        path: the PDF.
        curve: from `scores.anchored_curve`.
        system: formulas of the ends (A, B); x is the fraction of B.
        measured: the measured curve, None where there is none.
        title: what the figure asks, and of which model.
    """
    x = curve[formulas.fraction_column(system)]
    with figure(path, TALL, curve) as axes:
        axes.plot(x, curve["band_gap_orderings_anchored"], "-.", color=SECOND, label="mean over orderings, anchored")
        axes.plot(x, curve["band_gap_shared_site_anchored"], color=PREDICTED, label="shared sites, anchored")
        measured_curve(axes, measured)
        ends = curve["band_gap_measured"].iloc[[0, -1]]
        label = "anchors: the measured ends"
        axes.scatter([0, 1], ends, s=12, color=MEASURED, zorder=7, clip_on=False, label=label)
        alloy_axes(axes, system, title)
