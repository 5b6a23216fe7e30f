"""A model of structures from a table: trained, calibrated, and with its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandgaps import model_folders
from bandgaps.errors import InputError
from bandgaps.files import sha256
from bandgaps.formulas import composition_keys
from bandgaps.levels import EXPERIMENT, EXPERIMENT_STD, LEVELS
from bandgaps.structure import evaluation, measured, scoring, tables, training, training_set
from bandgaps.structure.calibration import Calibration
from bandgaps.structure.ensemble import Model
from bandgaps.structure.graphs import Graphs, merged
from bandgaps.structure.measured import MeasuredLevel
from bandgaps.structure.network import Hyperparameters
from bandgaps.structure.trainer import History, Training
from bandgaps.structure.training_set import Rows
from bandgaps.table import account, columns

SMALL = 5_000  # gaps; of fewer, an ensemble costs little and says how sure it is
SMALL_STEPS = 350  # steps of each member's training on a small table; by validation rows, more bring nothing
LEARNT = ("train", "validation")  # parts of the table whose gaps decide the weights


def train(
    table: pd.DataFrame,
    path: Path,
    target: str,
    checkpoints: Path,
    *,
    fidelities: Sequence[str] = (),
    cutoff: float | None = None,
    members: int | None = None,
    epochs: int | None = None,
    batch_size: int = 64,
    learning_rate: float | None = None,
    patience: int | None = None,
    snapshots: int = 0,
    seed: int = 0,
    devices: int | None = None,
    jobs: int = 1,
    restart: bool = False,
) -> tuple[Model, History]:
    """Train an ensemble on a table and calibrate it; what is None is settled by the size of the table.

    Args:
        table: rows with a split, as `tables.read` gives them.
        path: where it lies.
        target: the column to learn, eV for a band gap.
        checkpoints: folder that keeps the state after each epoch; see `training.fit`.
        fidelities: those to learn together, instead of the target.
        cutoff: atoms closer than this share a bond, Å.
        members: number of networks.
        epochs: the largest number of passes over the training rows.
        batch_size: number of crystals in a step.
        learning_rate: Adam's highest learning rate.
        patience: number of epochs without a lower validation error after which training stops.
        snapshots: how many networks follow each one that starts from random weights, going on from it.
        seed: decides initial weights and the order of rows.
        devices: how many GPUs, or else logical CPUs, share each batch; by default all GPUs there are.
        jobs: how many processes share the networks.
        restart: whether to begin anew, whatever checkpoints there are.

    Returns:
        The model, with its card, and its errors after each epoch.

    Raises:
        InputError: a column is missing, a row of training or validation cannot be a graph, a measured gap cannot be
            learnt, or as `training.fit`.
        RunError: as `training.fit`.
    """
    check_measured(table, path)
    names = [LEVELS[fidelity] for fidelity in fidelities] or [target]
    parts = {part: table[table["split"] == part] for part in LEARNT}
    cutoff = cutoff or usual_cutoff(table, path, names)
    built, rows = learnt_rows(table, path, names, fidelities, cutoff)
    learnt = training_set.summary(parts["train"], names, fidelities)
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "patience": patience}
    settings, count = settings_for(len(rows["train"].targets), names[0], given)
    settings, count = replace(settings, seed=seed, snapshots=snapshots), members or count
    print(_announcement(count, learnt, rows["train"], rows["validation"]))
    model, history = training.fit(
        rows["train"],
        rows["validation"],
        architecture(cutoff, fidelities),
        settings,
        count,
        checkpoints,
        devices=devices,
        jobs=jobs,
        restart=restart,
    )
    which = evaluation.fidelity_columns(model, table, target, None)
    validated = evaluation.predictions(model, parts["validation"], built["validation"], which)
    card = {
        "target": target,
        "unit": "eV",
        "trained_on": {"table": path.name, "sha256": sha256(path), **learnt},
        "account": {key: value for key, value in account.read_meta(path).items() if key != "input"},
        "training": asdict(settings),
        "members": len(model.members),
        "validation_mae": evaluation.errors(validated, which),
        **model_folders.provenance(("keras", "numpy")),
    }
    calibrations = _calibrations(model, table[table["split"] == "calibration"], path, which)
    seen = np.unique(table.loc[table["split"].isin(LEARNT), "formula"].to_numpy(dtype=str))
    model = replace(model, card=card, formulas=seen, calibrations=calibrations)
    return replace(model, measured=measured_level(model, table, path)), history


def learnt_rows(
    table: pd.DataFrame, path: Path, names: Sequence[str], fidelities: Sequence[str], cutoff: float
) -> tuple[dict[str, Graphs], dict[str, Rows]]:
    """Graphs and rows of the parts of a table that decide the weights, by part.

    Raises:
        InputError: a column is missing, or a row cannot be a graph.
    """
    columns.require_columns(table, names, path)
    parts = {part: table[table["split"] == part] for part in LEARNT}
    built = {part: tables.graphs(rows, path, cutoff) for part, rows in parts.items()}
    return built, {part: training_set.training_rows(parts[part], built[part], names, fidelities) for part in LEARNT}


def architecture(cutoff: float, fidelities: Sequence[str]) -> Hyperparameters:
    """The network that is trained, for bonds up to a cutoff (Å) and one fidelity or several."""
    return Hyperparameters(
        cutoff=cutoff, last_center=cutoff + 1, fidelities=tuple(fidelities), envelope=True, electrons=True
    )


def usual_cutoff(table: pd.DataFrame, path: Path, names: Sequence[str]) -> float:
    """The cutoff for a table where none is given, Å: of few gaps, farther neighbours teach little and cost as much.

    Raises:
        InputError: a column is missing.
    """
    columns.require_columns(table, names, path)
    few = len(training_set.known_values(table[table["split"] == "train"], names)[0]) < SMALL
    return 4.0 if few else 5.0


def check_measured(table: pd.DataFrame, path: Path) -> None:
    """Raise InputError for measured gaps that cannot be learnt, which is said before the networks are trained."""
    if not (table["split"] == columns.MEASURED).any():
        return
    columns.require_columns(table, [EXPERIMENT, EXPERIMENT_STD], path)
    known = table[EXPERIMENT].notna()
    if known.sum() > measured.MOST_KNOWN:
        raise InputError(f"{path}: {known.sum():,} measured gaps; {measured.MOST_KNOWN:,} are the most; leave some out")
    for column, least in ((EXPERIMENT, 0.0), (EXPERIMENT_STD, measured.SUREST)):
        columns.require_between(table, known, column, least, columns.LARGEST_GAP, path)
    gapped = known & (columns.numbers(table[EXPERIMENT]) > 0)
    if len(set(composition_keys(table["formula"][gapped]))) < 2:
        raise InputError(f"{path}: fewer than two compositions have a measured gap above 0 eV ({EXPERIMENT}); add some")


def measured_level(model: Model, table: pd.DataFrame, path: Path) -> MeasuredLevel | None:
    """The model of measured gaps on top, from all rows whose gap was measured; None if the table has no such part.

    Args:
        model: a model of calculated gaps, which has not learnt from the part `measured`.
        table: rows with a split.
        path: where it lies.
    """
    if not (table["split"] == columns.MEASURED).any():
        return None
    rows, graphs, _ = scoring.usable(model, table[table[EXPERIMENT].notna()], path)
    return measured.fit(
        measured.inputs(merged(graphs), model.calculated(graphs)),
        rows[EXPERIMENT].to_numpy(dtype=float),
        rows[EXPERIMENT_STD].to_numpy(dtype=float),
        composition_keys(rows["formula"]),
    )


def _calibrations(
    model: Model, rows: pd.DataFrame, path: Path, which: Mapping[str | None, str]
) -> dict[str, Calibration]:
    """Calibrations from these rows; what they stand on is printed."""
    rows, graphs, _ = scoring.usable(model, rows, path)
    found = evaluation.calibrations(evaluation.predictions(model, rows, graphs, which))
    print("\n".join(scoring.calibration_lines(found)))
    return found


def settings_for(rows: int, column: str, given: Mapping[str, Any]) -> tuple[Training, int]:
    """Settings and number of members for so many training rows, where they are not given."""
    small = rows < SMALL
    batch_size = given["batch_size"]
    epochs = given["epochs"] or (min(100, max(20, SMALL_STEPS * batch_size // max(rows, 1))) if small else 60)
    settings = Training(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=given["learning_rate"] or (4e-3 if small else 1e-3),
        patience=given["patience"] or max(epochs // 3, 1),
        loss="huber" if small else "mae",  # few rows are learnt better when the far ones count: by validation rows
        lowest=0.0 if column.startswith("band_gap") else None,
    )
    return settings, 3 if small else 1


def _announcement(members: int, learnt: Mapping[str, Any], train: Rows, validation: Rows) -> str:
    """What is about to be learnt, from how many rows."""
    gaps = ", ".join(f"{count:,} of {name}" for name, count in learnt["gaps"].items())
    lines = [
        f"training {members} network(s) on {len(train.targets):,} values: {gaps}; "
        f"{len(validation.targets):,} decide when to stop"
    ]
    if train.auxiliary is not None:
        known = f"{train.auxiliary_known:,} of these {len(train.targets):,}"
        lines.append(f"auxiliary target {training_set.FORMATION_ENERGY}, known of {known}")
    return "\n".join(lines)
