"""A model of the gap of a formula: a forest, intervals from its trees, and for measured gaps a teacher.

A model folder of it holds the trees, the formulas they were grown on and a card. A model of measured gaps asks its
teacher, a forest of PBE gaps in the folder beside its own, and takes the answer for four more features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandgaps import intervals
from bandgaps.composition import features, forest
from bandgaps.errors import InputError
from bandgaps.intervals import Distribution, Intervals

FOLDS = 5
ONE_FOLD = 20_000  # rows; with so many, one fold is enough to fit intervals to
FROM_TEACHER = ("PBE gap, mean over trees", "PBE gap, sigma", "PBE gap, median over trees", "PBE metal votes")
MEASURED, CALCULATED, NOT = "measured", "calculated", "no"  # whether a composition was in training


@dataclass(frozen=True)
class GapModel:
    """A fitted model.

    Attributes:
        forest: the trees.
        intervals: fitted to rows that the trees were not grown on.
        card: what a reader wants to know of the model.
        training: `formula` of the rows it was fitted to and, of a user's own model, `target` (eV).
        teacher: a model of calculated gaps whose answers are features of this one.
    """

    forest: forest.UncertainForest
    intervals: Intervals
    card: dict[str, Any]
    training: dict[str, np.ndarray]
    teacher: GapModel | None = None

    def distribution(self, X: np.ndarray) -> Distribution:
        """The predicted distribution for rows of `features.features`, shape (rows, 258)."""
        return self._distributions(X)[0]

    def _distributions(self, X: np.ndarray) -> tuple[Distribution, Distribution | None]:
        """The predicted distribution; where there is a teacher, its predictions are among the features."""
        calculated = self.teacher.distribution(X) if self.teacher else None
        if calculated is not None:
            X = with_answers(X, answers(calculated))
        return Distribution(*self.forest.distribution(X)), calculated

    def predict(self, formulas: Sequence[str], first_row: int = 0) -> pd.DataFrame:
        """The gap of formulas with all that is known of its uncertainty.

        Args:
            formulas: any spelling.
            first_row: the number of the first in error messages.

        Returns:
            One row a formula. In eV: `band_gap`, the median; `band_gap_std`, the leaf-impurity sigma; the ends of two
            intervals, `band_gap_low_68` and so on; and, of a model with a teacher, `band_gap_pbe`. `metal_probability`
            is from 0 to 1, `in_training` says whether the composition's gap was known: measured, calculated, or no.

        Raises:
            InputError: as `features.features`.
        """
        X, hashes = features.features_and_hashes(formulas, first_row)
        found, calculated = self._distributions(X)
        table = pd.DataFrame({"formula": formulas, "band_gap": found.median, "band_gap_std": found.std})
        for share, (low, high) in zip(self.intervals.shares, self.intervals.bounds(found), strict=True):
            table[f"band_gap_low_{100 * share:.0f}"], table[f"band_gap_high_{100 * share:.0f}"] = low, high
        table["metal_probability"] = self.intervals.metal_probability(found)
        if calculated is not None:
            table["band_gap_pbe"] = calculated.median
        return table.assign(in_training=self.in_training(hashes))

    def in_training(self, hashes: np.ndarray) -> np.ndarray:
        """Whether compositions taught this model, or its teacher; hashes are `features.composition_hashes`."""
        own = MEASURED if self.teacher else CALCULATED
        told = np.where(np.isin(hashes, self._hashes), own, NOT)
        if self.teacher:
            told = np.where(told == NOT, self.teacher.in_training(hashes), told)
        return told

    @cached_property
    def _hashes(self) -> np.ndarray:
        try:
            return np.unique(features.composition_hashes(self.training["formula"].tolist()))
        except InputError as error:
            raise InputError(f"model {self.card.get('name')}, its training rows: {error}") from None

    def save(self, folder: Path, decimals: int | None = None) -> None:
        """Write the model folder, and the teacher's beside it.

        Args:
            folder: where to.
            decimals: to which leaves' values (eV) are rounded, for files that are small; by default they are not.
        """
        if self.teacher:
            self.teacher.save(folder.parent / self.card["teacher"], decimals)
        card = {**self.card, "intervals": asdict(self.intervals)}
        labels = features.LABELS + FROM_TEACHER if self.teacher else features.LABELS
        forest.save(self.forest, folder, card, labels, self.training, decimals)


def load(folder: Path) -> GapModel:
    """Read a model, and its teacher where it has one.

    Raises:
        InputError: there is no such model, or it is damaged, or its teacher is.
    """
    card = forest.read_card(folder)
    name = card.get("teacher")
    if name and forest.read_card(folder.parent / name).get("teacher") is not None:
        raise InputError(f"{folder}: the card's teacher, {name!r}, has a teacher itself; train it again")
    teacher = load(folder.parent / name) if name else None
    trees, card, training = forest.load(folder, features.LABELS + FROM_TEACHER if teacher else features.LABELS)
    try:
        return GapModel(trees, Intervals.of(card), card, dict(training), teacher)
    except ValueError as error:
        raise InputError(f"{folder}: {error}; train it again") from None


def answers(found: Distribution) -> np.ndarray:
    """What a teacher says of formulas, columns `FROM_TEACHER`, shape (rows, 4)."""
    return np.column_stack([found.mean, found.std, found.median, found.metal_votes]).astype(np.float32)


def with_answers(X: np.ndarray, answered: np.ndarray) -> np.ndarray:
    """Features followed by a teacher's answers, shape (rows, 262)."""
    return np.concatenate([X, answered], axis=1, dtype=np.float32)


def out_of_fold(
    X: np.ndarray, y: np.ndarray, hashes: np.ndarray, new: Callable[[], forest.UncertainForest]
) -> tuple[np.ndarray, Distribution]:
    """What trees say of rows that they were not grown on, by five folds over compositions.

    Args:
        X: features, shape (rows, features).
        y: the target, shape (rows,).
        hashes: of the compositions, shape (rows,); equal ones are in one fold.
        new: makes an unfitted forest.

    Returns:
        The rows that were left out in turn, all of them unless they are very many, and what trees say of them.
    """
    fold = hashes // np.uint64(2) % np.uint64(FOLDS)  # the lowest bit chooses among teachers
    rows, parts = [], []
    for number in range(FOLDS if len(y) < ONE_FOLD else 1):
        out = fold == number
        if out.any() and not out.all():
            rows.append(np.flatnonzero(out))
            parts.append(new().fit(X[~out], y[~out]).distribution(X[out]))
    if not rows:
        return np.empty(0, dtype=np.intp), Distribution(np.empty((0, 1), dtype=np.float32), np.empty(0))
    values, std = (np.concatenate(each) for each in zip(*parts, strict=True))
    return np.concatenate(rows), Distribution(values, std)


def fitted_intervals(rows: np.ndarray, found: Distribution, y: np.ndarray, target: str) -> Intervals:
    """Intervals from what `out_of_fold` returned, for a target (eV) that is bounded by 0 if it is a gap."""
    is_gap = target.startswith("band_gap")
    metal = y[rows] <= 0 if is_gap else np.zeros(len(rows), dtype=bool)
    return intervals.fit(found, y[rows], metal, bounded=is_gap)
