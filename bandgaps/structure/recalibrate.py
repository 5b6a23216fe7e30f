"""python -m bandgaps.structure.recalibrate MODEL TABLE.

Calibrate the sigma of a model of structure.py anew, without training it again, and score it on rows that decided
neither its weights nor its sigma.

Compositions that the model was trained or stopped on are left out. The rows of TABLE's part `calibration` calibrate; a
table without this part gives half of the compositions of its part `test`, at random, and keeps the other half for the
score. Writes the calibration, the scores and, where TABLE is what the model was trained on, the numbers of its training
and validation gaps into MODEL/model.json; and the scores as structure.json, predicted against actual gaps as
structure-parity.pdf.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandgaps import arguments
from bandgaps.errors import InputError, exit_code
from bandgaps.files import sha256
from bandgaps.formulas import composition_keys
from bandgaps.levels import LEVELS
from bandgaps.structure import evaluation, model_files, scoring, tables, training_set
from bandgaps.structure.ensemble import Model
from bandgaps.structure.evaluation import Predictions

OWN = "its calibration rows of compositions that the model has never seen; scored on such test rows"
HALF = "half of the compositions of its test rows that the model has never seen, seed {}; scored on the other half"


def main(given: Sequence[str] | None = None) -> None:
    """Calibrate, score and write."""
    options = _parser().parse_args(given)
    model = model_files.load(options.model)
    if model.published or not options.model.is_dir():
        raise InputError(f"{options.model}: not a folder of a model of our own; name one")
    path = options.table
    table, target = tables.read(path, model.card.get("target"), model.hyperparameters.fidelities)
    columns = evaluation.fidelity_columns(model, table, target, None)
    model, tested, left_out = recalibrated(model, table, path, target, columns, options.seed)
    written = options.metrics / "structure.json", options.figures / "structure-parity.pdf"
    result = scoring.publish(model, options.model.name, tested, columns, path, target, left_out, *written)
    model_files.save_card(replace(model, card={**model.card, **scoring.for_card(result)}), options.model)
    print(f"wrote {options.model / 'model.json'}")


def recalibrated(
    model: Model, table: pd.DataFrame, path: Path, target: str, columns: Mapping[str | None, str], seed: int
) -> tuple[Model, dict[str | None, Predictions], dict[str, int]]:
    """Calibrate a model on rows of a table that decided nothing else.

    Args:
        model: a model of our own.
        table: rows with a split.
        path: where the table lies.
        target: the column that models of one fidelity have learnt.
        columns: the column of each fidelity.
        seed: decides which test rows calibrate, in a table without rows for that.

    Returns:
        The model with its new card and calibrations; what it predicts of the other test rows; how many rows of these
        are left out, by reason.

    Raises:
        InputError: too few rows are of compositions that the model has never seen.
    """
    how = OWN if (table["split"] == "calibration").any() else HALF.format(seed)
    learnt = _learnt(model, table, target)
    card = {**model.card, "calibrated_on": {"table": path.name, "sha256": sha256(path), "rows": how}}
    if learnt:
        card["trained_on"] = {**model.card.get("trained_on", {}), **learnt}
    model = replace(model, card=card)
    parts = divided(table, model, seed)
    if not (parts == "test").any():
        raise InputError(f"{path}: there is no test row of a composition that the model has never seen")
    found: dict[str, dict[str | None, Predictions]] = {}
    left_out: dict[str, int] = {}
    for part in ("validation", "calibration", "test"):
        rows, graphs, left_out = scoring.usable(model, table[parts == part], path)
        found[part] = evaluation.predictions(model, rows, graphs, columns)
    calibrations = evaluation.calibrations(found["calibration"])
    if not calibrations:
        raise InputError(f"{path}: too few compositions to calibrate on that the model has never seen")
    print("\n".join(scoring.calibration_lines(calibrations)))
    if learnt:
        card["validation_mae"] = evaluation.errors(found["validation"], columns)
    model = replace(model, calibrations=calibrations)
    tested = {
        fidelity: replace(each, calibration=model.calibration(fidelity)) for fidelity, each in found["test"].items()
    }
    return model, tested, left_out


def _parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m bandgaps.structure.recalibrate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="folder of a model of structure.py")
    add("table", type=Path, metavar="TABLE", help="table of query.py, such as the one the model was trained on")
    add("--seed", type=arguments.seed, default=0, help="seed of the division of the test rows (%(default)s)")
    add("--figures", type=Path, default=Path("figures"), help="folder of the PDF (%(default)s)")
    add("--metrics", type=Path, default=Path("data/metrics"), help="folder of the scores (%(default)s)")
    return parser


def divided(table: pd.DataFrame, model: Model, seed: int) -> np.ndarray:
    """The part of each row of a table in calibrating and scoring a model, shape (rows,).

    Rows for calibration and test whose composition the model has seen are `seen`. Without rows for calibration, half of
    the compositions of the test rows are for that.
    """
    split = table["split"].to_numpy(dtype=str).astype(object)
    split[np.isin(split, ["calibration", "test"]) & model.has_seen(table["formula"])] = "seen"
    if not (split == "calibration").any():
        keys = composition_keys(table["formula"])
        chosen = np.random.default_rng(seed).permutation(np.unique(keys[split == "test"]))
        split[(split == "test") & np.isin(keys, chosen[: len(chosen) // 2])] = "calibration"
    return split


def _learnt(model: Model, table: pd.DataFrame, target: str) -> dict[str, Any]:
    """What the model has learnt from the training rows of a table; nothing if it was trained on another table."""
    fidelities = model.hyperparameters.fidelities
    names = [LEVELS[fidelity] for fidelity in fidelities] or [target]
    rows = table[table["split"] == "train"]
    if any(name not in rows for name in names):
        return {}
    known, guessed = training_set.known_values(rows, names), training_set.pseudo_labels(rows, fidelities)
    values = np.concatenate([known[2], guessed[2]])
    same = len(values) and np.allclose([values.mean(), values.std()], [model.mean, model.std], rtol=1e-9)
    return training_set.summary(rows, names, fidelities) if same else {}


if __name__ == "__main__":
    sys.exit(exit_code(main))
