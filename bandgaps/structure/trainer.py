"""The training of one network."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bandgaps import elements
from bandgaps.errors import InputError, RunError
from bandgaps.files import replacing
from bandgaps.structure import backend, network
from bandgaps.structure.backend import keras, ops
from bandgaps.structure.graphs import merged
from bandgaps.structure.network import Hyperparameters
from bandgaps.structure.training_set import Rows

History = list[dict[str, float]]  # one entry an epoch: member, epoch, loss, train_mae and validation_mae
WARM_UP = 300  # steps
STEEPEST = 2.0  # norm that gradients are cut to; steps beyond it are rare and would undo many others
Share = tuple[network.Batch, np.ndarray, np.ndarray]  # crystals, their standardised properties, what each counts
COLUMNS = ("member", "epoch", "loss", "train_mae", "validation_mae")


@dataclass(frozen=True)
class Training:
    """How a model is trained.

    Attributes:
        epochs: passes over the training rows, at most.
        batch_size: crystals a step.
        learning_rate: of Adam at its highest; it rises over `WARM_UP` steps, then falls to 0 along half a cosine.
        patience: epochs without a lower validation error after which training stops.
        loss: `mae` or `huber`, of the standardised target.
        lowest: what no target can be below, eV; a prediction below it is as good as one that is equal to it, which
            leaves the network free to tell metals whose bands touch from metals whose bands overlap. None: no limit.
        companion_weight: what the error of the companion property counts beside that of the target, both standardised.
        seed: decides initial weights and the order of rows, both other in each member.
    """

    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 1e-3
    patience: int = 20
    loss: str = "mae"
    lowest: float | None = None
    companion_weight: float = 0.3
    seed: int = 0


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
        self.std = std
        self.standardised = _standardised(train, mean, std)
        self.wanted = (validation.targets - mean) / std
        self.lowest = -np.inf if training.lowest is None else (training.lowest - mean) / std
        self.passes = np.ones(len(train.targets)) if train.passes is None else train.passes
        steps = training.epochs * -(-round(self.passes.sum()) // training.batch_size)
        size = sum(np.prod(shape, dtype=int) for shape in _trained_shapes(settings).values())
        warm_up = min(WARM_UP, steps // 2)
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, steps - warm_up, warmup_target=training.learning_rate, warmup_steps=warm_up
        )
        self.strategy = _strategy(devices)
        with self.strategy.scope():
            self.vector = keras.Variable(np.zeros(size, np.float32), name="weights")
            self.optimizer = keras.optimizers.Adam(schedule, clipnorm=STEEPEST)
            self.optimizer.build([self.vector])
        self.step = _compiled_step(self.vector, self.optimizer, settings, training, self.lowest, self.strategy)
        self.begin(0)

    def begin(self, member: int) -> None:
        """Set all back to the state before the first epoch of a member."""
        generator = np.random.default_rng([self.training.seed, member])
        shapes = _trained_shapes(self.settings)
        self.vector.assign(np.concatenate([_initial(name, shape, generator).ravel() for name, shape in shapes.items()]))
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
        """Pass over the training rows once, or as often as they say, in an order that seed, member and epoch decide."""
        epoch = len(self.history)
        generator = np.random.default_rng([self.training.seed, self.member, epoch])
        passes = np.floor(self.passes + generator.random(len(self.passes))).astype(int)
        order = generator.permutation(np.repeat(np.arange(len(passes)), passes))
        sums = np.zeros(2)
        for rows in _slices(order, self.training.batch_size):
            loss, error = self.step([self._share(part, len(rows), generator) for part in self._parts(rows)])
            sums += np.array([float(loss), float(error)]) * len(rows)
        loss, error = sums / len(order)
        predicted = network.outputs(
            self.settings, self.named(self.now()), self.validation.graphs, self.validation.levels
        )
        wrong = float(np.mean(np.abs(np.maximum(predicted, self.lowest) - self.wanted)))
        if not np.isfinite([loss, wrong]).all():
            raise RunError(f"training diverged in epoch {epoch + 1}: the loss is {loss}; use a lower --learning-rate")
        if wrong * self.std < min((row["validation_mae"] for row in self.history), default=np.inf):
            self.best = self.now()
        values = (self.member, epoch + 1, loss, error * self.std, wrong * self.std)
        self.history.append(dict(zip(COLUMNS, map(float, values), strict=True)))

    def _parts(self, rows: np.ndarray) -> list[np.ndarray]:
        """Rows for each device."""
        return np.array_split(rows, self.strategy.num_replicas_in_sync)

    def _share(self, rows: np.ndarray, total: int, generator: np.random.Generator) -> Share:
        """What one device does of a batch of so many rows; one without rows does another, which does not count."""
        weight = 1 / total if len(rows) else 0.0
        rows = rows if len(rows) else np.zeros(1, dtype=int)
        graphs = self.train.graphs.select(rows)
        if self.train.shrinkage is not None:
            graphs = graphs.scaled(1 - self.train.shrinkage[rows] * generator.random(len(rows)))
        batch = network.batch_of(graphs, self.train.levels[rows])
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
        return np.array(ops.convert_to_numpy(self.vector))

    def named(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """The weights in a vector by their names."""
        return _named(vector, self.settings, np)

    def store(self, path: Path) -> None:
        """Write all that the rest of the training depends on, atomically."""
        arrays = {f"optimizer-{k}": ops.convert_to_numpy(v) for k, v in enumerate(self.optimizer.variables)}
        history = np.array([[row[column] for column in COLUMNS] for row in self.history])
        with replacing(path) as temporary:
            np.savez(temporary, allow_pickle=False, now=self.now(), best=self.best, history=history, **arrays)

    def restore(self, path: Path) -> None:
        """Go back to what `store` has written.

        Raises:
            InputError: the file is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                self.vector.assign(arrays["now"])
                for k, variable in enumerate(self.optimizer.variables):
                    variable.assign(arrays[f"optimizer-{k}"])
                self.best = arrays["best"]
                self.history = [dict(zip(COLUMNS, map(float, row), strict=True)) for row in arrays["history"]]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: a damaged checkpoint ({error}); begin anew with --restart") from None


def _trained_shapes(settings: Hyperparameters) -> dict[str, tuple[int, ...]]:
    """Name and shape of all that is trained: the weights, but for the matrix that makes embeddings of properties."""
    shapes = settings.weight_shapes()
    return {**shapes, "element_embedding": (_element_properties(settings.elements).shape[1], settings.embedding)}


def _named(vector: Any, settings: Hyperparameters, library: Any = ops) -> dict[str, Any]:
    """The weights by name, cut out of one vector, on which the optimiser's step is a handful of operations.

    With numpy as the library they are arrays, which cost a fraction of as many tensors.

    Elements are embedded by a linear map of their properties, so that elements which are alike are so for the network
    too, and what is learnt of one holds for the other.
    """
    shapes = _trained_shapes(settings)
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes.values()])[:-1].tolist()
    parts = zip(shapes.items(), library.split(vector, ends), strict=True)
    weights = {name: library.reshape(part, shape) for (name, shape), part in parts}
    properties = _element_properties(settings.elements)
    return {**weights, "element_embedding": library.matmul(properties, weights["element_embedding"])}


@cache
def _element_properties(count: int) -> np.ndarray:
    """What elements are embedded by, each property with mean 0 and standard deviation 1; row: atomic number.

    These are Magpie's, with two changes that make an element a neighbour of those above and below it in the periodic
    table, so that a site shared by two of them is embedded in between as well. Full d and f shells below the valence
    shell belong to the core (Magpie gives silicon 4 valence electrons and germanium 14), and the number of the space
    group, which is a label and no quantity, is left out.
    """
    table = elements.elemental_table()[: count - 1].copy()
    place = {name: k for k, name in enumerate(elements.PROPERTIES)}
    for shell, full, first_column in (("NdValence", 10, 13), ("NfValence", 14, 4)):
        core = (table[:, place[shell]] == full) & (table[:, place["Column"]] >= first_column)
        table[core, place[shell]] = 0
        table[core, place["NValence"]] -= full
    table = np.delete(table, place["SpaceGroupNumber"], axis=1)
    standardised = (table - table.mean(axis=0)) / np.where(table.std(axis=0) > 0, table.std(axis=0), 1)
    rows = np.zeros((count, table.shape[1]), np.float32)
    rows[1 : 1 + len(table)] = standardised
    return rows


def _standardised(rows: Rows, mean: float, std: float) -> np.ndarray:
    """The target and perhaps its companion, each with mean 0 and standard deviation 1, shape (rows, properties)."""
    columns = [(rows.targets - mean) / std]
    if rows.companion is not None:
        columns.append((rows.companion - rows.companion.mean()) / (rows.companion.std() or 1.0))
    return np.stack(columns, axis=1).astype(np.float32)


def _strategy(devices: int | None) -> Any:
    """TensorFlow's way of sharing work between devices: all have the same weights and sum their gradients."""
    if not backend.TENSORFLOW:
        raise RunError(f"KERAS_BACKEND={keras.backend.backend()}: training needs tensorflow; unset KERAS_BACKEND")
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    known = gpus or tf.config.list_logical_devices("CPU")
    count = devices or max(len(gpus), 1)
    if count > len(known):
        raise InputError(f"--devices {count}: TensorFlow sees {len(known)} ({known[0].device_type}); ask for fewer")
    if count == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([device.name for device in known[:count]])


def _compiled_step(
    vector: Any, optimizer: Any, settings: Hyperparameters, training: Training, lowest: float, strategy: Any
) -> Callable[[list[Share]], tuple[Any, Any]]:
    """One step of the optimiser on one batch, a share for each device; returns the loss and the mean absolute error."""
    import tensorflow as tf

    companions = settings.properties - 1
    floors = np.array([lowest, *[-np.inf] * companions], np.float32)
    counts = np.array([1, *[training.companion_weight] * companions], np.float32)

    def step(batch: network.Batch, targets: Any, weights: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            output = network.forward(_named(vector, settings), batch, settings)
            below = ops.logical_and(targets <= floors, output < floors)
            error = ops.where(below, 0.0, ops.abs(output - targets))
            cost = error if training.loss == "mae" else ops.where(error < 1, error**2 / 2, error - 0.5)
            value = ops.sum(weights[:, None] * counts * cost)
        optimizer.apply_gradients([(tape.gradient(value, vector), vector)])
        return value, ops.sum(weights * error[:, 0])

    def together(shares: list[Share]) -> tuple[Any, ...]:
        def own() -> tuple[Any, Any]:
            device = tf.distribute.get_replica_context().replica_id_in_sync_group
            return step(*shares[int(tf.get_static_value(device))])

        values = strategy.run(own)
        return tuple(strategy.reduce("SUM", value, axis=None) for value in values)

    real = tf.TensorSpec([None], tf.float32)
    share = (network.signature(), tf.TensorSpec([None, settings.properties], tf.float32), real)
    return tf.function(together, input_signature=[[share] * strategy.num_replicas_in_sync], autograph=False)


def _initial(name: str, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Levels of theory such that they differ, kernels after Glorot & Bengio (AISTATS 2010), biases zero."""
    if name.endswith("bias"):
        return np.zeros(shape)
    limit = 0.5 if name == "fidelity_embedding" else np.sqrt(6 / sum(shape))
    return generator.uniform(-limit, limit, shape)


def _slices(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(order), size):
        yield order[start : start + size]
