"""One step of training at a time: the weights of a network, Adam, and the compiled step that changes them."""

from __future__ import annotations

import weakref
from collections import deque
from typing import Any

import numpy as np

from bandgaps.errors import InputError
from bandgaps.structure import batches, network, parameters
from bandgaps.structure.backend import keras, tf
from bandgaps.structure.network import Hyperparameters

Share = tuple[batches.Batch, np.ndarray, np.ndarray]  # crystals, their standardised properties, what each counts

KEPT = 4  # idle ones; a search for hyperparameters has many that nobody asks for again

_idle: deque[tuple[tuple[Any, ...], Descent]] = deque(maxlen=KEPT)


def lend(owner: Any, *asked: Any) -> Descent:
    """A `Descent` with these arguments, until its owner is gone; then it is lent again, for compiling takes long."""
    found = next((each for each in _idle if each[0] == asked), None)
    if found is None:
        found = (asked, Descent(*asked))
    else:
        _idle.remove(found)
    weakref.finalize(owner, _idle.append, found).atexit = False
    return found[1]


class Descent:
    """The weights of a network, Adam's state, and the compiled step that changes both.

    Args:
        settings: the architecture.
        loss: `mae` or `huber`, of standardised properties.
        auxiliary_weight: weight of all properties after the first.
        largest_gradient: the norm that longer gradients are shortened to.
        devices: how many devices share a batch; None for all GPUs, or one CPU.

    Raises:
        InputError: there are fewer devices.
    """

    def __init__(
        self,
        settings: Hyperparameters,
        loss: str,
        auxiliary_weight: float,
        largest_gradient: float,
        devices: int | None = None,
    ) -> None:
        self.settings, self.loss = settings, loss
        self.counts = np.array([1, *[auxiliary_weight] * (settings.properties - 1)], np.float32)
        size = sum(np.prod(shape, dtype=int) for shape in parameters.shapes(settings).values())
        self.strategy = _strategy(devices)
        with self.strategy.scope():
            self.vector = keras.Variable(np.zeros(size, np.float32), name="weights")
            self.optimizer = keras.optimizers.Adam(clipnorm=largest_gradient)
            self.optimizer.build([self.vector])
        number, real = tf.TensorSpec([], tf.float32), tf.TensorSpec([None], tf.float32)
        share = (batches.signature(), tf.TensorSpec([None, settings.properties], tf.float32), real)
        signature = [[share] * self.devices, number]
        self.compiled = tf.function(self._on_all_devices, input_signature=signature, autograph=False)

    @property
    def devices(self) -> int:
        """How many devices share a batch."""
        return self.strategy.num_replicas_in_sync

    @property
    def steps_taken(self) -> int:
        """How many steps were taken since the weights were set."""
        return int(self.optimizer.iterations.numpy())

    @property
    def adam_state(self) -> list[Any]:
        """What Adam remembers of earlier steps, their number first."""
        rate = self.optimizer.learning_rate
        return [variable for variable in self.optimizer.variables if variable is not rate]

    def reset(self, weights: np.ndarray) -> None:
        """Begin at these weights, without a memory of earlier steps."""
        self.vector.assign(weights)
        for variable in self.adam_state:
            variable.assign(np.zeros(variable.shape))

    def weights(self) -> np.ndarray:
        """A copy of the weights as they are now, as one vector."""
        return np.array(self.vector.numpy())

    def step(self, shares: list[Share], rate: float, lowest: float = -np.inf) -> tuple[float, float]:
        """Change the weights by one step on one batch.

        Args:
            shares: the part of each device.
            rate: the learning rate.
            lowest: the standardised target below which all predictions of it are equally good.

        Returns:
            The loss, and the mean absolute error of the standardised target.
        """
        self.optimizer.learning_rate.assign(rate)
        loss, error = self.compiled(shares, np.float32(lowest))
        return float(loss), float(error)

    def _on_all_devices(self, shares: list[Any], lowest: Any) -> tuple[Any, ...]:
        """Let each device take its share; gradients are summed, so that all keep the same weights."""

        def own() -> tuple[Any, Any]:
            device = tf.distribute.get_replica_context().replica_id_in_sync_group
            batch, targets, weights = shares[int(tf.get_static_value(device))]
            loss, error, gradient = self.gradient(batch, targets, weights, lowest)
            self.optimizer.apply_gradients([(gradient, self.vector)])
            return loss, error

        return tuple(self.strategy.reduce("SUM", value, axis=None) for value in self.strategy.run(own))

    def gradient(self, batch: batches.Batch, targets: Any, weights: Any, lowest: Any) -> tuple[Any, Any, Any]:
        """The loss of a batch, the mean absolute error, and the derivative of the loss by the vector of weights.

        Args:
            batch: the crystals.
            targets: standardised properties, NaN where unknown, shape (crystals, properties).
            weights: what each crystal counts, shape (crystals,).
            lowest: as `step` takes it.
        """
        known = tf.math.is_finite(targets)
        targets = tf.where(known, targets, 0.0)
        floors = tf.concat([[lowest], np.full(len(self.counts) - 1, -np.inf, np.float32)], 0)
        with tf.GradientTape() as tape:
            output = network.forward(parameters.named(self.vector, self.settings), batch, self.settings)
            free = tf.logical_or(tf.logical_not(known), tf.logical_and(targets <= floors, output < floors))
            error = tf.where(free, 0.0, tf.abs(output - targets))
            cost = error if self.loss == "mae" else tf.where(error < 1, error**2 / 2, error - 0.5)
            loss = tf.reduce_sum(weights[:, None] * self.counts * cost)
        return loss, tf.reduce_sum(weights * error[:, 0]), tape.gradient(loss, self.vector)


def _strategy(devices: int | None) -> Any:
    """TensorFlow's way of sharing work between devices."""
    gpus = tf.config.list_logical_devices("GPU")
    known = gpus or tf.config.list_logical_devices("CPU")
    count = devices or max(len(gpus), 1)
    if count > len(known):
        found = f"{len(known)} ({known[0].device_type})"
        raise InputError(f"{count} devices asked for, but TensorFlow sees {found}; ask for fewer")
    if count == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([device.name for device in known[:count]])
