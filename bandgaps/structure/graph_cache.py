"""Crystal graphs kept on disk between runs."""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bandgaps.files import replacing
from bandgaps.structure import neighbors
from bandgaps.structure.faults import Faults, refuse
from bandgaps.structure.graphs import Graphs
from bandgaps.structure.neighbors import Crystals, Mixtures

if TYPE_CHECKING:
    from bandgaps.structure.neighbors import Crystal

_STORED = ("cutoff", "atomic_numbers", "distances", "first", "second", "atom_offsets", "bond_offsets", "mixtures")
_BUILDERS = [Path(__file__).with_name(name) for name in ("neighbors.py", "kernels.py")]
KEPT = 10  # files in a folder
KEPT_FOR = 30 * 24 * 3600.0  # s since a file was last used


def cached(
    structures: Sequence[Crystal],
    cutoff: float,
    folder: Path | str,
    names: Sequence[str] | None = None,
) -> Graphs:
    """The same as `neighbors.build`, kept in `folder`; see `cached_all`."""
    graphs, faults = cached_all(structures, cutoff, folder)
    refuse(faults, names)
    return graphs


def cached_all(structures: Sequence[Crystal], cutoff: float, folder: Path | str) -> tuple[Graphs, Faults]:
    """The same as `neighbors.build_all`, kept in `folder` under a key made of structures, cutoff and our code.

    A cache that is damaged is built again; one that cannot be written is done without. Each new one removes those that
    have not been used for 30 days, and all but the 10 used last.
    """
    mixtures: Mixtures = {}
    faults: Faults = {}
    parts = list(neighbors.crystals_in_parts(structures, cutoff, mixtures, faults))
    path = Path(folder) / f"graphs-{key(parts, mixtures, cutoff)}.npz"
    graphs = _read(path)
    if graphs is None:
        graphs = neighbors.all_bonds(parts, mixtures, cutoff)
        with suppress(OSError):
            with replacing(path) as temporary:
                np.savez(temporary, **{name: getattr(graphs, name) for name in _STORED})
            _prune(path.parent)
    return graphs, {**neighbors.isolated(graphs), **faults}


def key(parts: list[Crystals], mixtures: Mixtures, cutoff: float) -> str:
    """What tells these crystals at this cutoff from all others, as hexadecimal digits.

    The code that finds bonds is part of the key, so that graphs of an older version are not taken for its own.
    """
    digest = hashlib.sha256(np.float64(cutoff).tobytes())
    for path in _BUILDERS:
        digest.update(path.read_bytes())
    digest.update(neighbors.mixture_table(mixtures).tobytes())
    for part in parts:
        for array in (part.atomic_numbers, part.positions, part.lattices, part.periodic, part.offsets):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def _read(path: Path) -> Graphs | None:
    """The graphs of a file, if it is there and whole; its time of modification says when it was last used."""
    with suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        with np.load(path, allow_pickle=False) as content:
            graphs = neighbors.whole(float(content["cutoff"]), *(content[name] for name in _STORED[1:]))
        with suppress(OSError):
            os.utime(path)
        return graphs
    return None


def _prune(folder: Path) -> None:
    """Remove the files that were not used for long, and all but the latest."""
    used = sorted(((path.stat().st_mtime, path) for path in folder.glob("graphs-*.npz")), reverse=True)
    for rank, (when, path) in enumerate(used):
        if rank >= KEPT or time.time() - when > KEPT_FOR:
            path.unlink()
