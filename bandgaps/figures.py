"""The figures: one style, one function a figure.

Every function writes three files that share a stem: the PDF, a PNG of it for pages, and a CSV with the numbers drawn.
Colours are those of Okabe and Ito, which people who do not tell red from green can tell apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bandgaps import experiment
from bandgaps.files import replacing
from bandgaps.metrics import coverage, normal_coverage, scores

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F"
STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelsize": 11,
    "axes.titlesize": 11,
    "font.size": 10,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
    "pdf.fonttype": 42,  # text stays text
}
WIDE = (6.4, 4.2)  # inches
TALL = (6.4, 5.0)
SQUARE = (5.0, 5.0)


# ------------------------------------------------------------------------------------------------------ how good it is


def parity(path: Path | str, actual: np.ndarray, predicted: np.ndarray, std: np.ndarray | None, label: str) -> None:
    """Predicted against actual band gap of the test rows, with error bars where a standard deviation is known (eV)."""
    table = pd.DataFrame({"band_gap": actual, "band_gap_predicted": predicted})
    if std is not None and np.isfinite(std).any():
        table["band_gap_std"] = std
    with _figure(path, SQUARE, table) as axes:
        limit = 1.05 * max(np.max(actual, initial=0.1), np.max(predicted, initial=0.1))
        axes.plot([0, limit], [0, limit], color=GREY, linewidth=1, label="predicted = actual")
        if "band_gap_std" in table:
            axes.errorbar(actual, predicted, std, fmt="none", ecolor=BLUE, elinewidth=0.5, alpha=0.25, label="± σ")
        size = 14 if len(table) < 500 else 4
        axes.scatter(actual, predicted, s=size, color=BLUE, alpha=0.6, linewidths=0, label=f"{len(table)} test rows")
        axes.set(xlim=(-0.02 * limit, limit), ylim=(-0.02 * limit, limit), aspect="equal")
        axes.set(xlabel="band gap in the table (eV)", ylabel="predicted band gap (eV)")
        axes.set_title(f"{label}: MAE {scores(actual, predicted)['mae']:.2f} eV")
        axes.legend(loc="upper left")


def calibration(path: Path | str, actual: np.ndarray, predicted: np.ndarray, std: np.ndarray, label: str) -> None:
    """Share of test rows within k σ of the prediction, against that of a normal distribution."""
    k = np.linspace(0, 3, 61)
    table = pd.DataFrame({"k": k, "share": coverage(actual, predicted, std, k), "share_normal": normal_coverage(k)})
    with _figure(path, WIDE, table) as axes:
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
    with _figure(path, WIDE, table) as axes:
        rows = np.arange(len(table))
        axes.barh(rows, table["mae_increase"], xerr=table["mae_increase_std"], color=BLUE, ecolor=GREY, height=0.7)
        axes.set_yticks(rows, [name.removeprefix("MagpieData ") for name in table["feature"]])
        axes.invert_yaxis()
        axes.set(xlabel="increase of MAE when the feature is shuffled (eV)")
        axes.set_title(f"{label}: permutation importance")


def learning_curve(path: Path | str, history: pd.DataFrame) -> None:
    """Error on training and validation rows after each epoch.

    Args:
        path: the PDF.
        history: columns `epoch`, `member`, `train_mae` and `validation_mae` (eV).
    """
    with _figure(path, WIDE, history) as axes:
        for member, rows in history.groupby("member"):
            first = bool(member == history["member"].min())
            axes.plot(rows["epoch"], rows["train_mae"], color=BLUE, alpha=0.7, label="training" if first else None)
            label = "validation" if first else None
            axes.plot(rows["epoch"], rows["validation_mae"], color=RED, alpha=0.7, label=label)
        axes.set(xlabel="epoch", ylabel="mean absolute error (eV)", ylim=(0, None))
        axes.set_title(f"MEGNet, {history['member'].nunique()} member(s)")
        axes.legend(loc="upper right")


# --------------------------------------------------------------------------------------------------- gaps of the alloy


def composition_sweep(
    path: Path | str, sweep: pd.DataFrame, known: pd.DataFrame, system: experiment.System, label: str
) -> None:
    """Gap predicted over the whole range of an alloy by a model that sees compositions.

    Args:
        path: the PDF.
        sweep: columns `x_B`, `band_gap` and `band_gap_std` (eV); where there are, `band_gap_experiment` and
            `band_gap_experiment_std` of a model that learnt measured gaps; further ones go to the CSV only.
        known: the system's rows of the training table, columns `x_B` and `band_gap` (eV).
        system: the two elements (A, B); x is the fraction of B.
        label: what the model is.
    """
    a, b = system
    curves = [("band_gap", BLUE, "predicted")]
    if "band_gap_experiment" in sweep:
        calculated, measured = "from calculated gaps", "from measured gaps (experiment)"
        curves = [("band_gap", BLUE, calculated), ("band_gap_experiment", GREEN, measured)]
    with _figure(path, WIDE, sweep) as axes:
        for column, color, name in curves:
            x, gap, std = sweep[f"x_{b}"], sweep[column], sweep[f"{column}_std"]
            axes.fill_between(x, np.maximum(gap - std, 0), gap + std, color=color, alpha=0.2, linewidth=0, label="± σ")
            axes.plot(x, gap, color=color, label=name)
        _measured(axes, system)
        if len(known):
            label_known = "rows the model was trained on"
            axes.scatter(known[f"x_{b}"], known["band_gap"], color=ORANGE, zorder=3, label=label_known, clip_on=False)
        _alloy_axes(axes, a, b, label)


def orderings(
    path: Path | str, points: pd.DataFrame, means: pd.DataFrame, system: experiment.System, label: str
) -> None:
    """Gap of every ordered superstructure of an alloy, and their mean at each composition.

    Args:
        path: the PDF; the points go to its CSV.
        points: columns `x_B`, `n_atoms`, `multiplicity`, `band_gap` and `band_gap_std` (eV), one row an ordering.
        means: columns `x_B`, `band_gap` and `band_gap_spread` (eV), one row a composition.
        system: the two elements (A, B); x is the fraction of B.
        label: what the model is.
    """
    a, b = system
    x = means[f"x_{b}"]
    with _figure(path, WIDE, points) as axes:
        _scatter_orderings(axes, points, f"x_{b}")
        low, high = means["band_gap"] - means["band_gap_spread"], means["band_gap"] + means["band_gap_spread"]
        axes.fill_between(x, low, high, color=BLUE, alpha=0.2, linewidth=0, label="± spread over orderings")
        axes.plot(x, means["band_gap"], color=BLUE, marker="o", markersize=3, label="mean over orderings")
        _measured(axes, system)
        _alloy_axes(axes, a, b, label)


def disorder(
    path: Path | str,
    points: pd.DataFrame,
    means: pd.DataFrame,
    curve: pd.DataFrame,
    cells: pd.DataFrame,
    system: experiment.System,
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
        system: the two elements (A, B); x is the fraction of B.
        wide: how many sigma to each side make an interval of 95 %.
        label: what the model is.
        computed: gaps of orderings from first principles, columns `x_B`, `band_gap` (eV) and `level`, their name.
    """
    a, b = system
    x = f"x_{b}"
    with _figure(path, TALL, points) as axes:
        _scatter_orderings(axes, points, x)
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
        _measured(axes, system)
        _alloy_axes(axes, a, b, label, below=True)


def _scatter_orderings(axes: Axes, points: pd.DataFrame, x: str) -> None:
    count = f"{len(points)} orderings"
    axes.scatter(points[x], points["band_gap"], s=7, color=GREY, alpha=0.45, linewidths=0, label=count)


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


def anchored(path: Path | str, curve: pd.DataFrame, system: experiment.System, label: str) -> None:
    """Curves of an alloy that were shifted so that their ends are the measured ones.

    Args:
        path: the PDF.
        curve: from `disorder.anchored_curve`.
        system: the two elements (A, B); x is the fraction of B.
        label: what the model is.
    """
    a, b = system
    x = curve[f"x_{b}"]
    with _figure(path, WIDE, curve) as axes:
        axes.plot(x, curve["band_gap_orderings_anchored"], color=BLUE, label="mean over orderings, anchored")
        axes.plot(x, curve["band_gap_shared_site_anchored"], color=GREEN, label="shared site, anchored")
        _measured(axes, system)
        ends = curve["band_gap_measured"].iloc[[0, -1]]
        axes.scatter([0, 1], ends, color=RED, zorder=3, clip_on=False, label="anchors: the measured ends")
        _alloy_axes(axes, a, b, label)


def _measured(axes: Axes, system: experiment.System) -> None:
    citation = experiment.gap_citation(system)
    if citation:
        x = np.linspace(0, 1, 201)
        axes.plot(x, experiment.gap(system, x), color=RED, linestyle="--", label=f"measured ({citation})")


def _alloy_axes(axes: Axes, a: str, b: str, label: str, below: bool = False) -> None:
    """Labels, limits and the legend, which is above the curves or `below` the axes."""
    axes.set(xlabel=f"x in {a}$_{{1-x}}${b}$_x$", ylabel="band gap (eV)", xlim=(0, 1))
    bottom, top = axes.get_ylim()
    axes.set_ylim(min(0.0, bottom), top if below else 1.35 * top)
    axes.set_title(label)
    place: dict[str, Any] = {"bbox_to_anchor": (0.5, -0.13)} if below else {}
    axes.legend(loc="upper center", ncols=2, **place)


# -------------------------------------------------------------------------------------------------------------- output


@contextmanager
def _figure(path: Path | str, size: tuple[float, float], table: pd.DataFrame) -> Iterator[Axes]:
    """Axes to draw on; afterwards the PDF at `path`, its PNG, and `table` as CSV are written."""
    path = Path(path).with_suffix(".pdf")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        yield figure.add_subplot()
        with replacing(path) as temporary:
            figure.savefig(temporary, metadata={"CreationDate": None})  # equal figures, equal bytes
        with replacing(path.with_suffix(".png")) as temporary:
            figure.savefig(temporary, dpi=150)
    with replacing(path.with_suffix(".csv")) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
