"""What several tests of this room share: a small table with two polymorphs, a gap of 0 eV and an isolated atom."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

os.environ.setdefault("MPRESTER_BACKOFF_FACTOR", "0")  # the client reads it once, when it is imported
SILICON = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.431), ["Si"], [[0, 0, 0]])


@pytest.fixture
def table() -> pd.DataFrame:
    columns = {
        "material_id": ["a", "b", "c", "d"],
        "formula": ["Si", "Si", "SiC", "Ne"],
        "structure": [
            SILICON,
            Structure(Lattice.cubic(3), ["Si"], [[0, 0, 0]]),
            Structure(Lattice.cubic(3), ["Si", "C"], [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]),
            Structure(Lattice.cubic(4.2), ["Ne"], [[0, 0, 0]]),
        ],
        "energy_per_atom": [-5.4, -5.0, -6.0, -1.0],
        "band_gap": [0.61, 0.0, 1.4, 11.0],
        "band_gap_hse": [1.2, np.nan, 2.3, np.nan],
    }
    return pd.DataFrame(columns)


@pytest.fixture(scope="session")
def schema_made_once() -> Iterator[None]:
    """The client makes the schema of a document anew for each field of each request, which takes most of the time."""
    from emmet.core.summary import SummaryDoc  # here, for it takes seconds to load

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SummaryDoc, "model_json_schema", lru_cache(SummaryDoc.model_json_schema))
        yield
