"""The folder in which a training keeps its checkpoints, so that it can go on after an interruption."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bandgaps.errors import RunError
from bandgaps.files import claimed, read_json, write_json
from bandgaps.structure.network import Hyperparameters
from bandgaps.structure.trainer import CheckpointError, Training
from bandgaps.structure.training_set import Rows

LOCK = "lock"
IDENTITY = "training.json"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder of checkpoints to this process; the system releases it when the process ends, however it ends.

    Raises:
        RunError: another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as file:
        if not claimed(file):
            raise RunError(
                f"{folder}: another run is training with these checkpoints; wait for its end, or choose another folder"
            )
        yield


def remove(folder: Path) -> None:
    """Remove a folder of checkpoints, unless another process has taken it up."""
    with suppress(RunError), locked(folder):
        shutil.rmtree(folder)


def identity(train: Rows, validation: Rows, settings: Hyperparameters, training: Training) -> dict[str, Any]:
    """What has to be the same for a training to go on from a checkpoint, as JSON has it."""
    digest = hashlib.sha256()
    for rows in (train, validation):
        graphs = rows.graphs
        arrays = (
            graphs.atomic_numbers,
            graphs.distances,
            graphs.first,
            graphs.second,
            graphs.atom_offsets,
            graphs.mixtures,
        )
        given = (rows.auxiliary, rows.sampling_weights)
        optional = (np.zeros(0) if array is None else array for array in given)
        for array in (*arrays, rows.targets, rows.fidelities, *optional):
            digest.update(np.ascontiguousarray(array).tobytes())
    architecture = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}
    return {**architecture, **asdict(training), "rows": digest.hexdigest()}


def claim(folder: Path, identity: dict[str, Any], restart: bool = False) -> bool:
    """Note whose checkpoints these are, or make sure that they are this training's.

    Args:
        folder: a folder that is `locked`.
        identity: what tells this training from others.
        restart: whether to delete what is there.

    Returns:
        Whether there are checkpoints to go on from.

    Raises:
        CheckpointError: the checkpoints are those of another training.
    """
    if restart:
        for path in folder.glob("member-*.npz"):
            path.unlink()
        (folder / IDENTITY).unlink(missing_ok=True)
    if not (folder / IDENTITY).exists():
        write_json(identity, folder / IDENTITY)
        return False
    found = read_json(folder / IDENTITY)
    other = [key for key in identity if not isinstance(found, dict) or found.get(key) != identity[key]]
    if other:
        raise CheckpointError(
            f"{folder}: checkpoints of another training (other {', '.join(other)}); "
            "go on with the same table and settings, or begin anew"
        )
    return any(folder.glob("member-*.npz"))
