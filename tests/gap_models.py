"""A small model of measured gaps and its teacher, grown on a part of the sample, for tests that ask one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd
from helpers import SAMPLE

from bandgaps.composition import measured
from bandgaps.composition.gap_model import GapModel
from bandgaps.composition.measured import Gaps, OutOfFold
from bandgaps.table import storage


@cache
def sample() -> pd.DataFrame:
    """The bundled sample, one row a composition, in an order of no meaning."""
    table = storage.read(SAMPLE, structures=False).drop_duplicates("formula")
    return table.sample(frac=1, random_state=0).reset_index(drop=True)


@cache
def calculated() -> Gaps:
    """PBE gaps of 150 compositions."""
    rows = sample()[:150]
    return Gaps.of(rows["formula"].tolist(), rows["band_gap"].to_numpy())


@cache
def measured_gaps() -> Gaps:
    """Gaps as if measured, of 100 compositions in a spelling of their own; half of them were calculated."""
    rows = sample()[100:200]
    gaps = (1.4 * rows["band_gap"] + 0.3).where(rows["band_gap"] > 0, 0)
    return Gaps.of([f"({formula})2" for formula in rows["formula"]], gaps.to_numpy())


@cache
def fitted() -> tuple[GapModel, OutOfFold]:
    """As `measured.fit`."""
    return measured.fit(calculated(), measured_gaps(), seed=0, jobs=1)


def save(folder: Path, left_out: tuple[str, ...] = ()) -> Path:
    """Write the model and its teacher to a folder of models, as composition.py does."""
    model, out = fitted()
    measured.save(model, folder, SAMPLE, [SAMPLE], left_out, measured.scores(model, out))
    return folder
