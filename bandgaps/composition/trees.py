"""Regression trees as plain arrays, and from plain arrays, checked.

scikit-learn's compiled code follows a tree without looking whether the node it is sent to exists. So no array reaches
it before the checks here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from sklearn.tree._tree import NODE_DTYPE, Tree

from bandgaps.array_files import Wanted

INTEGERS = ("left_child", "right_child", "feature", "n_node_samples", "node_count")
FLOATS = ("threshold", "impurity", "value")
NODE_FIELDS = ("left_child", "right_child", "feature", "threshold", "impurity", "n_node_samples")
WANTED = {
    **{name: Wanted("i", (None,)) for name in INTEGERS},
    **{name: Wanted("f", (None,)) for name in FLOATS},
}
LEAF = -1  # instead of a child
LARGEST = 1e6  # |value|, eV
ROUNDING = 1e-9  # how far below 0 the variance in a node may lie, in units of its squared value


def to_arrays(trees: Sequence[Tree], decimals: int | None = None) -> dict[str, np.ndarray]:
    """The nodes of all trees, end to end, and under `node_count` how many each tree has.

    Thresholds are rounded down to single precision, which sends every row of single precision, as scikit-learn has
    them, the same way. What inner nodes hold besides is left out.

    Args:
        trees: fitted.
        decimals: to which leaves' values are rounded, so that files are small; impurities are then of half precision,
            and how many rows a leaf has is left out. By default all of it is kept.
    """
    states = [tree.__getstate__() for tree in trees]
    nodes = np.concatenate([state["nodes"] for state in states])
    values = np.concatenate([state["values"][:, 0, 0] for state in states])
    leaf, impurities, samples = nodes["left_child"] == LEAF, nodes["impurity"], nodes["n_node_samples"]
    if decimals is not None:
        values, impurities = np.round(values, decimals).astype(np.float32), impurities.astype(np.float16)
        samples = np.ones_like(samples)
    return {
        "left_child": nodes["left_child"].astype(np.int32),
        "right_child": nodes["right_child"].astype(np.int32),
        "feature": nodes["feature"].astype(np.int16),
        "threshold": _rounded_down(nodes["threshold"]),
        "impurity": np.where(leaf, impurities, 0).astype(impurities.dtype),
        "n_node_samples": np.where(leaf, samples, 1).astype(np.int32),
        "value": np.where(leaf, values, 0).astype(values.dtype),
        "node_count": np.array([tree.node_count for tree in trees]),
    }


def _rounded_down(threshold: np.ndarray) -> np.ndarray:
    single = threshold.astype(np.float32)
    return np.where(single > threshold, np.nextafter(single, np.float32(-np.inf)), single)


def from_arrays(arrays: Mapping[str, np.ndarray], features: int) -> list[Tree]:
    """The trees that `to_arrays` made arrays of.

    Args:
        arrays: as `WANTED`: columns of equal length, one row a node, and `node_count`, one row a tree.
        features: how many features the trees were grown on.

    Raises:
        ValueError: an array is of the wrong length, or its nodes are not those of regression trees.
    """
    _check_lengths(arrays)
    _check_nodes(arrays, features)
    nodes = np.zeros(len(arrays["value"]), dtype=NODE_DTYPE)
    for name in NODE_FIELDS:
        nodes[name] = arrays[name]
    nodes["weighted_n_node_samples"] = nodes["n_node_samples"]
    values = arrays["value"].astype(np.float64)[:, None, None]
    ends = np.cumsum(arrays["node_count"]).tolist()
    return [_tree(nodes[first:end], values[first:end], features) for first, end in pairwise([0, *ends])]


def _check_lengths(arrays: Mapping[str, np.ndarray]) -> None:
    counts, rows = arrays["node_count"], len(arrays["value"])
    for name in NODE_FIELDS:
        if len(arrays[name]) != rows:
            raise ValueError(f"{name} has {len(arrays[name])} rows, value {rows}")
    if not counts.size or counts.min() < 1 or counts.max() > rows or counts.sum() != rows:
        raise ValueError(f"node_count does not share out the {rows} nodes among trees")


def _check_nodes(arrays: Mapping[str, np.ndarray], features: int) -> None:
    """Ranges of the numbers; comparisons are such that NaN fails them."""
    feature = arrays["feature"][arrays["left_child"] != LEAF]
    values, impurities = (arrays[name].astype(np.float64) for name in ("value", "impurity"))
    lowest = -ROUNDING * np.clip(np.abs(values), 1, LARGEST) ** 2
    for name, right in (
        ("feature", (feature >= 0) & (feature < features)),
        ("threshold", np.isfinite(arrays["threshold"])),
        ("value", np.abs(values) <= LARGEST),
        ("impurity", impurities <= LARGEST**2),
        ("impurity", impurities >= lowest),
        ("n_node_samples", arrays["n_node_samples"] >= 1),
    ):
        if not right.all():
            raise ValueError(f"{name} is out of range in {np.count_nonzero(~right)} of {len(values)} nodes")


def _tree(nodes: np.ndarray, values: np.ndarray, features: int) -> Tree:
    left, right = nodes["left_child"], nodes["right_child"]
    _check_children(left, right)
    tree = Tree(features, np.array([1], dtype=np.intp), 1)
    state = {"max_depth": _depth(left, right), "node_count": len(nodes), "nodes": nodes, "values": values}
    tree.__setstate__(state)
    return tree


def _check_children(left: np.ndarray, right: np.ndarray) -> None:
    """Whether these children, indices in their tree or twice `LEAF`, make one tree of all nodes.

    A child comes after its parent, so that no way leads in a circle.
    """
    inner = np.flatnonzero((left != LEAF) | (right != LEAF))
    parents, children = np.tile(inner, 2), np.concatenate([left[inner], right[inner]])
    if ((children <= parents) | (children >= len(left))).any():
        raise ValueError("a node has a child that does not come after it in its tree")
    if (np.bincount(children, minlength=len(left))[1:] != 1).any():
        raise ValueError("a node is not the child of exactly one other")


def _depth(left: np.ndarray, right: np.ndarray) -> int:
    """How many steps the lowest leaf is from the root."""
    depth, level = -1, np.zeros(1, dtype=np.intp)
    while level.size:
        depth += 1
        inner = level[left[level] != LEAF]
        level = np.concatenate([left[inner], right[inner]])
    return depth
