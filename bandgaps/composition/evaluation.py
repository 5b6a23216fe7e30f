"""How the composition model is scored, tuned and compared, on rows of the shared table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandgaps import metrics
from bandgaps.composition import forest
from bandgaps.composition.cluster import PART, features, in_parts
from bandgaps.table import columns, splitting

IMPORTANCE_ROWS = 500  # enough to rank features; the cost grows with rows x features
SHUFFLES = 3  # of each feature
FEATURES_A_PART = 20  # shuffled at once: a call of a forest has its price, a row its memory


@dataclass(frozen=True)
class Rows:
    """A table as a forest sees it: Magpie features, the target in eV, and which rows are metals or for testing."""

    formula: np.ndarray
    X: np.ndarray
    y: np.ndarray
    metal: np.ndarray
    test: np.ndarray

    @property
    def train(self) -> np.ndarray:
        """The rows a forest is grown on: all that are not for testing."""
        return ~self.test

    @classmethod
    def of(cls, table: pd.DataFrame, target: str, path: Path, seed: int) -> Rows:
        """The table's own split, or one by `seed` where it has none.

        Raises:
            InputError: the target is missing or not a number, or a formula cannot be read.
        """
        rows = cls.to_score(table, target, path)
        parts = table["split"].to_numpy() if "split" in table else splitting.split(rows.metal, seed)
        return replace(rows, test=parts == "test")

    @classmethod
    def to_score(cls, table: pd.DataFrame, target: str, path: Path) -> Rows:
        """All rows for testing.

        Raises:
            InputError: as `of`.
        """
        y = columns.target_values(table, target, path)
        formula = table["formula"].to_numpy()
        metal = columns.is_metal(table, target)
        return cls(formula, features(formula.tolist()), y, metal, np.ones(len(table), dtype=bool))

    def without(self, formulas: np.ndarray) -> Rows:
        """The same rows, but none of these formulas for testing."""
        return replace(self, test=self.test & ~np.isin(self.formula.astype(str), formulas.astype(str)))


def score(model: Any, rows: Rows) -> dict[str, Any]:
    """Scores (eV) on the test rows that are no metals, the share within one sigma, and under `all` on all test rows."""
    part = rows.test & ~rows.metal
    mean, std = _predict(model, rows.X[part])
    result: dict[str, Any] = dict(metrics.scores(rows.y[part], mean))
    if std is not None and part.any():
        result["within_1_sigma"], result["within_2_sigma"] = metrics.coverage(
            rows.y[part], mean, std, np.array([1, 2])
        ).tolist()
    result["all"] = metrics.scores(rows.y[rows.test], _predict(model, rows.X[rows.test])[0])
    return result


def _predict(model: Any, X: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean and, of a forest, standard deviation; large tables in parts, which a cluster shares out."""
    if not len(X):
        return np.empty(0), None
    if not isinstance(model, forest.UncertainForest):
        return model.predict(X), None
    if len(X) <= PART:
        return model.predict(X, return_std=True)
    parts = in_parts(lambda part: model.predict(X[part], return_std=True), len(X))
    mean, std = (np.concatenate(each) for each in zip(*parts, strict=True))
    return mean, std


def importances(model: Any, X: np.ndarray, y: np.ndarray, features: Sequence[str]) -> pd.DataFrame:
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
        predicted, _ = _predict(model, shuffled.reshape(-1, X.shape[1]))
        errors.append(np.abs(predicted.reshape(shuffled.shape[:3]) - y).mean(axis=2))
    increases = np.concatenate(errors) - np.abs(_predict(model, X)[0] - y).mean()
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
    part = rows.train & ~rows.metal
    return {name: score(model.fit(rows.X[part], rows.y[part]), rows) for name, model in candidates.items()}


def tune(rows: Rows, candidates: int, seed: int, jobs: int) -> dict[str, Any]:
    """The best of so many random hyperparameters, by three-fold cross-validation over the training non-metals."""
    from sklearn.model_selection import RandomizedSearchCV

    choices = {
        "n_estimators": [100, 200],
        "max_features": [0.25, 0.33, 0.5, 0.75, 1.0],
        "min_samples_split": [2, 3, 4, 6, 8],
        "bootstrap": [False, True],
    }
    part = rows.train & ~rows.metal
    search = RandomizedSearchCV(
        forest.new(seed, jobs), choices, n_iter=candidates, scoring="neg_mean_absolute_error", cv=3, random_state=seed
    )
    return dict(search.fit(rows.X[part], rows.y[part]).best_params_)


def cross_validate(rows: Rows, folds: int, seed: int, jobs: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Mean and standard deviation over K folds of all rows of each model's MAE (eV) on the non-metals held out."""
    from sklearn.model_selection import StratifiedKFold

    maes: dict[str, list[float]] = {"non-metals": [], "combined": []}
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows.X, rows.metal):
        held_out = test[~rows.metal[test]]
        for name, part in (("non-metals", train[~rows.metal[train]]), ("combined", train)):
            model = forest.new(seed, jobs).set_params(**settings).fit(rows.X[part], rows.y[part])
            maes[name].append(metrics.scores(rows.y[held_out], model.predict(rows.X[held_out]))["mae"])
    return {name: {"mae": float(np.mean(m)), "mae_std": float(np.std(m)), "folds": m} for name, m in maes.items()}
