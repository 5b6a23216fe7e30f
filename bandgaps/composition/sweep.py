"""The gap over the whole range of a pseudobinary alloy, as a forest of compositions predicts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bandgaps import magpie
from bandgaps.composition import features
from bandgaps.composition.gap_model import GapModel
from bandgaps.elements import SYMBOLS
from bandgaps.errors import InputError
from bandgaps.formulas import System, exchanged, fraction_column, mixture
from bandgaps.model_folders import Arrays

STEPS = 100
FRACTIONS = np.arange(STEPS + 1) / STEPS  # x of A(1-x)B(x)
REPORTED = (0, 0.25, 0.5, 0.51, 0.75, 1)


@dataclass(frozen=True)
class Sweep:
    """What a model predicts over the range of an alloy A(1-x)B(x).

    Attributes:
        table: columns `x_B`, `band_gap`, `band_gap_std` and `band_gap_measured` (eV), one row each of `FRACTIONS`.
        known: training rows that lie between A and B, columns `x_B` and `band_gap` (eV).
        card: of the model.
    """

    table: pd.DataFrame
    known: pd.DataFrame
    card: dict[str, Any]

    def summary(self) -> dict[str, float | None]:
        """As the function `summary`."""
        return summary(*(self.table[column].to_numpy() for column in ("band_gap", "band_gap_measured")))

    def reported(self) -> pd.DataFrame:
        """The rows of `table` at the fractions `REPORTED`."""
        return self.table.iloc[[round(x * STEPS) for x in REPORTED]]


def sweep(model: GapModel, name: str, system: System, measured: np.ndarray) -> Sweep:
    """Ask a model for the gap at all `FRACTIONS` of an alloy.

    The gap drawn is the interquartile mean over trees. Alloys whose elements are left out of training together come out
    as near by it as by the median, which moves in steps, and nearer than by the mean (`benchmarks.matbench`).

    Args:
        model: of compositions.
        name: one of `bandgaps.composition.evaluation.MODELS`; for a model of all materials, "non-metals" asks only
            those of its trees that see no metal.
        system: formulas of the ends (A, B).
        measured: the measured gap at these fractions, eV; NaN where there is none.

    Raises:
        InputError: a formula of the model's training rows cannot be read.
    """
    found = model.distribution(features.features(spelled(system)))
    if name == "non-metals":
        found = found.without_metals()
    table = pd.DataFrame(
        {
            fraction_column(system): FRACTIONS,
            "band_gap": found.interquartile_mean,
            "band_gap_std": found.std,
            "band_gap_measured": measured,
        }
    )
    try:
        return Sweep(table, known(system, model.training), model.card)
    except InputError as error:
        raise InputError(f"model {model.card.get('name', name)}, its training rows: {error}") from None


def spelled(system: System) -> list[str]:
    """A100, A99B1, A98B2, ... B100: the formula at each of `FRACTIONS`."""
    return [mixture(system, STEPS - step, step) for step in range(STEPS + 1)]


def known(system: System, training: Arrays) -> pd.DataFrame:
    """Training rows on the line between the two ends, columns `x_B` and `band_gap` (eV), by x.

    The bundled models do not tell the gaps they were fitted to; of them there are none.

    Raises:
        InputError: a formula cannot be read.
    """
    found: list[tuple[float, float]] = []
    if "target" not in training:
        return pd.DataFrame(found, columns=[fraction_column(system), "band_gap"], dtype=float)
    first, last = (_fractions(end) for end in system)
    own = (np.flatnonzero(first + last) + 1).tolist()  # atomic numbers
    a, b = (SYMBOLS.index(element) + 1 for element in exchanged(system))
    for rows, numbers, amounts in magpie.elements_and_amounts(training["formula"].tolist()):
        within = np.asarray(np.isin(numbers, own).all(axis=0))
        parts = {number: np.where(numbers == number, amounts, 0).sum(axis=0) for number in own}
        sites = parts[a] + parts[b]
        within &= sites > 0
        with np.errstate(invalid="ignore", divide="ignore"):
            x = parts[b] / sites
            for number in set(own) - {a, b}:
                within &= np.isclose(parts[number] / sites, first[number - 1] / first[a - 1], rtol=1e-3)
        found += zip(x[within].tolist(), training["target"][rows[within]].tolist(), strict=True)
    return pd.DataFrame(sorted(found), columns=[fraction_column(system), "band_gap"])


def _fractions(formula: str) -> np.ndarray:
    """Amount of each element in a formula, shape (118,)."""
    amounts = np.zeros(len(SYMBOLS))
    for _, numbers, counts in magpie.elements_and_amounts([formula]):
        np.add.at(amounts, numbers[:, 0] - 1, counts[:, 0])
    return amounts


def references(measured: np.ndarray) -> dict[str, dict[str, float | None]]:
    """The measured curve, and the straight line between its ends, as `summary` gives the models'; empty without one.

    Args:
        measured: at `FRACTIONS`, eV; NaN where there is none.
    """
    if np.isnan(measured).any():
        return {}
    line = measured[0] + (measured[-1] - measured[0]) * FRACTIONS
    return {"measured": summary(measured, measured), "straight-line": summary(line, measured)}


def summary(gaps: np.ndarray, measured: np.ndarray) -> dict[str, float | None]:
    """The gap at a few fractions, and under `mean_absolute_deviation` that from the measured curve, eV.

    Args:
        gaps: at `FRACTIONS`, eV.
        measured: at `FRACTIONS`, eV; NaN where there is none, which makes the deviation None.
    """
    deviation = float(np.abs(gaps - measured).mean())
    return {
        **{f"{x:g}": float(gaps[round(x * STEPS)]) for x in REPORTED},
        "mean_absolute_deviation": None if np.isnan(deviation) else deviation,
    }
