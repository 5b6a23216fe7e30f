"""TensorFlow and Keras, started without the notes that TensorFlow writes, on the cores that this process may use."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bandgaps.structure import threads

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h


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


def _keep_memory() -> None:
    """Let glibc keep freed memory for what comes next; else each large array costs a page fault every 4 kB.

    Dask has its workers give memory back at once, which doubles the time of predictions there.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 2**25)  # bytes, the most there is
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


_keep_memory()
use_threads(1, threads.count())  # for predictions, many batches at a time; training has one at a time

__all__ = ["keras", "tf", "use_threads"]
