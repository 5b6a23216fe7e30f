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
from sklearn.tree._tree import NODE_DTYPE, Tree

from bandgaps import model_folders
from bandgaps.errors import InputError

KIND = "composition forest"
_NODE_FIELDS = ("left_child", "right_child", "feature", "threshold", "impurity", "n_node_samples")
_CHUNK = 10_000  # rows whose leaves are looked up at once


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
        means, impurities, starts = self._nodes()
        mean, std = np.empty(len(X)), np.empty(len(X))
        for first in range(0, len(X), _CHUNK):
            rows = slice(first, first + _CHUNK)
            leaves = self.apply(X[rows]) + starts
            leaf_means = means[leaves]
            mean[rows] = leaf_means.mean(axis=1)
            spread = np.var(leaf_means, axis=1) + impurities[leaves].mean(axis=1)
            std[rows] = np.sqrt(np.maximum(spread, 0))  # a pure leaf's impurity is 0 up to rounding
        return mean, std

    def _nodes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean and impurity of every node of every tree, end to end, and where each tree starts."""
        trees = [estimator.tree_ for estimator in self.estimators_]
        starts = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
        return np.concatenate([t.value[:, 0, 0] for t in trees]), np.concatenate([t.impurity for t in trees]), starts


def new(seed: int = 0, jobs: int | None = None) -> UncertainForest:
    """The default forest: 100 trees that choose among a third of the features and do not split groups of 3 rows."""
    return UncertainForest(n_estimators=100, max_features=1 / 3, min_samples_split=4, random_state=seed, n_jobs=jobs)


def save(
    forest: UncertainForest,
    folder: Path | str,
    card: dict[str, Any],
    features: Sequence[str],
    training: model_folders.Arrays,
) -> None:
    """Write a fitted forest as a model folder.

    Args:
        forest: a fitted forest.
        folder: where to.
        card: what a reader wants to know of it.
        features: names of the columns it was fitted on.
        training: the rows it was fitted on, `formula` and `target` (eV).
    """
    trees = [estimator.tree_ for estimator in forest.estimators_]
    states = [tree.__getstate__() for tree in trees]
    nodes = np.concatenate([state["nodes"] for state in states])
    arrays = {name: np.ascontiguousarray(nodes[name]) for name in _NODE_FIELDS}
    arrays["value"] = np.concatenate([state["values"][:, 0, 0] for state in states])
    arrays["node_count"] = np.array([tree.node_count for tree in trees])
    arrays["max_depth"] = np.array([tree.max_depth for tree in trees])
    card = {"kind": KIND, **card, "hyperparameters": forest.get_params(), "features": list(features)}
    model_folders.save(folder, card, {"trees": arrays, "training": training})


def load(folder: Path | str, features: Sequence[str]) -> tuple[UncertainForest, dict[str, Any], model_folders.Arrays]:
    """Read a forest, its card and the rows it was fitted on.

    Raises:
        InputError: there is no forest in the folder, it is damaged, or it was trained on other features.
    """
    card, members = model_folders.load(folder, KIND)
    if card.get("features") != list(features):
        raise InputError(f"{folder}: trained on other columns than these {len(features)} features; train it again")
    forest = UncertainForest(**card["hyperparameters"])
    arrays = members["trees"]
    ends = np.cumsum(arrays["node_count"])
    parts = [slice(end - count, end) for end, count in zip(ends, arrays["node_count"], strict=True)]
    depths = arrays["max_depth"].tolist()
    forest.estimators_ = [_tree(arrays, *each, len(features)) for each in zip(parts, depths, strict=True)]
    forest.n_features_in_, forest.n_outputs_ = len(features), 1
    return forest, card, members["training"]


def _tree(arrays: dict[str, np.ndarray], part: slice, depth: int, features: int) -> ExtraTreeRegressor:
    nodes = np.zeros(part.stop - part.start, dtype=NODE_DTYPE)
    for name in _NODE_FIELDS:
        nodes[name] = arrays[name][part]
    nodes["weighted_n_node_samples"] = nodes["n_node_samples"]
    tree = Tree(features, np.array([1], dtype=np.intp), 1)
    values = np.ascontiguousarray(arrays["value"][part, None, None])
    tree.__setstate__({"max_depth": depth, "node_count": len(nodes), "nodes": nodes, "values": values})
    estimator = ExtraTreeRegressor()
    estimator.tree_, estimator.n_features_in_, estimator.n_outputs_, estimator.max_features_ = (
        tree,
        features,
        1,
        features,
    )
    return estimator
