"""The figures: one style, one function a figure.

Every function writes three files that share a stem: the PDF, a PNG of it for pages, and a CSV with the numbers drawn.
Figures have the width of a journal's column. Colours say where a gap comes from, the same in every figure; they are
those of Okabe and Ito, which people who do not tell red from green can tell apart. In print without colour, the kind of
line and marker tells them apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bandgaps.elements import SYMBOLS
from bandgaps.files import replacing
from bandgaps.formulas import System
from bandgaps.metrics import scores

MEASURED, CALCULATED, PREDICTED = "#000000", "#D55E00", "#0072B2"
SECOND = "#009E73"  # another prediction beside the first
REFERENCE = "#7F7F7F"  # where points would lie if all were well
STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "font.size": 7.5,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "legend.title_fontsize": 6.5,
    "lines.linewidth": 1.3,
    "pdf.fonttype": 42,  # text stays text
}
COLUMN = 3.35  # inches, 8.5 cm
WIDE, TALL, SQUARE = (COLUMN, 2.7), (COLUMN, 3.5), (COLUMN, 3.7)
RESOLUTION = 300  # dots an inch, of the PNG and of clouds of points
MANY = 500  # points, above which error bars hide them
LONG = 27  # characters; longer labels leave no room for a second column of the legend


def parity(path: Path | str, actual: np.ndarray, predicted: np.ndarray, std: np.ndarray | None, label: str) -> None:
    """Predicted against actual band gap of the test rows (eV); with ± σ where it is known and rows are few."""
    table = pd.DataFrame({"band_gap": actual, "band_gap_predicted": predicted})
    if std is not None and np.isfinite(std).any():
        table["band_gap_std"] = std
    few = len(table) <= MANY
    with figure(path, SQUARE, table) as axes:
        limit = 1.05 * max(np.max(actual, initial=0.1), np.max(predicted, initial=0.1))
        diagonal(axes, limit, "predicted = actual")
        points = f"{len(table):,} test rows"
        if "band_gap_std" in table and few:
            points += " ± σ"
            axes.errorbar(actual, predicted, std, fmt="none", ecolor=PREDICTED, elinewidth=0.5, alpha=0.4)
        size = 9 if few else 2
        axes.scatter(actual, predicted, s=size, color=PREDICTED, alpha=0.6, lw=0, label=points, rasterized=not few)
        axes.set(xlabel="band gap in the table (eV)", ylabel="predicted band gap (eV)")
        error = scores(actual, predicted)["mae"]
        axes.set_title(f"How near are predicted gaps to the table's?\n{label}: MAE {error:.2f} eV")


def diagonal(axes: Axes, limit: float, label: str) -> None:
    """Square axes from 0 to `limit` (eV) with the line on which two gaps are equal."""
    axes.plot([0, limit], [0, limit], color=REFERENCE, linewidth=0.8, label=label)
    axes.set(xlim=(-0.02 * limit, limit), ylim=(-0.02 * limit, limit), aspect="equal")


@dataclass(frozen=True)
class Measured:
    """A measured curve to draw beside predicted ones.

    Attributes:
        x: fraction of the second end, shape (n,).
        gap: eV, shape (n,).
        citation: who measured it.
        crossings: where another valley becomes the lowest: x, gap (eV), and the two, such as Γ-X. A line marks each x.
    """

    x: np.ndarray
    gap: np.ndarray
    citation: str
    crossings: tuple[tuple[float, float, str], ...] = ()


def measured_curve(axes: Axes, measured: Measured | None) -> None:
    """Draw a measured curve, where there is one."""
    if measured:
        label = f"measured ({measured.citation})"
        axes.plot(measured.x, measured.gap, color=MEASURED, linestyle="--", label=label, zorder=6)
    for x, _, valleys in measured.crossings if measured else ():
        axes.axvline(x, color=MEASURED, linewidth=0.5, linestyle=":")
        place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "xytext": (2, 2), "textcoords": "offset points"}
        axes.annotate(valleys.replace("-", "–"), (x, 0), color=MEASURED, fontsize=6.5, zorder=7, **place)


def alloy_axes(axes: Axes, system: System, title: str) -> None:
    """Labels, limits and title; x is the fraction of B in A-B."""
    subscripts = (re.sub(r"(\d+)", r"$_{\1}$", name) for name in system)
    a, b = (name if name in SYMBOLS else f"({name})" for name in subscripts)
    axes.set(xlabel=f"x in {a}$_{{1-x}}${b}$_x$", ylabel="band gap (eV)", xlim=(0, 1))
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), None)
    axes.set_title(title)


@contextmanager
def figure(path: Path | str, size: tuple[float, float], table: pd.DataFrame, note: str | None = None) -> Iterator[Axes]:
    """Axes to draw on; afterwards the legend is put below them, and the PDF, its PNG and the CSV are written.

    Args:
        path: the PDF.
        size: inches.
        table: goes to the CSV.
        note: a line above the legend.
    """
    path = Path(path).with_suffix(".pdf")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        yield axes
        _legend(figure, axes, note)
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=RESOLUTION, metadata={"CreationDate": None})  # equal figures, equal bytes
        with replacing(path.with_suffix(".png")) as temporary:
            figure.savefig(temporary, dpi=RESOLUTION)
    with replacing(path.with_suffix(".csv")) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")


def _legend(figure: Figure, axes: Axes, note: str | None) -> None:
    """Below the axes, where it hides nothing; what shares a label, as a line and its band do, shares an entry."""
    entries: dict[str, list[Artist]] = {}
    for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
        entries.setdefault(label, []).append(handle)
    if entries:
        columns = 1 if max(map(len, entries)) > LONG else 2
        handles: list[Any] = [tuple(own) for own in entries.values()]
        figure.legend(handles, list(entries), loc="outside lower center", ncols=columns, title=note)
