"""Models of random weights for explore_structure.py: enough to tell whether the right crystals reach it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bandgaps.structure import ensemble, model_files, network
from bandgaps.structure.calibration import Calibration

FIDELITIES = ("pbe", "gllbsc", "hse", "experiment")


def some_model(fidelities: tuple[str, ...] = FIDELITIES) -> ensemble.Model:
    """Two members."""
    settings = network.Hyperparameters(fidelities=fidelities)
    members = []
    for seed in (0, 1):
        generator = np.random.default_rng(seed)
        shapes = settings.weight_shapes().items()
        members.append(
            {name: generator.normal(0, shape[0] ** -0.5, shape).astype(np.float32) for name, shape in shapes}
        )
    calibrations = {name: Calibration(floor=0.1, scale=2.0, wide=2.2) for name in fidelities}
    return ensemble.Model(settings, members, mean=0.9, calibrations=calibrations)


def save_models(folder: Path) -> None:
    """Write one of several fidelities, which has the name of the bundled one, and one of a single fidelity."""
    model_files.save(some_model(), folder / model_files.BUNDLED.name)
    model_files.save(some_model(()), folder / "single")
