"""How good a structure model is on rows of a table, for every fidelity that both know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bandgaps import metrics
from bandgaps.formulas import composition_keys
from bandgaps.levels import LEVELS
from bandgaps.structure import calibration
from bandgaps.structure.calibration import Calibration
from bandgaps.structure.ensemble import Model
from bandgaps.structure.graphs import Graphs
from bandgaps.structure.training_set import known_values


@dataclass(frozen=True)
class Predictions:
    """What a model says of rows whose gap is known, of one fidelity.

    Attributes:
        actual: the gap in the table, eV, shape (rows,).
        predicted: the mean of the members, eV, shape (rows,).
        spread: the standard deviation of the members, eV, shape (rows,); NaN where there is only one.
        calibration: from the spread to sigma; None if there is none.
        lowest: what the model cannot go below, eV.
        metal: which rows are metals, shape (rows,).
        seen: whether the model was trained or stopped on the composition, shape (rows,).
        composition: key of the composition, shape (rows,).
        guess: mean of the training gaps of this fidelity, eV; NaN if it is not known.
        bounds: ends of the intervals of 68 and 95 %, eV, shape (rows, 4); None where sigma says them.
    """

    actual: np.ndarray
    predicted: np.ndarray
    spread: np.ndarray
    calibration: Calibration | None
    lowest: float
    metal: np.ndarray
    seen: np.ndarray
    composition: np.ndarray
    guess: float = float("nan")
    bounds: np.ndarray | None = None

    @property
    def std(self) -> np.ndarray:
        """The uncertainty of each prediction, eV, shape (rows,)."""
        return self.calibration.sigma(np.nan_to_num(self.spread)) if self.calibration else self.spread

    @property
    def with_gap(self) -> np.ndarray:
        """In which rows the model sees a gap, shape (rows,)."""
        return self.predicted > self.lowest

    def where(self, part: np.ndarray) -> Predictions:
        """The same of some rows, a mask of shape (rows,)."""
        arrays = ("actual", "predicted", "spread", "metal", "seen", "composition", "bounds")
        known = {name: array for name in arrays if (array := getattr(self, name)) is not None}
        return replace(self, **{name: array[part] for name, array in known.items()})

    def scores(self) -> dict[str, Any]:
        """Errors on the rows with a gap and on all, on compositions never seen, and the share of rows held by sigma.

        Sigma is meant for rows in which the model sees a gap. Where all members see a metal they are mostly right to
        the last digit, so that an interval of any width holds too many of these. In shares, each composition counts
        once. All errors are in eV.
        """
        everything = np.ones(len(self.actual), dtype=bool)
        result: dict[str, Any] = dict(self._errors(everything))
        if self.seen.any():
            result["unseen"] = self._errors(~self.seen)
        if np.isfinite(self.std).all() and len(self.actual):
            result["predicted-non-metals"] = {"n": int(self.with_gap.sum())}
            for name, part in {**self._parts(everything), "predicted-non-metals": self.with_gap}.items():
                result[name] |= self._coverage(part)
        if np.isfinite(self.guess) and len(self.actual):
            result["mean_guess"] = self.guess
            result["mean_guess_mae"] = float(np.mean(np.abs(self.actual - self.guess)))
        return result

    def _errors(self, part: np.ndarray) -> dict[str, dict[str, float]]:
        parts = self._parts(part)
        return {name: self._errors_of(rows) for name, rows in parts.items()}

    def _errors_of(self, rows: np.ndarray) -> dict[str, float]:
        """The scores, and the median of the absolute errors (eV), which a few rows far off do not decide."""
        actual, predicted = self.actual[rows], self.predicted[rows]
        median = float(np.median(np.abs(predicted - actual))) if rows.any() else float("nan")
        return {**metrics.scores(actual, predicted), "median": median}

    def _parts(self, part: np.ndarray) -> dict[str, np.ndarray]:
        return {"non-metals": part & ~self.metal, "all": part}

    def _coverage(self, part: np.ndarray) -> dict[str, float]:
        """The shares of rows that both intervals hold, and the number of compositions."""
        actual, composition = self.actual[part], self.composition[part]
        if self.bounds is None:
            error, std = np.abs(self.predicted - self.actual)[part], self.std[part]
            wide = (self.calibration or Calibration()).wide
            held = {"within_68": error <= std, "within_95": error <= wide * std}
        else:
            low, high, lowest, highest = self.bounds[part].T
            held = {
                "within_68": (low <= actual) & (actual <= high),
                "within_95": (lowest <= actual) & (actual <= highest),
            }
        shares = {name: calibration.coverage(each, composition) for name, each in held.items()}
        return {"compositions": len(np.unique(composition)), **shares}


def fidelity_columns(model: Model, table: pd.DataFrame, target: str, fidelity: str | None) -> dict[str | None, str]:
    """The column of the table for each fidelity that can be scored.

    A model of one fidelity is scored on the target; one of several on every column of theirs that the table has, or on
    `fidelity` alone, by its column if there is one, else by the target.
    """
    if fidelity:
        column = LEVELS.get(fidelity, target)
        return {fidelity: column if column in table else target}
    known: dict[str | None, str] = {
        name: column
        for name in model.fidelities
        if (column := LEVELS.get(name, "")) in table and table[column].notna().any()
    }
    return known or {None: target}


def predictions(
    model: Model, table: pd.DataFrame, graphs: Graphs, columns: Mapping[str | None, str]
) -> dict[str | None, Predictions]:
    """What the model says of each row of the table whose gap is known, for each fidelity.

    Args:
        model: a model of structures.
        table: rows with a formula and these columns.
        graphs: the crystals of the same rows.
        columns: as `fidelity_columns` gives them.
    """
    composition, seen = composition_keys(table["formula"]), model.has_seen(table["formula"])
    if model.measured is not None:
        seen |= np.isin(composition, model.measured.composition)
    means = model.card.get("trained_on", {}).get("means", {})
    found = {}
    for fidelity, column in columns.items():
        rows, _, actual = known_values(table, [column])
        predicted, spread, bounds = _predicted(model, graphs.select(rows), fidelity)
        found[fidelity] = Predictions(
            actual,
            predicted,
            spread,
            model.calibration(fidelity) if model.calibrations and bounds is None else None,
            -np.inf if model.lowest is None else model.lowest,
            _metals(table, column, rows, actual),
            seen[rows],
            composition[rows],
            means.get(fidelity or column, float("nan")),
            bounds,
        )
    return found


def _predicted(model: Model, graphs: Graphs, fidelity: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The gap of each crystal, how sure it is (eV), and for measured gaps the ends of its intervals."""
    if model.measured is None or fidelity != "experiment":
        return *model.mean_and_spread(graphs, fidelity), None
    found = model.distribution(graphs)
    bounds = np.column_stack([end for pair in model.measured.intervals.bounds(found) for end in pair])
    return found.median, (bounds[:, 1] - bounds[:, 0]) / 2, bounds


def _metals(table: pd.DataFrame, column: str, rows: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Which rows are metals: by the gap itself, or by `band_gap` where another property is learnt."""
    by_gap = column.startswith("band_gap") or "band_gap" not in table
    return actual == 0 if by_gap else table["band_gap"].to_numpy(dtype=float)[rows] == 0


def errors(found: Mapping[str | None, Predictions], columns: Mapping[str | None, str]) -> dict[str, float]:
    """Mean absolute error of each fidelity, eV; by column where there is only one."""
    return {
        fidelity or columns[fidelity]: float(np.mean(np.abs(each.predicted - each.actual)))
        for fidelity, each in found.items()
        if len(each.actual)
    }


def calibrations(found: Mapping[str | None, Predictions]) -> dict[str, Calibration]:
    """How to widen the members' spread for each fidelity, from rows that they were not fitted to.

    Only rows in which the model sees a gap count (see `Predictions.scores`). A fidelity with too few of them takes
    those of all fidelities together. Where these are too few, all rows count; where even those are, there is no
    calibration.
    """
    gap_only = {fidelity: each.where(each.with_gap) for fidelity, each in found.items()}
    result = {}
    for fidelity in found:
        name = f" of {fidelity}" if fidelity else ""
        choices = {
            f"rows{name} in which the model sees a gap": [gap_only[fidelity]],
            "rows of all fidelities in which the model sees a gap": list(gap_only.values()),
            "all rows, for the model sees a gap in too few": list(found.values()),
        }
        for rows, chosen in choices.items():
            composition = np.concatenate([each.composition for each in chosen])
            if len(np.unique(composition)) >= calibration.FEWEST:
                error = np.concatenate([each.predicted - each.actual for each in chosen])
                spread = np.nan_to_num(np.concatenate([each.spread for each in chosen]))
                result[fidelity or ""] = calibration.fit(error, spread, composition, rows)
                break
    return result
