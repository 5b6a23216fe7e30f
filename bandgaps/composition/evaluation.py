"""How the composition model is scored, tuned and compared, on rows of the shared table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandgaps import metrics
from bandgaps.composition import forest
from bandgaps.composition.features import composition_hashes
from bandgaps.composition.gap_model import NOT, GapModel
from bandgaps.composition.parts import PART, features, in_parts
from bandgaps.errors import InputError
from bandgaps.intervals import Distribution
from bandgaps.table import columns, splitting

MODELS = ("non-metals", "combined")  # what each of the two forests is grown on
IMPORTANCE_ROWS = 500  # enough to rank features; the cost grows with rows x features
TUNING_FOLDS = 3
CHOICES = {  # of hyperparameters, that tuning draws from
    "n_estimators": [100, 200],
    "max_features": [0.25, 0.33, 0.5, 0.75, 1.0],
    "min_samples_split": [2, 3, 4, 6, 8],
    "bootstrap": [False, True],
}
SHUFFLES = 3  # of each feature
FEATURES_A_PART = 20  # shuffled at once: a call of a forest has its price, a row its memory


@dataclass(frozen=True)
class Rows:
    """A table as a forest sees it: features, the target in eV, and which rows are metals or for testing."""

    formula: np.ndarray
    hashes: np.ndarray
    X: np.ndarray
    y: np.ndarray
    metal: np.ndarray
    test: np.ndarray

    @property
    def train(self) -> np.ndarray:
        """The rows a forest is grown on: all that are not for testing. It needs none to stop or to calibrate it."""
        return ~self.test

    def grown_on(self, model: str) -> np.ndarray:
        """The rows that one of `MODELS` is grown on, shape (rows,)."""
        return self.train & ~self.metal if model == "non-metals" else self.train

    @classmethod
    def of(cls, table: pd.DataFrame, target: str, path: Path) -> Rows:
        """The table's own split, or that of seed 0 where it has none.

        Args:
            table: one row a composition.
            target: the column to learn, eV.
            path: where the table was read.

        Raises:
            InputError: as `to_score`, or one of `MODELS` has no rows to be grown on or tested with.
        """
        rows = cls.to_score(table, target, path)
        rows = replace(rows, test=splitting.with_split(table, target)["split"].to_numpy() == "test")
        for name in MODELS:
            for purpose, needed in (("training", rows.grown_on(name)), ("test", rows.test & ~rows.metal)):
                if not needed.any():
                    raise InputError(f"{path}: no {purpose} rows for the model {name!r}; query a larger table")
        return rows

    @classmethod
    def to_score(cls, table: pd.DataFrame, target: str, path: Path) -> Rows:
        """All rows for testing.

        Raises:
            InputError: the target is missing or not a number, or a formula cannot be read.
        """
        y = columns.target_values(table, target, path)
        formula = table["formula"].to_numpy()
        metal = columns.is_metal(table, target)
        X, hashes = features(formula.tolist()), composition_hashes(formula.tolist())
        return cls(formula, hashes, X, y, metal, np.ones(len(table), dtype=bool))

    def untaught(self, model: GapModel) -> Rows:
        """The same rows, but none for testing whose composition taught a model or its teacher."""
        return replace(self, test=self.test & (model.in_training(self.hashes) == NOT))


def score(model: Any, rows: Rows) -> dict[str, Any]:
    """Scores of the median (eV) on the test rows that are no metals, and under `all` on all test rows.

    Args:
        model: a `GapModel`, or anything with scikit-learn's `predict`.
        rows: with test rows.

    Returns:
        As `metrics.scores`. Of a `GapModel` also the shares of rows within one and two sigma and in the intervals of
        68 and 95 %; under `metals` the same of metals, and under `all` the area under the ROC curve, metal or not.
    """
    gapped = rows.test & ~rows.metal
    if not isinstance(model, GapModel):
        return {**_scored(model, rows, gapped), "all": _scored(model, rows, rows.test)}
    found, metal = distribution(model, rows.X[rows.test]), rows.metal[rows.test]
    everything = metrics.scores(rows.y[rows.test], found.median) | roc_auc(model, found, metal)
    return {
        **scores_of(model, found, rows.y[rows.test], ~metal),
        "metals": scores_of(model, found, rows.y[rows.test], metal),
        "all": everything,
    }


def roc_auc(model: GapModel, found: Distribution, metal: np.ndarray) -> metrics.Scores:
    """The area under the ROC curve, metal or not, as `roc_auc`; empty where all rows are of one kind.

    Args:
        model: whose intervals make votes of trees a probability.
        found: of each row.
        metal: which rows are metals, shape (rows,).
    """
    if metal.all() or not metal.any():
        return {}
    from sklearn.metrics import roc_auc_score

    return {"roc_auc": float(roc_auc_score(metal, model.intervals.metal_probability(found)))}


def _scored(model: Any, rows: Rows, part: np.ndarray) -> metrics.Scores:
    return metrics.scores(rows.y[part], model.predict(rows.X[part]) if part.any() else np.empty(0))


def scores_of(model: GapModel, found: Distribution, actual: np.ndarray, part: np.ndarray) -> dict[str, Any]:
    """Scores of the median, and how many actual values sigma and the intervals hold, of some rows."""
    median = found.median
    result: dict[str, Any] = dict(metrics.scores(actual[part], median[part]))
    if part.any():
        sigmas = metrics.coverage(actual[part], median[part], found.std[part], np.array([1, 2]))
        result["within_1_sigma"], result["within_2_sigma"] = sigmas.tolist()
        for share, (low, high) in zip(model.intervals.shares, model.intervals.bounds(found), strict=True):
            held = (low[part] <= actual[part]) & (actual[part] <= high[part])
            result[f"within_{100 * share:.0f}"] = float(held.mean())
    return result


def distribution(model: GapModel, X: np.ndarray) -> Distribution:
    """What a model's trees say; large tables in parts, which a cluster shares out."""
    if len(X) <= PART:
        return model.distribution(X)
    parts = in_parts(lambda part: model.distribution(X[part]), len(X))
    return Distribution(*(np.concatenate(each) for each in zip(*map(astuple, parts), strict=True)))


def importances(model: GapModel, X: np.ndarray, y: np.ndarray, features: Sequence[str]) -> pd.DataFrame:
    """Increase of the mean absolute error (eV) when a feature is shuffled among rows, the costliest feature first.

    Breiman, Mach. Learn. 45, 5, over three shuffles, which are the same for every feature.
    """
    generator = np.random.default_rng(0)
    rows = generator.permutation(len(X))[:IMPORTANCE_ROWS]
    X, y = X[rows], y[rows]
    orders = np.array([generator.permutation(len(X)) for _ in range(SHUFFLES)])
    errors = []
    for start in range(0, X.shape[1], FEATURES_A_PART):
        part = range(X.shape[1])[start : start + FEATURES_A_PART]
        shuffled = np.tile(X, (len(part), SHUFFLES, 1, 1))
        for own, column in zip(shuffled, part, strict=True):
            own[:, :, column] = X[orders, column]
        predicted = distribution(model, shuffled.reshape(-1, X.shape[1])).median
        errors.append(np.abs(predicted.reshape(shuffled.shape[:3]) - y).mean(axis=2))
    increases = np.concatenate(errors) - np.abs(distribution(model, X).median - y).mean()
    columns = {"feature": features, "mae_increase": increases.mean(axis=1), "mae_increase_std": increases.std(axis=1)}
    return pd.DataFrame(columns).sort_values("mae_increase", ascending=False, ignore_index=True)


def baselines(rows: Rows) -> dict[str, dict[str, Any]]:
    """Scores of simpler models trained on the non-metals: their mean, ridge regression, a support vector machine."""
    from sklearn.dummy import DummyRegressor
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    candidates = {
        "mean": DummyRegressor(),
        "ridge": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15))),
        "SVR": make_pipeline(StandardScaler(), SVR(C=10)),
    }
    part = rows.grown_on("non-metals")
    return {name: score(model.fit(rows.X[part], rows.y[part]), rows) for name, model in candidates.items()}


def check_tuning(rows: Rows) -> None:
    """Raise InputError if there are too few rows for `tune`."""
    found = int(rows.grown_on("non-metals").sum())
    if found < TUNING_FOLDS:
        raise InputError(f"needs {TUNING_FOLDS} training rows that are non-metals; found {found}; query a larger table")


def check_folds(rows: Rows, folds: int, tuned: bool) -> None:
    """Raise InputError if there are too few rows for `cross_validate` with so many folds."""
    for name, part in (("metals", rows.metal), ("non-metals", ~rows.metal)):
        found = int(part.sum())
        if 0 < found < folds:
            raise InputError(f"{folds} folds need as many {name}; found {found}; take fewer folds or a larger table")
    gapped = int((~rows.metal).sum())
    if tuned and gapped - math.ceil(gapped / folds) < TUNING_FOLDS:
        raise InputError(f"{gapped} non-metals are too few to tune within {folds} folds; query a larger table")


def tune(rows: Rows, candidates: int, seed: int, jobs: int) -> dict[str, Any]:
    """The best of so many random hyperparameters, by three-fold cross-validation over the training non-metals."""
    from sklearn.model_selection import RandomizedSearchCV

    part = rows.grown_on("non-metals")
    search = RandomizedSearchCV(
        forest.new(seed, jobs),
        CHOICES,
        n_iter=candidates,
        scoring=lambda grown, X, y: -np.abs(Distribution(*grown.distribution(X)).median - y).mean(),
        cv=TUNING_FOLDS,
        random_state=seed,
    )
    return dict(search.fit(rows.X[part], rows.y[part]).best_params_)


def cross_validate(rows: Rows, folds: int, seed: int, jobs: int, candidates: int = 0) -> dict[str, Any]:
    """How well each model does on rows that are held out in turn.

    Args:
        rows: all of them take part, whatever they are for.
        folds: how many.
        seed: of the folds and the forests.
        jobs: cores.
        candidates: how many hyperparameters to choose among, anew within each fold's training rows, so that no row
            scores what it has chosen (nested cross-validation); 0 takes the default ones.

    Returns:
        Of each of `MODELS` the mean absolute error on the non-metals held out (eV): mean and standard deviation over
        folds, and each fold's; where they were chosen, also each fold's hyperparameters.
    """
    from sklearn.model_selection import StratifiedKFold

    maes: dict[str, list[float]] = {name: [] for name in MODELS}
    chosen = []
    for _, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows.X, rows.metal):
        fold = replace(rows, test=np.isin(np.arange(len(rows.y)), test))
        chosen.append(tune(fold, candidates, seed, jobs) if candidates else {})
        for name in MODELS:
            part = fold.grown_on(name)
            model = forest.new(seed, jobs).set_params(**chosen[-1]).fit(rows.X[part], rows.y[part])
            held_out = fold.test & ~fold.metal
            found = Distribution(*model.distribution(rows.X[held_out]))
            maes[name].append(metrics.scores(rows.y[held_out], found.median)["mae"])
    tuned = {"hyperparameters": chosen} if candidates else {}
    return {
        name: {"mae": float(np.mean(m)), "mae_std": float(np.std(m)), "folds": m} | tuned for name, m in maes.items()
    }
