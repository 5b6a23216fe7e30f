"""Training epochs and predictions of MEGNet, against the megnet package: python -m benchmarks.megnet."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np

from bandgaps.structure import ensemble, model_files, neighbors, parameters, trainer, training, training_set
from benchmarks import peer
from benchmarks.measure import Entry, duration, speed

BATCH_SIZE = 128
NOISE = 0.1  # of the mean absolute error in an epoch; the two take the rows in another order


def run(rows: int = 2_000) -> list[Entry]:
    """Both start from the weights megnet makes; predictions are compared before training, losses after each epoch."""
    records, gaps = peer.sample(rows)
    targets = (gaps - gaps.mean()) / gaps.std()
    built = neighbors.build(records, peer.CUTOFF)
    # as megnet has it: elements embedded by a free table, and the full learning rate from the start
    free = mock.patch.object(parameters, "element_properties", lambda elements: np.eye(elements, dtype=np.float32))
    with tempfile.TemporaryDirectory() as temporary, free:
        folder = Path(temporary)
        with peer.megnet(folder, records, targets) as ask:
            ask("graphs")
            model = model_files.load(folder / "model.hdf5")
            run = _trainer(model, training_set.Rows(built, targets))
            predictions: tuple[list[float], list[float]] = [], []
            for _ in range(1 + peer.TURNS):
                predictions[0].append(ask("predict"))
                start = time.perf_counter()
                predicted, _ = model.predict(built)
                predictions[1].append(time.perf_counter() - start)
            with np.load(folder / "predict.npz") as theirs:
                same = np.allclose(predicted, theirs["gaps"], rtol=0, atol=1e-4)
            epochs: tuple[list[float], list[float]] = [], []
            alike = True
            for _ in range(1 + peer.TURNS):
                epochs[0].append(ask("epoch"))
                start = time.perf_counter()
                run.run_epoch()
                epochs[1].append(time.perf_counter() - start)
                with np.load(folder / "epoch.npz") as theirs:
                    alike &= abs(run.history[-1]["loss"] / float(theirs["loss"]) - 1) < NOISE
    return [
        duration("epoch", min(epochs[0]), min(epochs[1]), alike),
        speed("predict", "graphs/s", len(records), min(predictions[0]), min(predictions[1]), same),
    ]


def _trainer(model: ensemble.Model, rows: training_set.Rows) -> trainer.Trainer:
    """Training from the weights of a model, with hardly any validation and a learning rate that hardly falls."""
    one = training_set.Rows(rows.graphs.between(0, 1), rows.targets[:1])
    settings = training.Training(epochs=10_000, batch_size=BATCH_SIZE, warm_up=1)
    run = trainer.Trainer(rows, one, model.hyperparameters, settings, 0.0, 1.0)
    run.vector.assign(np.concatenate([array.ravel() for array in model.members[0].values()]))
    return run


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
