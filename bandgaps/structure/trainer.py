"""The training of one network."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bandgaps.errors import InputError, RunError
from bandgaps.files import replacing
from bandgaps.structure import batches, descent, network, parameters
from bandgaps.structure.compositions import electron_counts
from bandgaps.structure.graphs import merged
from bandgaps.structure.network import Hyperparameters
from bandgaps.structure.training_set import Rows

History = list[dict[str, float]]  # one entry an epoch: member, epoch, loss, train_mae and validation_mae
SNAPSHOT_RATE = 2 / 3  # highest learning rate of a snapshot over that of the network it goes on from
COLUMNS = ("member", "epoch", "loss", "train_mae", "validation_mae")


@dataclass(frozen=True)
class Training:
    """How a model is trained.

    Attributes:
        epochs: the largest number of passes over the training rows.
        batch_size: number of crystals in a step.
        learning_rate: Adam's highest learning rate. It rises over `warm_up` steps, then falls to 0 along half a cosine.
        patience: number of epochs without a lower validation error after which training stops.
        loss: `mae` or `huber`, of the standardised target.
        lowest: what no target can be below, eV; None if there is no limit. A prediction below it is as good as one that
            is equal to it, which leaves the network free to tell metals whose bands touch from metals whose bands
            overlap.
        auxiliary_weight: weight of the auxiliary target's error beside that of the target, both standardised.
        seed: decides initial weights and the order of rows, which both differ between networks that start anew.
        warm_up: number of steps over which the learning rate rises, but at most half of all steps.
        largest_gradient: the norm that longer gradients are shortened to. Such steps are rare and would undo many
            others.
        rounded_from: arrays of more numbers than this are kept in half precision.
        snapshots: how many networks follow each one that starts from random weights, each going on from the best
            weights of the one before (snapshot ensemble; Huang et al., arXiv 1704.00109).
        snapshot_epochs: the number of epochs of each of those.
    """

    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 1e-3
    patience: int = 20
    loss: str = "mae"
    lowest: float | None = None
    auxiliary_weight: float = 0.3
    seed: int = 0
    warm_up: int = 300
    largest_gradient: float = 2.0
    rounded_from: int = 2_000
    snapshots: int = 0
    snapshot_epochs: int = 6

    @property
    def of_snapshot(self) -> Training:
        """How a network is trained that goes on from another."""
        epochs = self.snapshot_epochs
        return replace(self, epochs=epochs, patience=epochs, learning_rate=SNAPSHOT_RATE * self.learning_rate)


class CheckpointError(InputError):
    """Checkpoints that are damaged, or those of another training."""


class Trainer:
    """One network's training. `begin` starts another in the same place; `descent.lend` has the compiled step."""

    def __init__(
        self,
        train: Rows,
        validation: Rows,
        settings: Hyperparameters,
        training: Training,
        mean: float,
        std: float,
        devices: int | None = None,
    ) -> None:
        self.settings, self.training = settings, training
        self.train, self.validation = (replace(rows, graphs=merged(rows.graphs)) for rows in (train, validation))
        self.electrons = electron_counts(self.train.graphs) if settings.electrons else None
        self.std = std
        self.standardised = _standardised(train, mean, std)
        self.wanted = (validation.targets - mean) / std
        self.lowest = -np.inf if training.lowest is None else (training.lowest - mean) / std
        weights = train.sampling_weights
        self.sampling_weights = np.ones(len(train.targets)) if weights is None else weights
        self.total_steps = training.epochs * -(-round(self.sampling_weights.sum()) // training.batch_size)
        self.descent = descent.lend(
            self, settings, training.loss, training.auxiliary_weight, training.largest_gradient, devices
        )
        self.begin(0, 0)

    def begin(self, member: int, draw: int, weights: np.ndarray | None = None) -> None:
        """Set all back to the state before the first epoch of a network.

        Args:
            member: its number in the ensemble.
            draw: chooses its random numbers, of initial weights and of the order of rows. A snapshot has the order of
                rows of the next start.
            weights: those it goes on from; without them it starts from random ones.
        """
        generator = np.random.default_rng([self.training.seed, draw])
        self.descent.reset(parameters.initial(self.settings, generator) if weights is None else weights)
        self.member, self.draw = member, draw
        self.best = self.now()
        self.history: History = []

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or too many have brought nothing."""
        errors = [row["validation_mae"] for row in self.history]
        stale = len(errors) - 1 - int(np.argmin(errors)) if errors else 0
        return len(errors) >= self.training.epochs or stale >= self.training.patience

    def run_epoch(self) -> None:
        """Sample the training rows once, in an order that seed, draw and epoch decide."""
        epoch = len(self.history)
        generator = np.random.default_rng([self.training.seed, self.draw, epoch])
        times = np.floor(self.sampling_weights + generator.random(len(self.sampling_weights))).astype(int)
        order = generator.permutation(np.repeat(np.arange(len(times)), times))
        sums = np.zeros(2)
        for rows in _slices(order, self.training.batch_size):
            shares = [self._share(part, len(rows)) for part in np.array_split(rows, self.descent.devices)]
            sums += np.array(self.descent.step(shares, self._rate(), self.lowest)) * len(rows)
        loss, error = sums / len(order)
        predicted = network.outputs(
            self.settings, self.named(self.now()), self.validation.graphs, self.validation.fidelities
        )
        wrong = float(np.mean(np.abs(np.maximum(predicted, self.lowest) - self.wanted)))
        if not np.isfinite([loss, wrong]).all():
            raise RunError(f"training diverged in epoch {epoch + 1}: the loss is {loss}; use a lower learning rate")
        if wrong * self.std < min((row["validation_mae"] for row in self.history), default=np.inf):
            self.best = self.now()
        values = (self.member, epoch + 1, loss, error * self.std, wrong * self.std)
        self.history.append(dict(zip(COLUMNS, map(float, values), strict=True)))

    def _rate(self) -> float:
        """The learning rate of the next step: it rises in a line, then falls along half a cosine."""
        highest, step = self.training.learning_rate, self.descent.steps_taken
        warm_up = min(self.training.warm_up, self.total_steps // 2)
        if step < warm_up:
            return highest * step / warm_up
        return highest * (1 + np.cos(np.pi * min((step - warm_up) / (self.total_steps - warm_up), 1))) / 2

    def _share(self, rows: np.ndarray, total: int) -> descent.Share:
        """The part of one device in a batch of so many rows; without rows it gets one of no weight."""
        weight = 1 / total if len(rows) else 0.0
        rows = rows if len(rows) else np.zeros(1, dtype=int)
        graphs = self.train.graphs.select(rows)
        batch = batches.of(
            graphs, self.train.fidelities[rows], None if self.electrons is None else self.electrons[rows]
        )
        return batch, self.standardised[rows], np.full(len(rows), weight, np.float32)

    def progress(self) -> str:
        """What the last epoch brought, on one line."""
        last = self.history[-1]
        return (
            f"epoch {last['epoch']:.0f}/{self.training.epochs}  loss {last['loss']:.4f}  "
            f"train MAE {last['train_mae']:.3f} eV  validation MAE {last['validation_mae']:.3f} eV"
        )

    def now(self) -> np.ndarray:
        """A copy of the weights as they are now, as one vector."""
        return self.descent.weights()

    def named(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """The weights in a vector by their names."""
        return parameters.arrays(vector, self.settings)

    def store(self, path: Path) -> None:
        """Write all that the rest of the training depends on, atomically."""
        arrays = {f"optimizer-{k}": v.numpy() for k, v in enumerate(self.descent.adam_state)}
        history = np.array([[row[column] for column in COLUMNS] for row in self.history])
        with replacing(path) as temporary:
            np.savez(temporary, allow_pickle=False, now=self.now(), best=self.best, history=history, **arrays)

    def restore(self, path: Path) -> None:
        """Go back to what `store` has written.

        Raises:
            CheckpointError: the file is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                self.descent.vector.assign(arrays["now"])
                for k, variable in enumerate(self.descent.adam_state):
                    variable.assign(arrays[f"optimizer-{k}"])
                self.best = arrays["best"]
                self.history = [dict(zip(COLUMNS, map(float, row), strict=True)) for row in arrays["history"]]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise CheckpointError(f"{path}: a damaged checkpoint ({error}); begin anew") from None


def _standardised(rows: Rows, mean: float, std: float) -> np.ndarray:
    """The target and perhaps the auxiliary target, each with mean 0 and standard deviation 1, (rows, properties)."""
    columns = [(rows.targets - mean) / std]
    if rows.auxiliary is not None:
        known = rows.auxiliary[np.isfinite(rows.auxiliary)]
        columns.append((rows.auxiliary - known.mean()) / (known.std() or 1.0))
    return np.stack(columns, axis=1).astype(np.float32)


def _slices(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(order), size):
        yield order[start : start + size]
