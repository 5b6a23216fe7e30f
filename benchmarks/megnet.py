"""Training epochs and predictions of MEGNet, against the megnet package.

Both start from the weights that megnet makes. What both say is compared before training: the gap of every crystal, and
the loss and the gradient of one batch.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from bandgaps.structure import ensemble, model_files, neighbors, parameters, published, training_set
from bandgaps.structure import trainer as one_network
from benchmarks import peer
from benchmarks.data import Table
from benchmarks.measure import Entry, duration, speed, timed

ROWS = 1_000
SAME_GAP = 1e-4  # eV
SAME_GRADIENT = 1e-4  # of its norm
VANISHING = 1e-5  # of the norm of the whole gradient; the part of a weight that has less is compared with this instead

Gradient = Mapping[str, np.ndarray]  # name of a weight -> derivative of the loss


def run(table: Table, rows: int = ROWS) -> list[Entry]:
    """Predict and train, in turn."""
    records, gaps = peer.sample(table, rows)
    targets = (gaps - gaps.mean()) / (gaps.std() or 1.0)
    built = neighbors.build(records, peer.CUTOFF)
    predictions: tuple[list[float], list[float]] = [], []
    epochs: tuple[list[float], list[float]] = [], []
    with tempfile.TemporaryDirectory() as temporary, free_embedding():
        folder = Path(temporary)
        with peer.megnet(folder, records, targets) as ask:
            ask("graphs")
            model = model_files.load(folder / "model.hdf5")
            for _ in range(1 + peer.TURNS):
                predictions[0].append(ask("predict"))
                seconds, (predicted, _) = timed(lambda: model.predict(built))
                predictions[1].append(seconds)
            trainer = trainer_of(model, training_set.Rows(built, targets))
            ask("gradient")
            same_step = agree(first_step(trainer), peers_step(folder))
            for _ in range(1 + peer.TURNS):
                epochs[0].append(ask("epoch"))
                epochs[1].append(timed(trainer.run_epoch)[0])
        with np.load(folder / "predict.npz") as theirs:
            same_gaps = np.allclose(predicted, theirs["gaps"], rtol=0, atol=SAME_GAP)
    what = (
        f"one training epoch of {len(records):,} crystals, {peer.CUTOFF:g} Å, batches of {peer.BATCH_SIZE}, against "
        "megnet's; the same answer means loss and gradient of one batch",
        f"prediction of {len(records):,} gaps from graphs, {peer.CUTOFF:g} Å, against megnet's `predict_graphs`",
    )
    return [
        duration(what[0], min(epochs[0]), min(epochs[1]), same_step),
        speed(what[1], "graphs/s", len(records), min(predictions[0]), min(predictions[1]), same_gaps),
    ]


def free_embedding() -> AbstractContextManager[Any]:
    """Let training embed elements by a table of free numbers, as megnet does."""
    return mock.patch.object(parameters, "element_properties", lambda elements: np.eye(elements, dtype=np.float32))


def trainer_of(model: ensemble.Model, rows: training_set.Rows) -> one_network.Trainer:
    """Training from the weights of a model, with hardly any validation."""
    one = training_set.Rows(rows.graphs.between(0, 1), rows.targets[:1])
    settings = one_network.Training(batch_size=peer.BATCH_SIZE)
    trainer = one_network.Trainer(rows, one, model.hyperparameters, settings, 0.0, 1.0)
    trainer.descent.reset(np.concatenate([array.ravel() for array in model.members[0].values()]))
    return trainer


def first_step(trainer: one_network.Trainer) -> tuple[float, Gradient]:
    """Loss and gradient of the first rows, as many as a batch has, as training derives them."""
    rows = np.arange(len(trainer.standardised))[: peer.BATCH_SIZE]
    loss, _, gradient = trainer.descent.gradient(*trainer._share(rows, len(rows)), np.float32(trainer.lowest))
    return float(loss), trainer.named(gradient.numpy())


def peers_step(folder: Path) -> tuple[float, Gradient]:
    """Loss and gradient as megnet has left them, the gradient as a model that has it for weights."""
    with np.load(folder / "gradient.npz") as arrays:
        loss = float(arrays["loss"])
    return loss, published.read(folder / "gradient.hdf5").weights


def agree(ours: tuple[float, Gradient], theirs: tuple[float, Gradient]) -> bool:
    """Whether losses, and the parts of the gradients that belong to each weight, are the same."""
    if ours[1].keys() != theirs[1].keys():
        return False
    total = np.sqrt(sum(np.sum(array**2) for array in theirs[1].values()))
    parts = [(ours[1][name], array) for name, array in theirs[1].items()]
    return bool(np.isclose(ours[0], theirs[0], rtol=SAME_GRADIENT, atol=0)) and all(
        np.linalg.norm(mine - other) <= SAME_GRADIENT * max(float(np.linalg.norm(other)), VANISHING * total)
        for mine, other in parts
    )


if __name__ == "__main__":
    from benchmarks.__main__ import start

    sys.exit(start("megnet"))
