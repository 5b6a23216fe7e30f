"""What has to be the same for a training to go on from its checkpoints."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bandgaps.errors import InputError
from bandgaps.files import read_json, write_json
from bandgaps.structure.network import Hyperparameters
from bandgaps.structure.trainer import Training
from bandgaps.structure.training_set import Rows


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
        given = (rows.companion, rows.passes, rows.shrinkage)
        optional = (np.zeros(0) if array is None else array for array in given)
        for array in (*arrays, rows.targets, rows.levels, *optional):
            digest.update(np.ascontiguousarray(array).tobytes())
    architecture = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}
    return {**architecture, **asdict(training), "rows": digest.hexdigest()}


def claim(folder: Path, identity: dict[str, Any]) -> None:
    """Note whose checkpoints these are, or make sure that they are this training's."""
    path = folder / "training.json"
    if not path.exists():
        write_json(identity, path)
        return
    found = read_json(path)
    other = [key for key in identity if not isinstance(found, dict) or found.get(key) != identity[key]]
    if other:
        raise InputError(
            f"{folder}: checkpoints of another training (other {', '.join(other)}); "
            "go on with the same table and flags, or begin anew with --restart"
        )
