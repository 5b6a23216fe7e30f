"""Features, forests and predictions on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import joblib
import numpy as np

from bandgaps.composition import features as of_formulas
from bandgaps.errors import InputError, RunError, shortened

PART = 50_000  # rows that one worker of a cluster takes at a time


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Within it, features, forests and their predictions are computed by a Dask cluster; without address, here.

    Raises:
        InputError: the package `distributed` is not installed.
        RunError: there is no scheduler at the address.
    """
    if address is None:
        yield
        return
    try:
        from distributed import Client
    except ImportError:
        raise InputError("the package distributed is not installed; pip install distributed") from None
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        why = f"no Dask scheduler answers at {shortened(address)} ({shortened(error)})"
        raise RunError(f"{why}; start one, or correct the address") from None
    with client, joblib.parallel_config(backend="dask", n_jobs=-1):
        yield


def features(formulas: Sequence[str]) -> np.ndarray:
    """Features, shape (formulas, 258); large tables in parts, which a cluster shares out.

    Raises:
        InputError: as `magpie.features`.
    """
    if len(formulas) <= PART:
        return of_formulas.features(formulas)
    return np.concatenate(in_parts(lambda part: of_formulas.features(formulas[part], part.start), len(formulas)))


def in_parts(function: Callable[[slice], Any], rows: int) -> list[Any]:
    """The results of a function for one part of the rows after the other, or on a cluster's workers."""
    parts = [slice(start, min(start + PART, rows)) for start in range(0, rows, PART)]
    return joblib.Parallel()(joblib.delayed(function)(part) for part in parts)
