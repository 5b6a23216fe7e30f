"""The training of one network."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bandgaps.errors import InputError, RunError
from bandgaps.files import replacing
from bandgaps.structure import batches, network, parameters
from bandgaps.structure.backend import keras, tf
from bandgaps.structure.compositions import electron_counts
from bandgaps.structure.graphs import merged
from bandgaps.structure.network import Hyperparameters
from bandgaps.structure.training_set import Rows

History = list[dict[str, float]]  # one entry an epoch: member, epoch, loss, train_mae and validation_mae
Share = tuple[batches.Batch, np.ndarray, np.ndarray]  # crystals, their standardised properties, what each counts
SNAPSHOT_RATE = 2 / 3  # highest learning rate of a snapshot over that of the first member
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
        seed: decides initial weights and the order of rows, which both differ between members.
        warm_up: number of steps over which the learning rate rises, but at most half of all steps.
        largest_gradient: the norm that longer gradients are shortened to. Such steps are rare and would undo many
            others.
        rounded_from: arrays of more numbers than this are kept in half precision.
        snapshot_epochs: if given, each member after the first goes on from the best weights of the one before, for so
            many epochs (snapshot ensemble; Huang et al., arXiv 1704.00109). None: every member has a start of its own.
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
    snapshot_epochs: int | None = None

    def of_member(self, member: int) -> Training:
        """How a member is trained: members after the first may be snapshots."""
        epochs = self.snapshot_epochs
        if not member or not epochs:
            return self
        return replace(self, epochs=epochs, patience=epochs, learning_rate=SNAPSHOT_RATE * self.learning_rate)


class CheckpointError(InputError):
    """Checkpoints that are damaged, or those of another training."""


class Trainer:
    """One network's training; members follow one another in it, so that its step is compiled once."""

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
        steps = training.epochs * -(-round(self.sampling_weights.sum()) // training.batch_size)
        size = sum(np.prod(shape, dtype=int) for shape in parameters.shapes(settings).values())
        warm_up = min(training.warm_up, steps // 2)
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, steps - warm_up, warmup_target=training.learning_rate, warmup_steps=warm_up
        )
        self.strategy = _strategy(devices)
        with self.strategy.scope():
            self.vector = keras.Variable(np.zeros(size, np.float32), name="weights")
            self.optimizer = keras.optimizers.Adam(schedule, clipnorm=training.largest_gradient)
            self.optimizer.build([self.vector])
        self.step = _compiled_step(self.vector, self.optimizer, settings, training, self.lowest, self.strategy)
        self.begin(0)

    def begin(self, member: int, start: np.ndarray | None = None) -> None:
        """Set all back to the state before the first epoch of a member, which starts from random or given weights."""
        generator = np.random.default_rng([self.training.seed, member])
        self.vector.assign(parameters.initial(self.settings, generator) if start is None else start)
        for variable in self.optimizer.variables:
            variable.assign(np.zeros(variable.shape))
        self.member = member
        self.best = self.now()
        self.history: History = []

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or too many have brought nothing."""
        errors = [row["validation_mae"] for row in self.history]
        stale = len(errors) - 1 - int(np.argmin(errors)) if errors else 0
        return len(errors) >= self.training.epochs or stale >= self.training.patience

    def run_epoch(self) -> None:
        """Sample the training rows once, in an order that seed, member and epoch decide."""
        epoch = len(self.history)
        generator = np.random.default_rng([self.training.seed, self.member, epoch])
        times = np.floor(self.sampling_weights + generator.random(len(self.sampling_weights))).astype(int)
        order = generator.permutation(np.repeat(np.arange(len(times)), times))
        sums = np.zeros(2)
        for rows in _slices(order, self.training.batch_size):
            loss, error = self.step([self._share(part, len(rows)) for part in self._parts(rows)])
            sums += np.array([float(loss), float(error)]) * len(rows)
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

    def _parts(self, rows: np.ndarray) -> list[np.ndarray]:
        """Rows for each device."""
        return np.array_split(rows, self.strategy.num_replicas_in_sync)

    def _share(self, rows: np.ndarray, total: int) -> Share:
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
        return np.array(self.vector.numpy())

    def named(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """The weights in a vector by their names."""
        return parameters.arrays(vector, self.settings)

    def store(self, path: Path) -> None:
        """Write all that the rest of the training depends on, atomically."""
        arrays = {f"optimizer-{k}": v.numpy() for k, v in enumerate(self.optimizer.variables)}
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
                self.vector.assign(arrays["now"])
                for k, variable in enumerate(self.optimizer.variables):
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


def _strategy(devices: int | None) -> Any:
    """TensorFlow's way of sharing work between devices: all have the same weights and sum their gradients."""
    gpus = tf.config.list_logical_devices("GPU")
    known = gpus or tf.config.list_logical_devices("CPU")
    count = devices or max(len(gpus), 1)
    if count > len(known):
        found = f"{len(known)} ({known[0].device_type})"
        raise InputError(f"{count} devices asked for, but TensorFlow sees {found}; ask for fewer")
    if count == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([device.name for device in known[:count]])


def _compiled_step(
    vector: Any, optimizer: Any, settings: Hyperparameters, training: Training, lowest: float, strategy: Any
) -> Callable[[list[Share]], tuple[Any, Any]]:
    """One step of Adam on one batch, a share for each device; returns the loss and the mean absolute error."""
    others = settings.properties - 1
    floors = np.array([lowest, *[-np.inf] * others], np.float32)
    counts = np.array([1, *[training.auxiliary_weight] * others], np.float32)

    def step(batch: batches.Batch, targets: Any, weights: Any) -> tuple[Any, Any]:
        known = tf.math.is_finite(targets)
        targets = tf.where(known, targets, 0.0)
        with tf.GradientTape() as tape:
            output = network.forward(parameters.named(vector, settings), batch, settings)
            free = tf.logical_or(tf.logical_not(known), tf.logical_and(targets <= floors, output < floors))
            error = tf.where(free, 0.0, tf.abs(output - targets))
            cost = error if training.loss == "mae" else tf.where(error < 1, error**2 / 2, error - 0.5)
            value = tf.reduce_sum(weights[:, None] * counts * cost)
        optimizer.apply_gradients([(tape.gradient(value, vector), vector)])
        return value, tf.reduce_sum(weights * error[:, 0])

    def together(shares: list[Share]) -> tuple[Any, ...]:
        def own() -> tuple[Any, Any]:
            device = tf.distribute.get_replica_context().replica_id_in_sync_group
            return step(*shares[int(tf.get_static_value(device))])

        values = strategy.run(own)
        return tuple(strategy.reduce("SUM", value, axis=None) for value in values)

    real = tf.TensorSpec([None], tf.float32)
    share = (batches.signature(), tf.TensorSpec([None, settings.properties], tf.float32), real)
    return tf.function(together, input_signature=[[share] * strategy.num_replicas_in_sync], autograph=False)


def _slices(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(order), size):
        yield order[start : start + size]
