"""Long tables in parts, which a Dask cluster shares out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import joblib
import numpy as np

from bandgaps.composition import features as of_formulas

PART = 50_000  # rows that one worker of a cluster takes at a time


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
