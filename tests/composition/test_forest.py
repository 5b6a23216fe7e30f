from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import RandomizedSearchCV

from bandgaps.composition import forest
from bandgaps.errors import InputError

LABELS = tuple("abcdef")


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(300, len(LABELS)))
    return X, X[:, 0] ** 2 + generator.normal(size=300)


@pytest.fixture(scope="module")
def fitted(data: tuple[np.ndarray, np.ndarray]) -> forest.UncertainForest:
    return forest.new(seed=0).set_params(min_samples_leaf=3).fit(*data)


def test_the_mean_is_scikit_learns(data: tuple[np.ndarray, np.ndarray], fitted: forest.UncertainForest) -> None:
    peer = ExtraTreesRegressor(**fitted.get_params()).fit(*data)
    mean, _ = fitted.predict(data[0], return_std=True)
    np.testing.assert_allclose(mean, peer.predict(data[0]), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(fitted.predict(data[0]), peer.predict(data[0]))


def test_the_variance_is_that_of_a_random_training_row_of_a_random_trees_leaf(
    data: tuple[np.ndarray, np.ndarray], fitted: forest.UncertainForest
) -> None:
    X, y = data
    _, std = fitted.predict(X[:20], return_std=True)
    for row in range(20):
        weights = np.zeros(len(y))
        for tree in fitted.estimators_:
            same_leaf = tree.apply(X) == tree.apply(X[[row]])
            weights += same_leaf / same_leaf.sum() / len(fitted.estimators_)
        mean = weights @ y
        assert std[row] ** 2 == pytest.approx(weights @ (y - mean) ** 2, abs=1e-9)


def test_pure_leaves_that_agree_leave_no_doubt() -> None:
    X = np.arange(8.0)[:, None]
    model = forest.new().set_params(min_samples_split=2).fit(X, np.full(8, 0.7))
    assert model.predict(X, return_std=True)[1].tolist() == [0.0] * 8


def test_other_criteria_give_no_variance(data: tuple[np.ndarray, np.ndarray]) -> None:
    model = forest.new().set_params(criterion="absolute_error", n_estimators=2).fit(*data)
    with pytest.raises(ValueError, match="absolute_error"):
        model.predict(data[0], return_std=True)


def test_it_can_be_cloned_and_searched_over(data: tuple[np.ndarray, np.ndarray]) -> None:
    search = RandomizedSearchCV(
        clone(forest.new()), {"n_estimators": [3, 5], "min_samples_split": [2, 8]}, n_iter=2, cv=2, random_state=0
    )
    search.fit(*data)
    assert isinstance(search.best_estimator_, forest.UncertainForest)
    assert search.best_estimator_.predict(data[0], return_std=True)[1].min() >= 0


@pytest.fixture
def saved(tmp_path: Path, fitted: forest.UncertainForest) -> Path:
    training = {"formula": np.array(["Si", "Ge"]), "target": np.array([0.6, 0.0])}
    forest.save(fitted, tmp_path / "model", {"target": "band_gap"}, LABELS, training)
    return tmp_path / "model"


def test_a_saved_forest_predicts_the_same(
    saved: Path, data: tuple[np.ndarray, np.ndarray], fitted: forest.UncertainForest
) -> None:
    model, card, training = forest.load(saved, LABELS)
    for one, other in zip(model.predict(data[0], True), fitted.predict(data[0], True), strict=True):
        np.testing.assert_array_equal(one, other)
    model.set_params(n_jobs=None)  # several threads add up the trees in any order
    np.testing.assert_array_equal(model.predict(data[0]), fitted.predict(data[0]))
    assert card["target"] == "band_gap"
    assert training["formula"].tolist() == ["Si", "Ge"]


def at_thresholds(model: forest.UncertainForest, X: np.ndarray) -> np.ndarray:
    """Rows whose features lie on thresholds of the trees, or next to them in single precision."""
    trees = [estimator.tree_ for estimator in model.estimators_]
    thresholds = np.concatenate([tree.threshold[tree.feature >= 0] for tree in trees]).astype(np.float32)
    near = np.concatenate([thresholds, np.nextafter(thresholds, np.inf), np.nextafter(thresholds, -np.inf)])
    return np.random.default_rng(1).choice(near, (2000, X.shape[1]))


@pytest.mark.parametrize("decimals", [None, 3])
def test_every_row_comes_to_the_same_leaf(
    tmp_path: Path, data: tuple[np.ndarray, np.ndarray], fitted: forest.UncertainForest, decimals: int | None
) -> None:
    forest.save(fitted, tmp_path / "model", {"target": "band_gap"}, LABELS, {"formula": np.array(["Si"])}, decimals)
    model, _, _ = forest.load(tmp_path / "model", LABELS)
    rows = np.concatenate([data[0].astype(np.float32), at_thresholds(fitted, data[0])])
    np.testing.assert_array_equal(model.apply(rows), fitted.apply(rows))
    thresholds = np.load(tmp_path / "model" / "trees.npz")["threshold"]
    assert thresholds.dtype == np.float32


def test_leaves_that_are_rounded_change_by_half_a_millivolt_at_most(
    tmp_path: Path, data: tuple[np.ndarray, np.ndarray], fitted: forest.UncertainForest
) -> None:
    sizes = {}
    for decimals in (None, 3):
        folder = tmp_path / str(decimals)
        forest.save(fitted, folder, {"target": "band_gap"}, LABELS, {"formula": np.array(["Si"])}, decimals)
        sizes[decimals] = (folder / "trees.npz").stat().st_size
    assert sizes[3] < 0.8 * sizes[None]
    model, _, training = forest.load(tmp_path / "3", LABELS)
    assert set(training) == {"formula"}  # the gaps need not be told
    (values, std), (expected, sigma) = model.distribution(data[0]), fitted.distribution(data[0])
    assert 0 < np.abs(values - expected).max() < 5.1e-4
    np.testing.assert_allclose(std, sigma, rtol=2e-3, atol=1e-3)


def test_the_distribution_is_over_leaves(data: tuple[np.ndarray, np.ndarray], fitted: forest.UncertainForest) -> None:
    values, std = fitted.distribution(data[0])
    every = np.sort([tree.predict(data[0]) for tree in fitted.estimators_], axis=0).T
    np.testing.assert_allclose(values, every, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(std, fitted.predict(data[0], return_std=True)[1])


def test_a_forest_of_other_columns_is_refused(saved: Path) -> None:
    with pytest.raises(InputError, match="other columns"):
        forest.load(saved, LABELS[::-1])


@pytest.mark.parametrize("at", [0.1, 0.5, 0.99])
def test_a_damaged_forest_is_refused(saved: Path, at: float) -> None:
    content = bytearray((saved / "trees.npz").read_bytes())
    content[int(at * len(content))] ^= 1
    (saved / "trees.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"trees\.npz: its checksum"):
        forest.load(saved, LABELS)


def test_a_half_copied_forest_is_refused(saved: Path) -> None:
    (saved / "trees.npz").unlink()
    with pytest.raises(InputError, match=r"trees\.npz: missing"):
        forest.load(saved, LABELS)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model there"):
        forest.load(tmp_path, LABELS)
