"""Keras on TensorFlow, started without the notes that TensorFlow writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors and nothing less
with _no_stderr():
    import keras
    from keras import ops

TENSORFLOW = keras.backend.backend() == "tensorflow"

__all__ = ["TENSORFLOW", "keras", "ops"]
