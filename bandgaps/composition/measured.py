"""A model of measured gaps that has a model of calculated ones for a teacher.

Few gaps have been measured, many calculated. What a forest of PBE gaps says of a formula is a good feature for a forest
of measured ones (transfer by stacking: Wolpert, Neural Networks 5, 241). A teacher remembers the gaps it was grown on,
and guesses others. So that its pupil learns how far to trust it, the pupil sees a measured composition twice: with the
answer of the teacher, if that knows it, and with that of a teacher which does not know it. There are two of the latter,
each grown without one half of the measured compositions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandgaps import magpie
from bandgaps.composition import evaluation, features, forest, gap_model
from bandgaps.composition.gap_model import GapModel
from bandgaps.errors import InputError
from bandgaps.files import sha256
from bandgaps.formulas import left_out
from bandgaps.intervals import Distribution
from bandgaps.levels import EXPERIMENT
from bandgaps.model_folders import provenance
from bandgaps.table import account, measured_gaps, sources

FEWEST = 50  # gaps, measured or calculated
DECIMALS = 3  # of eV, that leaves are rounded to
TEACHER, PUPIL = "composition-pbe", "composition-experiment"
TREES = 8  # of a teacher: nearly as good a teacher as 60, and small enough to come with the project
OF_TEACHER = {"n_estimators": TREES}
OF_PUPIL = {"n_estimators": 80, "min_samples_split": 2}  # so that it remembers what was measured


@dataclass(frozen=True)
class Gaps:
    """Formulas and their gaps.

    Attributes:
        formulas: any spelling; a composition may be there several times.
        X: `features.features` of them.
        y: eV, shape (rows,).
        hashes: `features.composition_hashes` of them.
    """

    formulas: Sequence[str]
    X: np.ndarray
    y: np.ndarray
    hashes: np.ndarray

    @classmethod
    def of(cls, formulas: Sequence[str], y: np.ndarray) -> Gaps:
        """With features.

        Raises:
            InputError: a formula cannot be read.
        """
        X, hashes = features.features_and_hashes(formulas)
        return cls(formulas, X, y, hashes)

    def where(self, rows: np.ndarray) -> Gaps:
        """The gaps of some rows, chosen by numbers or by a mask."""
        numbers = np.arange(len(self.y))[rows]
        formulas = [self.formulas[number] for number in numbers.tolist()]
        return Gaps(formulas, self.X[numbers], self.y[numbers], self.hashes[numbers])


@dataclass(frozen=True)
class Lessons:
    """The training rows of the forest of measured gaps, the pupil.

    Attributes:
        X: features and a teacher's answers, shape (rows, 262).
        y: measured gaps, eV, shape (rows,).
        hashes: `features.composition_hashes`, shape (rows,).
        calculated: whether the teacher that answered knew the composition, shape (rows,).
    """

    X: np.ndarray
    y: np.ndarray
    hashes: np.ndarray
    calculated: np.ndarray

    @classmethod
    def of(cls, measured: Gaps, guessed: np.ndarray, told: np.ndarray, calculated: Gaps) -> Lessons:
        """All measured compositions with predicted PBE gaps, then those among the calculated ones with their teacher's.

        Args:
            measured: measured gaps.
            guessed: answers of teachers that do not know the compositions, shape (rows, 4).
            told: answers of the teacher, shape (rows, 4).
            calculated: what the teacher was grown on.
        """
        known = np.isin(measured.hashes, calculated.hashes)
        return cls(
            gap_model.with_answers(
                np.concatenate([measured.X, measured.X[known]]), np.concatenate([guessed, told[known]])
            ),
            np.concatenate([measured.y, measured.y[known]]),
            np.concatenate([measured.hashes, measured.hashes[known]]),
            np.arange(len(known) + known.sum()) >= len(known),
        )


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of measured compositions by forests that were not grown on them.

    Attributes:
        found: for each row.
        y: the measured gaps, eV, shape (rows,).
        calculated: whether the teacher knew the composition, shape (rows,).
    """

    found: Distribution
    y: np.ndarray
    calculated: np.ndarray

    @property
    def unknown(self) -> OutOfFold:
        """The rows whose composition the teacher did not know either; each composition comes once."""
        rows = ~self.calculated
        return OutOfFold(self.found.of(rows), self.y[rows], self.calculated[rows])


def systems(texts: Sequence[str]) -> tuple[str, ...]:
    """Systems that are to be left out, from texts such as Si-Ge.

    Raises:
        InputError: a text is none.
    """
    try:
        return left_out(texts)
    except ValueError as error:
        raise InputError(str(error)) from None


def from_table(table: pd.DataFrame, target: str, without: Sequence[str] = ()) -> Gaps:
    """The calculated gaps of a table, without `systems` that are to be left out.

    Raises:
        InputError: fewer than 50 gaps are left.
    """
    gaps = Gaps.of(table["formula"].tolist(), table[target].to_numpy(dtype=float))
    for system in without:
        gaps = gaps.where(~features.has_together(gaps.X, system.split("-")))
    if len(gaps.y) < FEWEST:
        raise InputError(f"{len(gaps.y)} calculated gaps; a teacher needs at least {FEWEST}")
    return gaps


def from_lists(paths: Sequence[Path], without: Sequence[str] = ()) -> Gaps:
    """Measured gaps from CSVs with the columns formula and band_gap or band_gap_experiment (eV).

    Args:
        paths: of the lists; what a later one says of a composition replaces what earlier ones say.
        without: `systems` that are to be left out.

    Raises:
        InputError: a list cannot be read, or fewer than 50 gaps are left.
    """
    lists = [sources.from_file(path, EXPERIMENT) for path in paths]
    formulas, gaps = measured_gaps.together(lists, sources.Filters(leave_out=tuple(without)))
    if len(gaps) < FEWEST:
        raise InputError(f"{', '.join(map(str, paths))}: {len(gaps)} measured gaps; a forest needs at least {FEWEST}")
    return Gaps.of(formulas.tolist(), gaps.to_numpy(dtype=float))


def fit(calculated: Gaps, measured: Gaps, seed: int, jobs: int) -> tuple[GapModel, OutOfFold]:
    """A model of measured gaps and its teacher.

    Args:
        calculated: PBE gaps.
        measured: measured gaps.
        seed: of the forests.
        jobs: cores.
    """
    teacher = fit_teacher(calculated, seed, jobs)
    pupil, out = fit_pupil(lessons(calculated, measured, teacher, seed, jobs), teacher, seed, jobs)
    pupil.training["formula"] = np.array(measured.formulas, dtype=str)
    return pupil, out


def fit_pupil(taught: Lessons, teacher: GapModel | None, seed: int, jobs: int) -> tuple[GapModel, OutOfFold]:
    """The forest of measured gaps (arguments as of `fit`), and what such forests say of compositions left out."""

    def new() -> forest.UncertainForest:
        return forest.new(seed, jobs).set_params(**OF_PUPIL)

    rows, found = gap_model.out_of_fold(taught.X, taught.y, taught.hashes, new)
    intervals = gap_model.fitted_intervals(rows, found, taught.y, EXPERIMENT)
    compositions = len(np.unique(taught.hashes))
    card = {"name": PUPIL, "target": EXPERIMENT, "unit": "eV", "teacher": TEACHER, "rows": compositions}
    pupil = GapModel(new().fit(taught.X, taught.y), intervals, card, {}, teacher)
    return pupil, OutOfFold(found, taught.y[rows], taught.calculated[rows])


def lessons(calculated: Gaps, measured: Gaps, teacher: GapModel, seed: int, jobs: int) -> Lessons:
    """Measured compositions with predictions of teachers that do not know them, then again those that one knows.

    Args:
        calculated: PBE gaps.
        measured: measured gaps.
        teacher: as `fit_teacher` gives it.
        seed: of the forests.
        jobs: cores.
    """
    told = gap_model.answers(teacher.distribution(measured.X))
    return Lessons.of(measured, answers_without(calculated, measured, seed, jobs), told, calculated)


def fit_teacher(calculated: Gaps, seed: int, jobs: int) -> GapModel:
    """The model of calculated gaps (arguments as of `fit`)."""
    rows, found = gap_model.out_of_fold(calculated.X, calculated.y, calculated.hashes, lambda: new_teacher(seed, jobs))
    return GapModel(
        new_teacher(seed, jobs).fit(calculated.X, calculated.y),
        gap_model.fitted_intervals(rows, found, calculated.y, "band_gap"),
        {"name": TEACHER, "target": "band_gap", "unit": "eV", "rows": len(calculated.y)},
        {"formula": np.unique(magpie.plain(calculated.formulas))},  # brackets are read slowly
    )


def answers_without(calculated: Gaps, measured: Gaps, seed: int, jobs: int) -> np.ndarray:
    """What teachers that do not know them say of the measured compositions, shape (rows, 4)."""
    result = np.empty((len(measured.y), len(gap_model.FROM_TEACHER)), dtype=np.float32)
    half = measured.hashes % np.uint64(2)
    for number in (0, 1):
        asked = half == number
        if asked.any():
            known = ~np.isin(calculated.hashes, measured.hashes[asked])
            teacher = new_teacher(seed, jobs).fit(calculated.X[known], calculated.y[known])
            result[asked] = gap_model.answers(Distribution(*teacher.distribution(measured.X[asked])))
    return result


def new_teacher(seed: int, jobs: int) -> forest.UncertainForest:
    """A teacher's forest, not fitted yet."""
    return forest.new(seed, jobs).set_params(**OF_TEACHER)


def scores(model: GapModel, out: OutOfFold) -> dict[str, Any]:
    """Scores (eV) on measured compositions that the forest asked did not know.

    Under `calculated` those of compositions whose PBE gap the teacher knew, else of all, with teachers that knew none.
    The intervals were fitted to the same rows, so the shares that they hold are those that they should hold.
    """
    metal = out.y <= 0
    parts = {
        "non-metals": ~out.calculated & ~metal,
        "metals": ~out.calculated & metal,
        "all": ~out.calculated,
        "calculated": out.calculated,
    }
    result = {name: evaluation.scores_of(model, out.found, out.y, part) for name, part in parts.items()}
    for name in ("all", "calculated"):
        result[name] |= evaluation.roc_auc(model, out.found.of(parts[name]), metal[parts[name]])
    return result


def told(found: dict[str, Any]) -> str:
    """The scores, one line a kind of material."""
    lines = []
    for name, score in found.items():
        if not score["n"]:
            continue
        auc = f", area under the ROC curve (metal or not) {score['roc_auc']:.3f}" if "roc_auc" in score else ""
        lines.append(f"{name}: MAE {score['mae']:.3f} eV, {score['n']:,} measured gaps{auc}")
    return "\n".join(lines)


def save(
    model: GapModel, folder: Path, table: Path, lists: Sequence[Path], without: Sequence[str], found: dict[str, Any]
) -> None:
    """Write a model of measured gaps and its teacher.

    Args:
        model: as `fit` gives it.
        folder: of all models.
        table: the file of the calculated gaps.
        lists: the files of the measured gaps.
        without: systems that were left out.
        found: as `scores` gives them.
    """
    shared = {"left_out": list(without), **provenance(("scikit-learn", "numpy"))}
    source = account.read_meta(table).get("source")
    if model.teacher:
        model.teacher.card.update(trained_on={"table": table.name, "sha256": sha256(table)}, source=source, **shared)
    named = [{"list": path.name, "sha256": sha256(path)} for path in lists]
    model.card.update(trained_on=named, scores=found, **shared)
    model.save(folder / PUPIL, DECIMALS)
