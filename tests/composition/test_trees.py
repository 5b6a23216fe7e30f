"""Forests on disk that are not what they say: each must end in one clear line, never in compiled code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import ROOT
from hypothesis import given
from hypothesis import strategies as st

from bandgaps import processors
from bandgaps.composition import forest
from bandgaps.errors import InputError
from bandgaps.files import sha256

LABELS = tuple("abcdef")
Arrays = dict[str, np.ndarray]

X = np.random.default_rng(0).normal(size=(60, len(LABELS)))
FITTED = forest.new().set_params(n_estimators=2).fit(X, X[:, 0] ** 2)


def saved(folder: Path) -> Path:
    """The forest, saved."""
    training = {"formula": np.array(["Si", "Ge"]), "target": np.array([0.6, 0.0])}
    forest.save(FITTED, folder, {"target": "band_gap"}, LABELS, training)
    return folder


def forge(folder: Path, change: Callable[[Arrays], Any], member: str = "trees") -> Path:
    """The forest with other arrays and the checksum that goes with them."""
    path = saved(folder) / f"{member}.npz"
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(path, **arrays)
    return with_checksum(path)


def with_checksum(path: Path) -> Path:
    card = json.loads((path.parent / "model.json").read_text())
    card["sha256"][path.name] = sha256(path)
    (path.parent / "model.json").write_text(json.dumps(card))
    return path.parent


def put(name: str, row: int, value: Any) -> Callable[[Arrays], Any]:
    return lambda arrays: arrays[name].__setitem__(row, value)


def cast(name: str, dtype: Any) -> Callable[[Arrays], Any]:
    return lambda arrays: arrays.update({name: arrays[name].astype(dtype)})


def all_of_them(name: str, array: np.ndarray) -> Callable[[Arrays], Any]:
    return lambda arrays: arrays.update({name: array})


def swap_children(arrays: Arrays) -> None:
    """The right child of the root becomes its left one, too: one subtree is reached twice, the other never."""
    arrays["left_child"][0] = arrays["right_child"][0]


def no_nodes(arrays: Arrays) -> None:
    arrays.update({name: array[:0] for name, array in arrays.items()})


CRAFTED: dict[str, tuple[Callable[[Arrays], Any], str]] = {
    "its own child": (put("left_child", 0, 0), "does not come after it"),
    "its own children": (lambda a: (put("left_child", 0, 0)(a), put("right_child", 0, 0)(a)), "does not come after it"),
    "a child far away": (put("left_child", 0, 2**30), "does not come after it"),
    "a child before the first": (put("right_child", 0, -(2**30)), "does not come after it"),
    "a child of the next tree": (lambda a: put("right_child", 0, int(a["node_count"][0]))(a), "does not come after it"),
    "one child": (put("right_child", 0, -1), "does not come after it"),
    "one child twice": (swap_children, "exactly one other"),
    "a leaf that lost its sister": (lambda a: (put("left_child", 0, -1)(a), put("right_child", 0, -1)(a)), "exactly"),
    "a feature far away": (put("feature", 0, 10**4), "feature is out of range in 1 of"),
    "a feature before the first": (put("feature", 0, -(2**14)), "feature is out of range in 1 of"),
    "no threshold": (put("threshold", 0, np.nan), "threshold is out of range"),
    "an infinite threshold": (put("threshold", 0, np.inf), "threshold is out of range"),
    "no value": (put("value", 3, np.nan), "value is out of range"),
    "a gap beyond all gaps": (put("value", 3, 1e300), "value is out of range"),
    "no impurity": (put("impurity", 3, np.nan), "impurity is out of range"),
    "an infinite impurity": (put("impurity", 3, np.inf), "impurity is out of range"),
    "a negative impurity": (put("impurity", 3, -0.1), "impurity is out of range"),
    "a node without rows": (put("n_node_samples", 3, 0), "n_node_samples is out of range"),
    "no nodes": (no_nodes, "node_count"),
    "more nodes than there are": (put("node_count", 0, 10**9), "node_count"),
    "counts that overflow": (all_of_them("node_count", np.full(4, 2**62)), "node_count"),
    "negative counts": (lambda a: a.update(node_count=np.array([-5, 5 + len(a["value"])])), "node_count"),
    "a tree without nodes": (lambda a: a.update(node_count=np.append(a["node_count"], 0)), "node_count"),
    "trees of one node": (lambda a: a.update(node_count=np.ones(len(a["value"]), int)), "does not come after it"),
    "no children": (lambda a: a.pop("left_child"), "no array left_child"),
    "no counts": (lambda a: a.pop("node_count"), "no array node_count"),
    "a short column": (lambda a: a.update(threshold=a["threshold"][:-1]), "threshold has"),
    "a column too many dimensions": (lambda a: a.update(value=a["value"][:, None]), "value is float64 of shape"),
    "a column without dimensions": (all_of_them("value", np.array(1.0)), r"value is float64 of shape \(\)"),
    "words": (cast("left_child", str), "left_child is <U"),
    "complex numbers": (cast("value", complex), "value is complex128"),
    "unsigned children": (cast("left_child", np.uint64), "left_child is uint64"),
    "fractional children": (cast("left_child", float), "left_child is float64"),
    "whole thresholds": (cast("threshold", np.int64), "threshold is int64"),
    "dates": (cast("feature", "datetime64[s]"), "feature is datetime64"),
    "truth": (cast("n_node_samples", bool), "n_node_samples is bool"),
    "long floats": (cast("threshold", np.longdouble), "threshold is"),
}  # fmt: skip

LOAD = """
import json, sys
import numpy as np
from bandgaps.composition import forest
from bandgaps.errors import InputError
for folder in sys.argv[1:]:
    try:
        model = forest.load(folder, tuple("abcdef"))[0]
        found = model.predict(np.zeros((3, 6)), return_std=True)[0].tolist()
    except InputError as error:
        found = str(error)
    print(json.dumps([folder, found]), flush=True)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What loading and asking each crafted forest ends in, in one process after the other that may die of it."""
    base = tmp_path_factory.mktemp("crafted")
    waiting = {str(forge(base / name, change)): name for name, (change, _) in CRAFTED.items()}
    found: dict[str, Any] = {}
    while waiting:
        run = subprocess.run(
            [sys.executable, "-c", LOAD, *waiting], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )
        found |= {waiting.pop(folder): answer for folder, answer in map(json.loads, run.stdout.splitlines())}
        if waiting:
            found[waiting.pop(next(iter(waiting)))] = f"the process died: {run.returncode} {run.stderr[-300:]}"
    return found


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_forest_is_refused(answers: dict[str, Any], name: str) -> None:
    answer = answers[name]
    assert isinstance(answer, str), answer
    assert re.search(rf"crafted0/{name}(: not a forest as this project saves it|/trees\.npz: )", answer), answer
    assert re.search(CRAFTED[name][1], answer), answer


def test_the_depth_is_counted_not_believed(tmp_path: Path) -> None:
    folder = forge(tmp_path / "model", all_of_them("max_depth", np.array([10**9, -3])))
    loaded = forest.load(folder, LABELS)[0].estimators_
    assert [each.get_depth() for each in loaded] == [each.get_depth() for each in FITTED.estimators_]


def test_small_and_big_endian_numbers_are_numbers(tmp_path: Path) -> None:
    def change(arrays: Arrays) -> None:
        cast("left_child", np.int16)(arrays), cast("right_child", ">i4")(arrays), cast("value", ">f8")(arrays)

    loaded = forest.load(forge(tmp_path / "model", change), LABELS)[0]
    np.testing.assert_array_equal(loaded.predict(X, True), FITTED.predict(X, True))


NUMBERS = st.sampled_from([0, 1, -1, -2, 2, 3, 7, 5000, 10**6, 2**31, 2**62, -(2**63), 2**63 - 1])
FLOATS = st.one_of(st.floats(), st.sampled_from([0.0, -1e-12, 1e5, 1e7, 1e308]))


@given(st.data())
def test_any_change_is_refused_or_harmless(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    def change(arrays: Arrays) -> None:
        for _ in range(data.draw(st.integers(1, 3))):
            array = arrays[data.draw(st.sampled_from(sorted(arrays)))]
            row = data.draw(st.integers(0, len(array) - 1))
            value = np.array(data.draw(NUMBERS if array.dtype.kind == "i" else FLOATS))
            with np.errstate(over="ignore"):
                array[row] = value.astype(array.dtype)  # integers wrap around

    folder = forge(tmp_path_factory.mktemp("forged") / "model", change)
    try:
        model = forest.load(folder, LABELS)[0]
    except InputError as error:
        assert str(error).startswith(f"{folder}: not a forest")
    else:
        assert np.isfinite(model.predict(X, return_std=True)).all()


@given(st.data())
def test_any_byte_is_refused_or_harmless(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = saved(tmp_path_factory.mktemp("forged") / "model")
    path = folder / data.draw(st.sampled_from(["trees.npz", "training.npz"]))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        model = forest.load(with_checksum(path), LABELS)[0]
    except InputError as error:
        assert str(folder) in str(error)
    else:
        np.testing.assert_array_equal(model.predict(X, return_std=True), FITTED.predict(X, return_std=True))


def with_card(folder: Path, **changes: Any) -> Path:
    path = saved(folder) / "model.json"
    card = json.loads(path.read_text())
    card["hyperparameters"] |= changes.pop("hyperparameters", {})
    path.write_text(json.dumps({key: value for key, value in (card | changes).items() if value is not None}))
    return folder


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hyperparameters": {"estimator": "os.system"}}, "unknown hyperparameter 'estimator'"),
        ({"hyperparameters": {"n_estimators": 3}}, "2 trees, of which the card says 3"),
        ({"hyperparameters": {"min_samples_split": "many"}}, "min_samples_split"),
        ({"hyperparameters": {"max_features": -1}}, "max_features"),
        ({"hyperparameters": {"criterion": "absolute_error"}}, "criterion 'absolute_error'"),
        ({"hyperparameters": {"max_features": 1e308}}, "max_features"),
        ({"target": None}, "target: Field required"),
        ({"target": 3}, "target: Input should be a valid string, found 3"),
        ({"features": None}, "features: Field required"),
        ({"features": ["a"]}, "other columns"),
        ({"teacher": "../../etc"}, "teacher: "),
        ({"left_out": "Si-Ge"}, "left_out: "),
        ({"name": 7}, "name: "),
        ({"sha256": {"/dev/zero": "0" * 64}}, "sha256"),
        ({"sha256": {"../trees.npz": "0" * 64}}, "sha256"),
        ({"sha256": ["trees.npz"]}, "sha256"),
    ],
)
def test_a_card_that_says_something_else_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    folder = with_card(tmp_path / "model", **changes)
    with pytest.raises(InputError, match=words) as caught:
        forest.load(folder, LABELS)
    assert str(caught.value).startswith((f"{folder}: ", f"{folder}/model.json: "))


def test_the_card_does_not_say_how_many_cores_work(tmp_path: Path) -> None:
    folder = with_card(tmp_path / "model", hyperparameters={"n_jobs": 10**6, "verbose": 100, "warm_start": True})
    found = forest.load(folder, LABELS)[0].get_params()
    assert (found["n_jobs"], found["verbose"], found["warm_start"]) == (processors.cores(), 0, False)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("formula"),
        lambda arrays: arrays.update(formula=np.array([1, 2])),
        lambda arrays: arrays.update(target=np.array(["a", "b"])),
        lambda arrays: arrays.update(target=np.array([1.0])),
        put("target", 0, np.nan),
    ],
)
def test_training_rows_without_formula_or_target_are_refused(tmp_path: Path, change: Callable[[Arrays], Any]) -> None:
    folder = forge(tmp_path / "model", change, "training")
    with pytest.raises(
        InputError, match=r"row it was trained on|training\.npz: (no array formula|formula is|target is)"
    ):
        forest.load(folder, LABELS)


@pytest.mark.parametrize("member", ["trees", "training"])
def test_a_card_without_a_member_is_refused(tmp_path: Path, member: str) -> None:
    path = saved(tmp_path / "model") / "model.json"
    card = json.loads(path.read_text())
    del card["sha256"][f"{member}.npz"]
    path.write_text(json.dumps(card))
    with pytest.raises(InputError, match="not a forest"):
        forest.load(path.parent, LABELS)
