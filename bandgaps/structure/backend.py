"""TensorFlow and Keras, started without the notes that TensorFlow writes, on the cores that this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bandgaps.structure import threads


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Silence what compiled code writes there; TensorFlow's notes on starting up come before it can be told not to."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors and nothing less
with _no_stderr():
    import keras
    import tensorflow as tf


def use_threads(within: int, between: int) -> None:
    """Set the numbers of threads within an operation and between operations, unless TensorFlow has begun its work."""
    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(within)
        tf.config.threading.set_inter_op_parallelism_threads(between)


use_threads(1, threads.count())  # for predictions, many batches at a time; training has one at a time

__all__ = ["keras", "tf", "use_threads"]
