"""What was measured of alloys: band gaps, valley by valley, each with its source, temperature and range.

The tables are in `data/alloys`; its README.md says where their numbers come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bandgaps.alloy import scores
from bandgaps.files import DATA
from bandgaps.formulas import System, composition_key
from bandgaps.table.columns import require_columns

if TYPE_CHECKING:
    from bandgaps.plotting import Measured

VALLEYS = DATA / "alloys" / "valleys.csv"
COLUMNS = ("end_0", "end_1", "structure", "valley", "gap_0", "gap_1", "bowing_0", "bowing_1")
RANGE = ("from", "to", "temperature", "source")  # the other columns
STEPS = 1000  # of x, between which a crossing is interpolated


@dataclass(frozen=True)
class MeasuredAlloy:
    """The measured gap of the alloy A(1-x)B(x).

    Each minimum of the conduction band lies at E(x) = (1 - x) E0 + x E1 - x (1 - x) (c0 + c1 x) above the top of the
    valence band; the gap is the lowest of them, or 0 where that is negative (Vurgaftman et al., J. Appl. Phys. 89,
    5815, on ternary alloys).

    Attributes:
        names: formulas of the ends.
        structure: the prototype of both, such as zincblende.
        valleys: where each minimum is, such as Γ.
        parameters: E0, E1, c0 and c1 of each, eV, shape (valleys, 4).
        limits: the least and the greatest x that was measured.
        temperature: K.
        source: of the parameters; it begins with the authors.
    """

    names: System
    structure: str
    valleys: tuple[str, ...]
    parameters: np.ndarray
    limits: tuple[float, float]
    temperature: float
    source: str

    @property
    def label(self) -> str:
        """The formulas of the ends, such as GaAs-AlAs."""
        return "-".join(self.names)

    @property
    def citation(self) -> str:
        """Who measured it, and at what temperature."""
        return f"{self.source.split(',')[0]}, {self.temperature:g} K"

    @property
    def is_whole(self) -> bool:
        """Whether it was measured from one end to the other."""
        return self.limits == (0, 1)

    def minima(self, x: ArrayLike) -> np.ndarray:
        """Energy of each minimum above the valence band at x, eV, shape (valleys, *x)."""
        x = np.asarray(x, dtype=float)
        e0, e1, c0, c1 = (column.reshape(-1, *[1] * x.ndim) for column in self.parameters.T)
        return (1 - x) * e0 + x * e1 - x * (1 - x) * (c0 + c1 * x)

    def gap(self, x: ArrayLike) -> np.ndarray:
        """The gap at x, eV, shape of x; NaN outside `limits`."""
        x = np.asarray(x, dtype=float)
        inside = (x >= self.limits[0] - 1e-9) & (x <= self.limits[1] + 1e-9)
        return np.where(inside, np.maximum(self.minima(x).min(axis=0), 0), np.nan)

    def crossings(self) -> list[tuple[float, float, str]]:
        """Where another minimum becomes the lowest: x, gap (eV) and the two valleys, such as Γ-X."""
        x = np.linspace(*self.limits, STEPS + 1)
        energies = self.minima(x)
        lowest = energies.argmin(axis=0)
        found = []
        for step in np.flatnonzero(np.diff(lowest)):
            before, after = lowest[step], lowest[step + 1]
            gained, lost = (energies[before, each] - energies[after, each] for each in (step, step + 1))
            where = float(x[step] + (x[step + 1] - x[step]) * gained / (gained - lost))
            found.append((where, float(self.gap(where)), f"{self.valleys[before]}-{self.valleys[after]}"))
        return found

    def bowing(self) -> float | None:
        """The b for which the straight line between the ends less b x (1 - x) comes nearest to the gap, eV.

        By least squares; None where it was not measured from one end to the other.
        """
        x = np.linspace(0, 1, 101)
        return scores.bowing(x, self.gap(x)) if self.is_whole else None

    def reversed(self) -> MeasuredAlloy:
        """The same with x the fraction of the first end."""
        e0, e1, c0, c1 = self.parameters.T
        low, high = self.limits
        parameters = np.array([e1, e0, c0 + c1, -c1]).T
        return replace(self, names=self.names[::-1], parameters=parameters, limits=(1 - high, 1 - low))


@cache
def all_measured(path: Path = VALLEYS) -> tuple[MeasuredAlloy, ...]:
    """Every alloy in a table of valleys.

    Raises:
        InputError: the table lacks a column.
    """
    table = pd.read_csv(path)
    require_columns(table, [*COLUMNS, *RANGE], path)
    return tuple(_alloy(rows) for _, rows in table.groupby(["end_0", "end_1"], sort=False))


def _alloy(rows: pd.DataFrame) -> MeasuredAlloy:
    first = rows.iloc[0]
    return MeasuredAlloy(
        (first["end_0"], first["end_1"]),
        first["structure"],
        tuple(rows["valley"]),
        rows[["gap_0", "gap_1", "bowing_0", "bowing_1"]].to_numpy(float),
        (float(first["from"]), float(first["to"])),
        float(first["temperature"]),
        first["source"],
    )


def known(system: System, among: Iterable[MeasuredAlloy] | None = None) -> MeasuredAlloy | None:
    """The measured alloy of two ends, in whatever spelling and order; None where there is none."""
    wanted = [composition_key(name) for name in system]
    for alloy in all_measured() if among is None else among:
        own = [composition_key(name) for name in alloy.names]
        if wanted in (own, own[::-1]):
            return replace(alloy if wanted == own else alloy.reversed(), names=system)
    return None


def gap(system: System, x: ArrayLike) -> np.ndarray:
    """Measured band gap of A(1-x)B(x) in eV, shape of `x`; NaN where it is not known."""
    alloy = known(system)
    return np.full_like(np.asarray(x, dtype=float), np.nan) if alloy is None else alloy.gap(x)


def is_whole(system: System) -> bool:
    """Whether the gap was measured from one end of an alloy to the other."""
    alloy = known(system)
    return alloy is not None and alloy.is_whole


def gap_citation(system: System) -> str | None:
    """Who measured the gap, and at what temperature; None where it is not known."""
    alloy = known(system)
    return alloy.citation if alloy else None


def drawn(system: System) -> Measured | None:
    """The measured gap as figures draw it, None where it is not known."""
    from bandgaps.plotting import Measured  # matplotlib, which most users of this module do without

    alloy = known(system)
    if alloy is None:
        return None
    x = np.linspace(*alloy.limits, 201)
    return Measured(x, alloy.gap(x), alloy.citation, tuple(alloy.crossings()))
