"""Crystal graphs kept on disk between runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bandgaps.structure.neighbors import Crystal

import hashlib
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from bandgaps.files import replacing
from bandgaps.structure.graphs import Graphs
from bandgaps.structure.neighbors import Crystals, Mixtures, all_bonds, crystals_in_parts, mixture_table, whole

_STORED = ("cutoff", "atomic_numbers", "distances", "first", "second", "atom_offsets", "bond_offsets", "mixtures")


def cached(
    structures: Sequence[Crystal],
    cutoff: float,
    folder: Path | str,
    names: Sequence[str] | None = None,
) -> Graphs:
    """The same as `build`, kept in `folder` under a key made of the structures and the cutoff.

    A cache that is damaged is built again; one that cannot be written is done without.
    """
    mixtures: Mixtures = {}
    parts = list(crystals_in_parts(structures, names, mixtures))
    path = Path(folder) / f"graphs-{key(parts, mixtures, cutoff)}.npz"
    with suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return _read(path)
    graphs = all_bonds(parts, mixtures, cutoff, names)
    with suppress(OSError), replacing(path) as temporary:
        np.savez(temporary, **{name: getattr(graphs, name) for name in _STORED})
    return graphs


def key(parts: list[Crystals], mixtures: Mixtures, cutoff: float) -> str:
    """What tells these crystals at this cutoff from all others, as hexadecimal digits."""
    digest = hashlib.sha256(np.float64(cutoff).tobytes())
    digest.update(mixture_table(mixtures).tobytes())
    for part in parts:
        for array in (part.atomic_numbers, part.positions, part.lattices, part.periodic, part.offsets):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def _read(path: Path) -> Graphs:
    with np.load(path, allow_pickle=False) as content:
        return whole(float(content["cutoff"]), *(content[name] for name in _STORED[1:]))
