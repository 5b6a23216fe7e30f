"""The two forests of a table: fitted, saved, drawn, and asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandgaps import plotting
from bandgaps.composition import evaluation, figures, forest, magpie
from bandgaps.composition.evaluation import MODELS, Rows
from bandgaps.errors import InputError
from bandgaps.files import sha256
from bandgaps.model_folders import Arrays, provenance
from bandgaps.table import account, columns, storage


def read(path: Path, target: str | None) -> tuple[pd.DataFrame, str]:
    """A table, one row a composition, and the name of its target.

    Args:
        path: of the table.
        target: the column to learn; by default the one that the table was made for, else `band_gap`.

    Raises:
        InputError: there is no table, a formula cannot be read, or the target is missing.
        MissingNumbersError: a value of the target is missing or not a number.
    """
    table = storage.read(path, structures=False)
    columns.keys(table, path)  # whose errors name the table, which those of the next line do not
    table = table[columns.represents_composition(table)].reset_index(drop=True)
    target = target or account.read_meta(path).get("target", "band_gap")
    columns.target_values(table, target, path)
    return table, target


def fit(rows: Rows, name: str, seed: int, jobs: int, settings: dict[str, Any]) -> forest.UncertainForest:
    """One of the two models, grown on its training rows.

    Args:
        rows: of the table.
        name: one of `MODELS`.
        seed: of the forest.
        jobs: cores.
        settings: hyperparameters that are not the default ones.
    """
    part = rows.grown_on(name)
    return forest.new(seed, jobs).set_params(**settings).fit(rows.X[part], rows.y[part])


def save(
    model: forest.UncertainForest,
    rows: Rows,
    name: str,
    folder: Path,
    table: Path,
    target: str,
    scores: dict[str, Any],
) -> None:
    """Write a model, with what it was trained on and how well it does, as composition-NAME.

    Args:
        model: as `fit` gives it.
        rows: of the table.
        name: one of `MODELS`.
        folder: of all models.
        table: the file that the rows come from.
        target: the column that was learnt.
        scores: as `evaluation.score` gives them.
    """
    part, meta = rows.grown_on(name), account.read_meta(table)
    card = {
        "name": f"composition-{name}",
        "target": target,
        "unit": "eV",
        "trained_on": {"table": table.name, "sha256": sha256(table), "rows": int(part.sum())},
        "source": meta.get("source"),
        "left_out": meta.get("filters", {}).get("leave_out", []),
        "scores": scores,
        **provenance(("scikit-learn", "numpy")),
    }
    training = {"formula": rows.formula[part].astype(str), "target": rows.y[part]}
    forest.save(model, _folder(folder, name), card, magpie.LABELS, training)


def load(folder: Path, name: str) -> tuple[forest.UncertainForest, dict[str, Any], Arrays]:
    """One of the two models of a folder, its card, and its training rows: `formula` and `target` (eV).

    Raises:
        InputError: there is none, or it is damaged.
    """
    return forest.load(_folder(folder, name), magpie.LABELS)


def _folder(models: Path, name: str) -> Path:
    return models / f"composition-{name}"


def draw(model: forest.UncertainForest, rows: Rows, name: str, folder: Path) -> None:
    """Parity, calibration and importances of a model on the test rows that are non-metals.

    Args:
        model: as `fit` gives it.
        rows: of the table.
        name: one of `MODELS`.
        folder: of the figures, composition-*-NAME.pdf.
    """
    part = rows.test & ~rows.metal
    predicted, std = model.predict(rows.X[part], return_std=True)
    label = f"forest, {name}"
    plotting.parity(folder / f"composition-parity-{name}.pdf", rows.y[part], predicted, std, label)
    figures.calibration(folder / f"composition-calibration-{name}.pdf", rows.y[part], predicted, std, label)
    costliest = evaluation.importances(model, rows.X[part], rows.y[part], magpie.LABELS).head(10)
    figures.importances(folder / f"composition-importances-{name}.pdf", costliest, label)


def predict(folder: Path, formulas: Sequence[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Gap and standard deviation of formulas by each of `MODELS`, eV, shapes (formulas,).

    Raises:
        InputError: a formula cannot be read, or there is no model in the folder.
    """
    X = magpie.features(formulas)
    return {name: load(folder, name)[0].predict(X, return_std=True) for name in MODELS}


def evaluate(folder: Path, rows: Rows) -> dict[str, dict[str, Any]]:
    """Scores of each of `MODELS` on another table; under `unseen`, those on compositions it was not trained on.

    Raises:
        InputError: there is no model in the folder, or it is damaged.
    """
    results = {}
    for name in MODELS:
        model, _, training = load(folder, name)
        try:
            unseen = rows.without(training["formula"])
        except ValueError as error:
            raise InputError(
                f"{_folder(folder, name)}: a formula it was trained on is {error}; train it again"
            ) from None
        results[name] = {**evaluation.score(model, rows), "unseen": evaluation.score(model, unseen)}
    return results
