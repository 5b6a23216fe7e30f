"""The two forests of a table: fitted, saved, drawn and scored; and the models that come with the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from bandgaps import outputs, plotting
from bandgaps.composition import evaluation, figures, forest, gap_model, measured
from bandgaps.composition.evaluation import MODELS, Rows
from bandgaps.composition.features import LABELS
from bandgaps.composition.gap_model import GapModel
from bandgaps.errors import InputError
from bandgaps.files import DATA, sha256
from bandgaps.levels import EXPERIMENT
from bandgaps.model_folders import CARD, provenance
from bandgaps.table import account, columns, storage

BUNDLED = DATA / "models"


def read(path: Path, target: str | None, polymorphs: bool = False) -> tuple[pd.DataFrame, str]:
    """A table, one row a composition, and the name of its target.

    Args:
        path: of the table.
        target: the column to learn; by default the one that the table was made for, else `band_gap`.
        polymorphs: whether all rows of a composition are wanted instead.

    Raises:
        InputError: there is no table, a formula cannot be read, or the target is missing.
        MissingNumbersError: a value of the target is missing or not a number.
    """
    table = storage.read(path, structures=False)
    columns.keys(table, path)  # whose errors name the table, which those of the next line do not
    if not polymorphs:
        table = table[columns.represents_composition(table)].reset_index(drop=True)
    target = target or account.read_meta(path).get("target", "band_gap")
    columns.target_values(table, target, path)
    return table, target


def check_places(folder: Path, level: str) -> None:
    """Raise InputError if the models of a level, `pbe` or `experiment`, cannot be written to their folders."""
    names = [f"composition-{name}" for name in MODELS] if level == "pbe" else [measured.TEACHER, measured.PUPIL]
    for name in names:
        outputs.check_model_folder(folder / name)


def fit(rows: Rows, name: str, seed: int, jobs: int, settings: dict[str, Any], target: str = "band_gap") -> GapModel:
    """One of the two models, grown on its training rows.

    Args:
        rows: of the table.
        name: one of `MODELS`.
        seed: of the forest.
        jobs: cores.
        settings: hyperparameters that are not the default ones.
        target: the column that is learnt.
    """

    def new() -> forest.UncertainForest:
        return forest.new(seed, jobs).set_params(**settings)

    part = rows.grown_on(name)
    X, y = rows.X[part], rows.y[part]
    left_out, found = gap_model.out_of_fold(X, y, rows.hashes[part], new)
    intervals = gap_model.fitted_intervals(left_out, found, y, target)
    training = {"formula": rows.formula[part].astype(str), "target": y}
    return GapModel(new().fit(X, y), intervals, {"name": f"composition-{name}", "target": target}, training)


def save(model: GapModel, folder: Path, table: Path, scores: dict[str, Any]) -> None:
    """Write a model, with what it was trained on and how well it does, under its name.

    Args:
        model: as `fit` gives it.
        folder: of all models.
        table: the file that the rows come from.
        scores: as `evaluation.score` gives them.
    """
    meta = account.read_meta(table)
    model.card.update(
        unit="eV",
        trained_on={"table": table.name, "sha256": sha256(table), "rows": len(model.training["formula"])},
        source=meta.get("source"),
        left_out=meta.get("filters", {}).get("leave_out", []),
        scores=scores,
        **provenance(("scikit-learn", "numpy")),
    )
    model.save(folder / model.card["name"])


def load(folder: Path, name: str) -> GapModel:
    """One of the models of a folder: one of `MODELS`, `pbe` or `experiment`.

    Raises:
        InputError: there is none, or it is damaged.
    """
    return gap_model.load(folder / f"composition-{name}")


def to_ask(folder: Path | None) -> dict[str, GapModel]:
    """The models that answer about formulas: the bundled one of measured gaps, or those of a folder.

    Args:
        folder: the models of a user's own; one of measured gaps goes before those of a table. None for the bundled.

    Raises:
        InputError: there are none, or one is damaged.
    """
    own = folder or BUNDLED
    if folder is None or (own / measured.PUPIL / CARD).is_file():
        return {measured.PUPIL: gap_model.load(own / measured.PUPIL)}
    return {f"composition-{name}": load(own, name) for name in reversed(MODELS)}


def to_score(folder: Path | None, target: str) -> dict[str, GapModel]:
    """The models that are scored on gaps of this kind: bundled ones, or those of a folder.

    Raises:
        InputError: there are none, or no bundled model knows the target.
    """
    if folder is not None and not (folder / measured.PUPIL / CARD).is_file():
        return {name: load(folder, name) for name in MODELS}
    names = {EXPERIMENT: measured.PUPIL, "band_gap": measured.TEACHER}
    if target not in names:
        raise InputError(f"the models know {' and '.join(names)}, not {target}; train one of your own")
    return {names[target]: gap_model.load((folder or BUNDLED) / names[target])}


def of_level(folder: Path | None, level: str) -> dict[str, GapModel]:
    """For each of `MODELS` the model that draws its curve.

    Args:
        folder: of a user's own; None for the bundled models.
        level: `pbe` or `experiment`, which of the bundled models is wanted, or of a folder that has both levels.

    Raises:
        InputError: there is none, or it is damaged.
    """
    own = folder or BUNDLED
    if folder is None or not (own / f"composition-{MODELS[0]}" / CARD).is_file():
        model = load(own, level)
        return dict.fromkeys(MODELS, model)
    return {name: load(own, name) for name in MODELS}


def draw(model: GapModel, rows: Rows, name: str, folder: Path) -> None:
    """Parity, calibration and importances of a model on the test rows that are non-metals.

    Args:
        model: as `fit` gives it.
        rows: of the table.
        name: one of `MODELS`.
        folder: of the figures, composition-*-NAME.pdf.
    """
    part = rows.test & ~rows.metal
    found = model.distribution(rows.X[part])
    label = f"forest, {name}"
    plotting.parity(folder / f"composition-parity-{name}.pdf", rows.y[part], found.median, found.std, label)
    path = folder / f"composition-calibration-{name}.pdf"
    figures.calibration(path, rows.y[part], found.median, found.std, label)
    costliest = evaluation.importances(model, rows.X[part], rows.y[part], LABELS).head(10)
    figures.importances(folder / f"composition-importances-{name}.pdf", costliest, label)


def evaluate(models: dict[str, GapModel], rows: Rows) -> dict[str, dict[str, Any]]:
    """Scores of models on another table; under `unseen`, those on compositions that taught them nothing."""
    results = {}
    for name, model in models.items():
        unseen = rows.untaught(model)
        results[name] = {**evaluation.score(model, rows), "unseen": evaluation.score(model, unseen)}
    return results
