"""Alloys whose gap is known at every composition, from tabulated bowing parameters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pymatgen.core import Composition

from bandgaps.alloy import known_alloys
from bandgaps.alloy.pseudobinary import PseudobinaryAlloy
from bandgaps.files import DATA
from bandgaps.table import storage

PARAMETERS = DATA / "alloys" / "bowing.csv"
CRYSTALS = DATA / "sample" / "sample.json.gz"
LISTED = np.array([0.1, 0.3, 0.5, 0.7, 0.9])  # compositions that models may learn, in data/alloys/gaps.csv


@dataclass(frozen=True)
class KnownCurve:
    """An alloy with its gap over the whole range.

    Attributes:
        alloy: with its ends.
        extrema: its rows of `data/alloys/bowing.csv`, eV.
    """

    alloy: PseudobinaryAlloy
    extrema: pd.DataFrame

    def gap(self, x: np.ndarray) -> np.ndarray:
        """The gap at x, eV, shape (n,)."""
        return gap(self.extrema, x)

    def departure(self, x: np.ndarray) -> np.ndarray:
        """The gap at x less the straight line between the ends, eV, shape (n,)."""
        first, last = self.gap(np.array([0.0, 1.0]))
        return self.gap(x) - ((1 - x) * first + x * last)


def curves(path: Path = PARAMETERS, crystals: Path = CRYSTALS) -> list[KnownCurve]:
    """Every tabulated alloy whose ends are in a table of crystals, with one structure."""
    known = known_alloys.polymorphs(storage.read(crystals))
    found = [
        (known_alloys.between(known, *ends), extrema)
        for ends, extrema in pd.read_csv(path).groupby(["end_0", "end_1"], sort=False)
    ]
    return [KnownCurve(pair[0], extrema) for pair, extrema in found if pair]


def gap(extrema: pd.DataFrame, x: np.ndarray) -> np.ndarray:
    """The gap of an alloy at the fractions x, eV, shape (n,).

    Each extremum of the conduction band lies at E(x) = (1 - x) E0 + x E1 - x (1 - x) (c0 + c1 x) above the valence band
    (Vurgaftman et al., J. Appl. Phys. 89, 5815, on ternary alloys); the gap is the lowest.

    Args:
        extrema: the alloy's rows of `data/alloys/bowing.csv`, eV.
        x: fraction of the second end, shape (n,).
    """
    e0, e1, c0, c1 = extrema[["band_gap_0", "band_gap_1", "bowing_0", "bowing_1"]].to_numpy().T[:, :, None]
    return np.min((1 - x) * e0 + x * e1 - x * (1 - x) * (c0 + c1 * x), axis=0)


def formula(ends: tuple[str, str], x: float) -> str:
    """Both ends mixed, such as Ga0.9Al0.1As."""
    mixed = Composition(ends[0]) * (1 - x) + Composition(ends[1]) * x
    return "".join(f"{element.symbol}{round(amount, 6):g}" for element, amount in mixed.items())
