"""What several tests of this room share: a small table, and a Materials Project on loopback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from downloads import contents
from materials_project_server import KEY, Documents, Server, many_crystals, serving
from pymatgen.core import Lattice, Structure

from bandgaps.table import download
from bandgaps.table.materials_project import Query

os.environ.setdefault("MPRESTER_BACKOFF_FACTOR", "0")  # the client reads it once, when it is imported
SILICON = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.431), ["Si"], [[0, 0, 0]])


@pytest.fixture
def table() -> pd.DataFrame:
    """Two polymorphs, a gap of 0 eV and an isolated atom."""
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


@pytest.fixture(scope="session")
def documents() -> Documents:
    """What the Materials Project holds."""
    return many_crystals()


@pytest.fixture
def server(documents: Documents, schema_made_once: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A Materials Project that the client in this process asks."""
    with serving(documents) as running:
        monkeypatch.setenv("MP_API_ENDPOINT", running.endpoint)
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Where a download keeps what has come."""
    return tmp_path / ".bandgaps.download"


@pytest.fixture(scope="session")
def undisturbed(
    documents: Documents, schema_made_once: None, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """The rows of a download to which nothing happens."""
    with serving(documents) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MP_API_ENDPOINT", running.endpoint)
        return contents(download.download(Query(), KEY, tmp_path_factory.mktemp("cache")))
