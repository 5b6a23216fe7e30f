"""Figures of an alloy seen by a structure model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from bandgaps import formulas
from bandgaps.plotting import BLUE, GREEN, GREY, RED, TALL, WIDE, Measured, alloy_axes, figure, measured_curve


def orderings(
    path: Path | str,
    points: pd.DataFrame,
    means: pd.DataFrame,
    system: formulas.System,
    measured: Measured | None,
    label: str,
) -> None:
    """Gap of every ordered superstructure of an alloy, and their mean at each composition.

    Args:
        path: the PDF; the points go to its CSV.
        points: columns `x_B`, `n_atoms`, `multiplicity`, `band_gap` and `band_gap_std` (eV), one row an ordering.
        means: columns `x_B`, `band_gap` and `band_gap_spread` (eV), one row a composition.
        system: formulas of the ends (A, B); x is the fraction of B.
        measured: the measured curve, None where there is none.
        label: what the model is.
    """
    column = formulas.fraction_column(system)
    x = means[column]
    with figure(path, WIDE, points) as axes:
        _scatter_orderings(axes, points, column, f"{len(points)} orderings")
        low, high = means["band_gap"] - means["band_gap_spread"], means["band_gap"] + means["band_gap_spread"]
        axes.fill_between(x, low, high, color=BLUE, alpha=0.2, linewidth=0, label="± spread over orderings")
        axes.plot(x, means["band_gap"], color=BLUE, marker="o", markersize=3, label="mean over orderings")
        measured_curve(axes, measured)
        alloy_axes(axes, system, label)


def disorder(
    path: Path | str,
    points: pd.DataFrame,
    means: pd.DataFrame,
    curve: pd.DataFrame,
    cells: pd.DataFrame,
    system: formulas.System,
    measured: Measured | None,
    wide: float,
    label: str,
    computed: pd.DataFrame | None = None,
) -> None:
    """Gap of an alloy in every representation of its disorder, so that one sees whether they agree.

    Args:
        path: the PDF; the orderings go to its CSV.
        points: of the orderings, columns `x_B` and `band_gap` (eV).
        means: of the orderings, columns `x_B`, `band_gap` and `band_gap_std` (eV), one row a composition.
        curve: with both elements on every site, columns `x_B`, `band_gap_shared_site` and its `_std` (eV).
        cells: of the quasirandom structures, columns `x_B` and `band_gap` (eV).
        system: formulas of the ends (A, B); x is the fraction of B.
        measured: the measured curve, None where there is none.
        wide: how many sigma to each side make an interval of 95 %.
        label: what the model is.
        computed: gaps of orderings from first principles, columns `x_B`, `band_gap` (eV) and `level`, their name.
    """
    x = formulas.fraction_column(system)
    with figure(path, TALL, points) as axes:
        _scatter_orderings(axes, points, x, f"{len(points)} orderings, as predicted")
        gap, std = means["band_gap"], means["band_gap_std"]
        _band(axes, means[x], gap, std, wide, BLUE, "mean over orderings", marker="o", markersize=3)
        mixed = cells[(cells[x] > 0) & (cells[x] < 1)]
        style: dict[str, Any] = {
            "marker": "D",
            "markersize": 6,
            "markerfacecolor": "white",
            "markeredgecolor": BLUE,
            "linestyle": "",
        }
        axes.plot(mixed[x], mixed["band_gap"], zorder=4, label="quasirandom structures", **style)
        gap, std = curve["band_gap_shared_site"], curve["band_gap_shared_site_std"]
        _band(axes, curve[x], gap, std, wide, GREEN, "site shared by both elements")
        for level, rows in () if computed is None else computed.groupby("level"):
            axes.scatter(
                rows[x], rows["band_gap"], s=20, marker="x", color="black", linewidth=0.9, zorder=5, label=level
            )
        measured_curve(axes, measured)
        alloy_axes(axes, system, label, below=True)


def _scatter_orderings(axes: Axes, points: pd.DataFrame, x: str, label: str) -> None:
    axes.scatter(points[x], points["band_gap"], s=7, color=GREY, alpha=0.45, linewidths=0, label=label)


def _band(
    axes: Axes, x: pd.Series, gap: pd.Series, std: pd.Series, wide: float, color: str, label: str, **style: Any
) -> None:
    """A curve, and as far as its uncertainty is known, the intervals that hold 68 and 95 %."""
    axes.plot(x, gap, color=color, label=label, **style)
    if std.notna().all():
        for reach, shade in ((wide * std, 0.08), (std, 0.16)):
            own = "its 68 and 95 % intervals" if reach is std else None
            axes.fill_between(x, (gap - reach).clip(lower=0), gap + reach, color=color, alpha=shade, lw=0, label=own)
        for edge in ((gap - wide * std).clip(lower=0), gap + wide * std):
            axes.plot(x, edge, color=color, linewidth=0.7, linestyle=":")


def anchored(
    path: Path | str, curve: pd.DataFrame, system: formulas.System, measured: Measured | None, label: str
) -> None:
    """Curves of an alloy that were shifted so that their ends are the measured ones.

    Args:
        path: the PDF.
        curve: from `scores.anchored_curve`.
        system: formulas of the ends (A, B); x is the fraction of B.
        measured: the measured curve, None where there is none.
        label: what the model is.
    """
    x = curve[formulas.fraction_column(system)]
    with figure(path, WIDE, curve) as axes:
        axes.plot(x, curve["band_gap_orderings_anchored"], color=BLUE, label="mean over orderings, anchored")
        axes.plot(x, curve["band_gap_shared_site_anchored"], color=GREEN, label="shared site, anchored")
        measured_curve(axes, measured)
        ends = curve["band_gap_measured"].iloc[[0, -1]]
        axes.scatter([0, 1], ends, color=RED, zorder=3, clip_on=False, label="anchors: the measured ends")
        alloy_axes(axes, system, label)
