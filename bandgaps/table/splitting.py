"""Which materials a model is trained on, which stop its training, which calibrate its sigma, and which test it."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from bandgaps.formulas import composition_keys
from bandgaps.table.columns import MEASURED, is_metal, keys, represents_composition

TEST_FRACTION = 0.2
VALIDATION_FRACTION = 0.1  # of what is not test
CALIBRATION_FRACTION = 0.1  # of what is not test
LARGE = 50_000  # compositions; of so many, half of these fractions tells errors as well


def split(metal: np.ndarray, seed: int, pinned: np.ndarray | None = None) -> np.ndarray:
    """Assign rows to the parts of a table, metals and non-metals each in the same proportions.

    A fifth is `test`. A tenth of the rest is `validation`, by which training stops. Another tenth is `calibration`, by
    which sigma is scaled: rows that chose the epoch would make it too small. A model that needs neither is trained on
    both. Of more than 50,000 rows it is half of these parts. All others are `train`.

    Args:
        metal: which rows are metals, shape (rows,).
        seed: any non-negative integer; the same seed gives the same split.
        pinned: which rows are `train` whatever the seed, shape (rows,); by default none.
    """
    generator = np.random.default_rng(seed)
    parts = np.full(len(metal), "train", dtype=object)
    free = np.ones(len(metal), dtype=bool) if pinned is None else ~pinned
    share = 0.5 if len(metal) > LARGE else 1.0
    for stratum in (metal, ~metal):
        rows = generator.permutation(np.flatnonzero(stratum & free))
        tests = min(round(share * TEST_FRACTION * stratum.sum()), len(rows))
        validations, calibrations = (
            round(share * part * (stratum.sum() - tests)) for part in (VALIDATION_FRACTION, CALIBRATION_FRACTION)
        )
        parts[rows[:tests]] = "test"
        parts[rows[tests : tests + validations]] = "validation"
        parts[rows[tests + validations : tests + validations + calibrations]] = "calibration"
    return parts


def split_compositions(
    table: pd.DataFrame,
    metal: np.ndarray,
    seed: int,
    train_on: Collection[str] = (),
    apart: np.ndarray | None = None,
) -> np.ndarray:
    """`split` by composition: where one material goes, all others of its composition go, however they are spelled.

    Args:
        table: with the column `formula` and, to tell polymorphs by, an energy.
        metal: which rows are metals, shape (rows,); a composition is one if its polymorph of lowest energy is.
        seed: any non-negative integer.
        train_on: formulas that are `train` whatever the seed.
        apart: rows whose compositions are a part `measured` of their own, shape (rows,); by default none.

    Raises:
        InputError: a formula cannot be read.
    """
    compositions = keys(table)
    represents = represents_composition(table)
    chosen = compositions[represents]
    pinned = chosen.isin(composition_keys(train_on)).to_numpy()
    parts = split(metal[represents], seed, pinned)
    if apart is not None:
        parts[chosen.isin(compositions[apart]).to_numpy() & ~pinned] = MEASURED
    return compositions.map(dict(zip(chosen, parts, strict=True))).to_numpy()


def with_split(table: pd.DataFrame, target: str) -> pd.DataFrame:
    """The table with a column `split`: its own where it has one, else that of seed 0.

    Raises:
        InputError: a formula cannot be read.
    """
    if "split" in table:
        return table
    return table.assign(split=split_compositions(table, is_metal(table, target), seed=0))
