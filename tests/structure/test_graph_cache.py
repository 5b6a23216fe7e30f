"""Graphs kept on disk."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from some_crystals import CUTOFF, alloy, assert_same, diamond

from bandgaps.errors import InputError
from bandgaps.structure import graph_cache, kernels, neighbors


def test_the_cache_is_read_and_not_built_again(tmp_path: Path) -> None:
    crystals = [diamond(), diamond("Ge", 5.658)]
    assert_same(graph_cache.cached(crystals, CUTOFF, tmp_path), neighbors.build(crystals, CUTOFF))
    (file,) = tmp_path.glob("*.npz")
    with np.load(file) as content:
        arrays = dict(content)
    np.savez(file, **{**arrays, "distances": arrays["distances"] + 1})
    assert graph_cache.cached(crystals, CUTOFF, tmp_path).distances.min() > 3.3


@pytest.mark.parametrize("damage", [lambda whole: whole[:200], lambda whole: b"", lambda whole: b"PK" + whole[40:]])
def test_a_damaged_cache_is_built_again(tmp_path: Path, damage: object) -> None:
    built = graph_cache.cached([diamond()], CUTOFF, tmp_path)
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    assert_same(graph_cache.cached([diamond()], CUTOFF, tmp_path), built)
    assert_same(graph_cache.cached([diamond()], CUTOFF, tmp_path), built)


def test_another_crystal_or_cutoff_has_another_cache(tmp_path: Path) -> None:
    moved = diamond().translate_sites([0], [0.01, 0, 0])
    for number, (crystal, cutoff) in enumerate(
        [
            *((diamond(), 4.0), (diamond(), 5.0), (diamond("Ge"), 4.0), (diamond(a=5.5), 4.0), (moved, 4.0)),
            *((alloy(Si=0.5, Ge=0.5), 4.0), (alloy(Si=0.4, Ge=0.6), 4.0)),
        ],
        start=1,
    ):
        assert_same(graph_cache.cached([crystal], cutoff, tmp_path), neighbors.build([crystal], cutoff))
        assert_same(graph_cache.cached([crystal], cutoff, tmp_path), neighbors.build([crystal], cutoff))
        assert len(list(tmp_path.glob("*.npz"))) == number


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert len(graph_cache.cached([diamond()], CUTOFF, tmp_path / "file")) == 1


def test_faults_are_told_from_a_cache_too(tmp_path: Path) -> None:
    crystals: list[Any] = [diamond(), Structure(Lattice.cubic(9), ["Xe"], [[0, 0, 0]]), {"sites": 3}]
    (built, found), (again, same) = (graph_cache.cached_all(crystals, CUTOFF, tmp_path) for _ in range(2))
    assert len(list(tmp_path.glob("*.npz"))) == 1
    assert_same(again, built)
    assert found == same == neighbors.build_all(crystals, CUTOFF)[1]
    assert sorted(found) == [1, 2]
    with pytest.raises(InputError, match=r"^b: atom 0 \(Xe\)"):
        graph_cache.cached(crystals, CUTOFF, tmp_path, ["a", "b", "c"])


def test_graphs_of_other_code_are_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph_cache.cached([diamond()], CUTOFF, tmp_path)
    graph_cache.cached([diamond()], CUTOFF, tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 1
    other = tmp_path / "kernels.py"
    other.write_bytes(Path(kernels.__file__).read_bytes() + b"# changed\n")
    monkeypatch.setattr(graph_cache, "_BUILDERS", [Path(neighbors.__file__), other])
    graph_cache.cached([diamond()], CUTOFF, tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 2


def test_caches_that_nobody_uses_are_removed(tmp_path: Path) -> None:
    def build(number: int) -> Path:
        before = set(tmp_path.glob("*.npz"))
        graph_cache.cached([diamond(a=5 + number / 100)], CUTOFF, tmp_path)
        (new,) = set(tmp_path.glob("*.npz")) - before
        return new

    def age(path: Path, days: float) -> None:
        os.utime(path, (time.time() - days * 86400,) * 2)

    used, old, recent = (build(number) for number in range(3))
    (tmp_path / "mine.npz").write_bytes(b"not a cache of graphs")
    for path, days in ((used, 31), (old, 31), (recent, 29)):
        age(path, days)
    graph_cache.cached([diamond(a=5)], CUTOFF, tmp_path)  # read, and so used today
    new = build(3)
    assert set(tmp_path.glob("*.npz")) == {used, recent, new, tmp_path / "mine.npz"}
    later = {build(number) for number in range(4, 4 + graph_cache.KEPT - 1)}
    assert set(tmp_path.glob("graphs-*.npz")) <= {used, new, *later}
    assert len(list(tmp_path.glob("graphs-*.npz"))) == graph_cache.KEPT
    assert (tmp_path / "mine.npz").exists()
