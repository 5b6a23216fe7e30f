"""Random search for hyperparameters by successive halving (Jamieson & Talwalkar, arXiv 1502.07943).

Every trial is trained for a few epochs; the better half, by the error on validation rows, is trained anew for twice as
many, and so on, until few are trained in full.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandgaps.errors import InputError
from bandgaps.files import read_json, write_json
from bandgaps.levels import LEVELS
from bandgaps.structure import checkpoints, fitting, training
from bandgaps.structure.network import Hyperparameters

FEWEST_EPOCHS = 2
HALVED = 2  # of the trials, one in so many goes on
TRIED: dict[str, tuple[Any, ...]] = {  # the numbers that a trial chooses from
    "learning_rate": (1e-3, 1.5e-3, 2e-3, 3e-3, 4e-3, 6e-3),
    "batch_size": (32, 64, 128),
    "auxiliary_weight": (0.1, 0.3, 1.0),
    "loss": ("mae", "huber"),
    "blocks": (2, 3),
    "units": ((48, 24, 12), (64, 32, 16), (96, 48, 24)),
    "width": (0.3, 0.5),
}
OF_ARCHITECTURE = ("blocks", "units", "width")


def search(
    table: pd.DataFrame, path: Path, target: str, trials: int, folder: Path, choices: Mapping[str, Any]
) -> pd.DataFrame:
    """Search for hyperparameters; a search that was interrupted goes on where it stopped.

    Args:
        table: rows with a split.
        path: where it lies.
        target: the column to learn, eV for a band gap.
        trials: how many sets of hyperparameters are tried; the first is the usual one.
        folder: keeps what each trial brought.
        choices: how to train, as `fitting.train` takes it; `epochs` is what the last trials are trained for.

    Returns:
        A row for each trial, best first: its hyperparameters, the epochs it was trained for at most, and its mean
        absolute error on validation rows (eV) after these.

    Raises:
        InputError: a column is missing, or a row of training or validation cannot be a graph.
    """
    fidelities = choices["fidelities"]
    names = [LEVELS[fidelity] for fidelity in fidelities] or [target]
    cutoff = choices["cutoff"] or fitting.usual_cutoff(table, path, names)
    _, rows = fitting.learnt_rows(table, path, names, fidelities, cutoff)
    usual, _ = fitting.settings_for(len(rows["train"].targets), names[0], choices)
    architecture = fitting.architecture(cutoff, fidelities)
    found = drawn(trials, choices["seed"])
    results: list[dict[str, Any]] = [{"trial": number, **trial} for number, trial in enumerate(found)]
    running = list(range(trials))
    for epochs in rungs(trials, usual.epochs):
        for number in running:
            own = {name: value for name, value in found[number].items() if name not in OF_ARCHITECTURE}
            settings = replace(usual, epochs=epochs, patience=epochs, seed=choices["seed"], **own)
            of_network = {name: value for name, value in found[number].items() if name in OF_ARCHITECTURE}
            error = _error(rows, replace(architecture, **of_network), settings, folder / f"trial-{number}-{epochs}")
            print(f"trial {number}, {epochs} epochs: validation MAE {error:.3f} eV  {found[number]}", flush=True)
            results[number] |= {"epochs": epochs, "validation_mae": error}
        running = sorted(running, key=lambda number: results[number]["validation_mae"])
        running = running[: max(len(running) // HALVED, 1)]
    ordered = pd.DataFrame(results).sort_values(["epochs", "validation_mae"], ascending=[False, True])
    return ordered.reset_index(drop=True)


def drawn(trials: int, seed: int) -> list[dict[str, Any]]:
    """The hyperparameters of each trial that differ from the usual ones; the first has none."""
    generator = np.random.default_rng(seed)
    return [
        {name: values[generator.integers(len(values))] for name, values in TRIED.items()} if number else {}
        for number in range(trials)
    ]


def rungs(trials: int, epochs: int) -> list[int]:
    """For how many epochs trials are trained before each halving, in ascending order."""
    halvings = max(int(np.log2(trials)), 0)
    return sorted({max(epochs // 2**k, min(FEWEST_EPOCHS, epochs)) for k in range(halvings + 1)})


def _error(rows: Mapping[str, Any], architecture: Hyperparameters, settings: Any, folder: Path) -> float:
    """Validation error of one trial, eV; from disk where it was trained before."""
    done = folder.with_suffix(".json")
    identity = checkpoints.identity(rows["train"], rows["validation"], architecture, settings)
    if done.exists():
        stored = read_json(done)
        if stored.get("of") != identity:
            raise InputError(
                f"{done}: a trial of another table or other settings; remove {folder.parent} to begin anew"
            )
        return float(stored["validation_mae"])
    _, history = training.fit(
        rows["train"], rows["validation"], architecture, settings, 1, folder, report=lambda line: print(f"  {line}")
    )
    error = min(row["validation_mae"] for row in history)
    write_json({"of": identity, "validation_mae": error}, done)
    checkpoints.remove(folder)
    return error
