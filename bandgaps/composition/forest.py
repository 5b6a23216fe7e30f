"""A random forest of regression trees whose predict also returns a standard deviation.

Each tree t gives its leaf's mean and its leaf's impurity, the variance of the training values in it. Taking a random
tree and then a random training value of its leaf, the law of total variance gives

    var = mean_t(impurity_t + mean_t²) - (mean_t mean_t)²

(Hutter et al., Artif. Intell. 206, 79, section 4.3.2). The training of the forest is scikit-learn's, unchanged:
extremely randomized trees (Geurts et al., Mach. Learn. 63, 3), which on Magpie features are both quicker to grow and
more accurate than trees that search every threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.tree import ExtraTreeRegressor
from sklearn.tree._tree import Tree

from bandgaps import model_folders, processors
from bandgaps.array_files import Wanted
from bandgaps.composition import trees
from bandgaps.errors import InputError, quoted

KIND = "composition forest"
TRAINING = {"formula": Wanted("U", (None,)), "target": Wanted("f", (None,), optional=True)}
_CHUNK = 10_000  # rows whose leaves are looked up at once


class Card(model_folders.Card):
    """What the card of a forest has."""

    target: str
    hyperparameters: dict[str, Any]
    features: list[str]
    teacher: model_folders.FolderName | None = None


class UncertainForest(ExtraTreesRegressor):
    """scikit-learn's ExtraTreesRegressor; `predict(X, return_std=True)` adds the leaf-impurity standard deviation."""

    def predict(self, X: np.ndarray, return_std: bool = False) -> Any:
        """Predict the target.

        Args:
            X: features, shape (rows, features).
            return_std: whether to return the standard deviation too.

        Returns:
            The mean over trees, shape (rows,), in the target's unit; with `return_std`, it and the standard deviation.

        Raises:
            ValueError: a standard deviation is asked of trees grown on another criterion than squared error, whose
                impurity is not a variance.
        """
        if not return_std:
            return super().predict(X)
        if self.criterion != "squared_error":
            raise ValueError(f"criterion is {self.criterion!r}; leaf impurity is a variance with 'squared_error' only")
        values, std = self._leaves(X)
        return values.mean(axis=1), std

    def distribution(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The leaf means of all trees in ascending order, shape (rows, trees), and the leaf-impurity sigma, (rows,)."""
        values, std = self._leaves(X)
        values.sort(axis=1)
        return values.astype(np.float32), std

    def _leaves(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mean of each tree's leaf, shape (rows, trees), and the leaf-impurity sigma, shape (rows,)."""
        means, impurities, starts = self._nodes()
        values, std = np.empty((len(X), len(self.estimators_))), np.empty(len(X))
        for first in range(0, len(X), _CHUNK):
            rows = slice(first, first + _CHUNK)
            leaves = self.apply(X[rows]) + starts
            values[rows] = means[leaves]
            spread = np.var(values[rows], axis=1) + impurities[leaves].mean(axis=1)
            std[rows] = np.sqrt(np.maximum(spread, 0))  # a pure leaf's impurity is 0 up to rounding
        return values, std

    def _nodes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean and impurity of every node of every tree, end to end, and where each tree starts."""
        grown = [estimator.tree_ for estimator in self.estimators_]
        starts = np.cumsum([0, *(tree.node_count for tree in grown[:-1])])
        return np.concatenate([t.value[:, 0, 0] for t in grown]), np.concatenate([t.impurity for t in grown]), starts


def new(seed: int = 0, jobs: int | None = None) -> UncertainForest:
    """The default forest: 100 trees that choose among a third of the features and do not split groups of 3 rows."""
    return UncertainForest(n_estimators=100, max_features=1 / 3, min_samples_split=4, random_state=seed, n_jobs=jobs)


def save(
    forest: UncertainForest,
    folder: Path | str,
    card: dict[str, Any],
    features: Sequence[str],
    training: model_folders.Arrays,
    decimals: int | None = None,
) -> None:
    """Write a fitted forest as a model folder.

    Args:
        forest: a fitted forest.
        folder: where to.
        card: what a reader wants to know of it.
        features: names of the columns it was fitted on.
        training: the rows it was fitted on, `formula` and, if it may be told, `target` (eV).
        decimals: as in `trees.to_arrays`.
    """
    arrays = trees.to_arrays([estimator.tree_ for estimator in forest.estimators_], decimals)
    card = {"kind": KIND, **card, "hyperparameters": forest.get_params(), "features": list(features)}
    model_folders.save(folder, card, {"trees": arrays, "training": training})


def read_card(folder: Path | str) -> dict[str, Any]:
    """The card of a forest.

    Raises:
        InputError: there is no forest in the folder.
    """
    return model_folders.read_card(folder, KIND, Card)


def load(folder: Path | str, features: Sequence[str]) -> tuple[UncertainForest, dict[str, Any], model_folders.Arrays]:
    """Read a forest, its card and the rows it was fitted on; it predicts with all cores.

    Args:
        folder: of `save`.
        features: names of the columns it must have been fitted on.

    Raises:
        InputError: there is no forest in the folder, it is damaged, or it was trained on other features.
    """
    groups = {"trees": trees.WANTED, "training": TRAINING}
    card, members = model_folders.load(folder, KIND, Card, lambda _, member: groups.get(member))
    if groups.keys() - members.keys():
        raise InputError(f"{folder}: its card names no {' or '.join(groups)}, so it is not a forest; train it again")
    if card.get("features") != list(features):
        raise InputError(f"{folder}: trained on other columns than these {len(features)} features; train it again")
    try:
        forest = _forest(card, members["trees"], len(features))
        training = _training(members["training"])
    except ValueError as error:
        raise InputError(f"{folder}: not a forest as this project saves it ({error}); train it again") from None
    return forest, card, training


def _forest(card: dict[str, Any], arrays: model_folders.Arrays, features: int) -> UncertainForest:
    forest = _hyperparameters(card)
    forest.estimators_ = [_estimator(tree, features) for tree in trees.from_arrays(arrays, features)]
    forest.n_features_in_, forest.n_outputs_ = features, 1
    if forest.n_estimators != len(forest.estimators_):
        raise ValueError(f"{len(forest.estimators_)} trees, of which the card says {forest.n_estimators}")
    return forest


def _hyperparameters(card: dict[str, Any]) -> UncertainForest:
    """A forest to be, as the card says, but silent and with all cores.

    Raises:
        ValueError: they are others than a forest with uncertainty can have.
    """
    hyperparameters, forest = card["hyperparameters"], new()
    unknown = sorted(hyperparameters.keys() - forest.get_params().keys())
    if unknown:
        raise ValueError(f"unknown hyperparameter {quoted(unknown[0])}")
    forest.set_params(**hyperparameters).set_params(n_jobs=processors.cores(), verbose=0, warm_start=False)
    forest._validate_params()
    if forest.criterion != "squared_error":
        raise ValueError(f"criterion {quoted(forest.criterion)}, whose impurity is no variance")
    return forest


def _training(arrays: model_folders.Arrays) -> model_folders.Arrays:
    """The rows it was fitted on.

    Raises:
        ValueError: their targets are not as many finite numbers.
    """
    if "target" not in arrays:
        return arrays
    if arrays["formula"].shape != arrays["target"].shape or not np.isfinite(arrays["target"]).all():
        raise ValueError("not every row it was trained on has a target")
    return arrays


def _estimator(tree: Tree, features: int) -> ExtraTreeRegressor:
    estimator = ExtraTreeRegressor()
    estimator.tree_, estimator.max_features_ = tree, features
    estimator.n_features_in_, estimator.n_outputs_ = features, 1
    return estimator
