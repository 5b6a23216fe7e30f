"""How good a structure model is on rows of a table, at every level of theory that both know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bandgaps import metrics
from bandgaps.levels import LEVELS
from bandgaps.structure import calibration
from bandgaps.structure.ensemble import Model
from bandgaps.structure.graphs import Graphs
from bandgaps.structure.training_set import known_values


@dataclass(frozen=True)
class Predictions:
    """What a model says of rows whose gap is known, at one level of theory; eV, shape (rows,)."""

    actual: np.ndarray
    predicted: np.ndarray
    std: np.ndarray
    wide: float  # an interval of ± wide × std shall hold 95 % of the rows with a predicted gap
    lowest: float  # what the model cannot go below, eV
    metal: np.ndarray
    seen: np.ndarray  # whether the model was trained or stopped on the formula

    @property
    def with_gap(self) -> np.ndarray:
        """In which rows the model sees a gap, shape (rows,)."""
        return self.predicted > self.lowest

    def scores(self) -> dict[str, Any]:
        """Errors on the rows with a gap and on all, on formulas never seen, and the share of rows held by sigma (eV).

        Sigma is meant for rows in which the model sees a gap. Where all members see a metal they are mostly right to
        the last digit, so that an interval of any width holds too many of these.
        """
        everything = np.ones(len(self.actual), dtype=bool)
        result: dict[str, Any] = dict(self._errors(everything))
        if self.seen.any():
            result["unseen"] = self._errors(~self.seen)
        if np.isfinite(self.std).all() and len(self.actual):
            result["predicted-non-metals"] = {"n": int(self.with_gap.sum())}
            for share, k in (("within_68", 1.0), ("within_95", self.wide)):
                for name, part in {**self._parts(everything), "predicted-non-metals": self.with_gap}.items():
                    result[name][share] = self._covered(part, k)
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

    def _covered(self, part: np.ndarray, k: float) -> float:
        held = metrics.coverage(self.actual[part], self.predicted[part], self.std[part], np.array([k]))
        return float(held[0]) if part.any() else float("nan")


def levels(model: Model, table: pd.DataFrame, target: str, fidelity: str | None) -> dict[str | None, str]:
    """The column of the table for each level of theory that can be scored.

    A model of one level is scored on the target; one of several on every column of theirs that the table has, or at
    `fidelity` alone, on its column if there is one, else on the target.
    """
    if fidelity:
        column = LEVELS.get(fidelity, target)
        return {fidelity: column if column in table else target}
    known: dict[str | None, str] = {
        name: LEVELS[name] for name in model.hyperparameters.fidelities if LEVELS.get(name) in table
    }
    return known or {None: target}


def predictions(
    model: Model, table: pd.DataFrame, graphs: Graphs, columns: Mapping[str | None, str]
) -> dict[str | None, Predictions]:
    """What the model says of each row of the table whose gap is known, at each level of theory.

    Args:
        model: of structures.
        table: its columns `formula` and those of `columns`.
        graphs: of the same rows.
        columns: as `levels` gives them.
    """
    formula = table["formula"].to_numpy(dtype=str)
    seen = np.zeros(len(table), dtype=bool) if model.formulas is None else np.isin(formula, model.formulas)
    found = {}
    for level, column in columns.items():
        rows, _, actual = known_values(table, [column])
        predicted, std = model.predict(graphs.select(rows), level)
        metal = _metals(table, column, rows, actual)
        wide, lowest = model.calibration(level).wide, -np.inf if model.lowest is None else model.lowest
        found[level] = Predictions(actual, predicted, std, wide, lowest, metal, seen[rows])
    return found


def _metals(table: pd.DataFrame, column: str, rows: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Which rows are metals: by the gap itself, or by `band_gap` where another property is learnt."""
    by_gap = column.startswith("band_gap") or "band_gap" not in table
    return actual == 0 if by_gap else table["band_gap"].to_numpy(dtype=float)[rows] == 0


def calibrated(
    model: Model, table: pd.DataFrame, graphs: Graphs, columns: Mapping[str | None, str]
) -> dict[str, calibration.Calibration]:
    """How to widen the members' spread at each level of theory, from rows that they were not fitted to.

    Only rows in which the model sees a gap count (see `Predictions.scores`). Levels with too few rows get the
    calibration of all rows together; where even those are too few there is none.
    """
    errors = {
        level or "": ((each.predicted - each.actual)[each.with_gap], np.nan_to_num(each.std)[each.with_gap])
        for level, each in predictions(model, table, graphs, columns).items()
    }
    together = tuple(np.concatenate(parts) for parts in zip(*errors.values(), strict=True))
    if len(together[0]) < calibration.FEWEST:
        return {}
    return {
        level: calibration.fit(*(pair if len(pair[0]) >= calibration.FEWEST else together))
        for level, pair in errors.items()
    }
