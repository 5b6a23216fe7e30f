"""The figures: one style, one function a figure.

Every function writes three files that share a stem: the PDF, a PNG of it for pages, and a CSV with the numbers drawn.
Colours are those of Okabe and Ito, which people who do not tell red from green can tell apart.
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
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bandgaps.elements import SYMBOLS
from bandgaps.files import replacing
from bandgaps.formulas import System
from bandgaps.metrics import scores

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


def parity(path: Path | str, actual: np.ndarray, predicted: np.ndarray, std: np.ndarray | None, label: str) -> None:
    """Predicted against actual band gap of the test rows, with error bars where a standard deviation is known (eV)."""
    table = pd.DataFrame({"band_gap": actual, "band_gap_predicted": predicted})
    if std is not None and np.isfinite(std).any():
        table["band_gap_std"] = std
    with figure(path, SQUARE, table) as axes:
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


@dataclass(frozen=True)
class Measured:
    """A measured curve to draw beside predicted ones.

    Attributes:
        x: fraction of the second end, shape (n,).
        gap: eV, shape (n,).
        citation: who measured it.
        crossings: where another valley becomes the lowest: x, gap (eV), and the two, such as Γ-X.
    """

    x: np.ndarray
    gap: np.ndarray
    citation: str
    crossings: tuple[tuple[float, float, str], ...] = ()


def measured_curve(axes: Axes, measured: Measured | None) -> None:
    """Draw a measured curve, where there is one."""
    if measured:
        label = f"measured ({measured.citation})"
        axes.plot(measured.x, measured.gap, color=RED, linestyle="--", label=label)
    for x, gap, valleys in measured.crossings if measured else ():
        axes.plot(x, gap, color=RED, marker="|", markersize=9)
        place: dict[str, Any] = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center"}
        axes.annotate(valleys.replace("-", "–"), (x, gap), color=RED, fontsize=8, **place)


def alloy_axes(axes: Axes, system: System, label: str, below: bool = False) -> None:
    """Labels, limits and the legend, which is above the curves or `below` the axes; x is the fraction of B in A-B."""
    subscripts = (re.sub(r"(\d+)", r"$_{\1}$", name) for name in system)
    a, b = (name if name in SYMBOLS else f"({name})" for name in subscripts)
    axes.set(xlabel=f"x in {a}$_{{1-x}}${b}$_x$", ylabel="band gap (eV)", xlim=(0, 1))
    bottom, top = axes.get_ylim()
    axes.set_ylim(min(0.0, bottom), top if below else 1.35 * top)
    axes.set_title(label)
    place: dict[str, Any] = {"bbox_to_anchor": (0.5, -0.13)} if below else {}
    axes.legend(loc="upper center", ncols=2, **place)


@contextmanager
def figure(path: Path | str, size: tuple[float, float], table: pd.DataFrame) -> Iterator[Axes]:
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
