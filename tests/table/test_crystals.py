"""The crystals of long tables, one after the other."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers import SAMPLE

from bandgaps.errors import InputError
from bandgaps.table import crystals, storage

SILICON = {"cell": [3.84] * 3 + [60.0] * 3, "species": ["Si"] * 2, "frac": [[0] * 3, [0.25] * 3]}


def lines(number: int) -> bytes:
    rows = ({"material_id": f"x-{k}", "formula": "Si", "note": "[{", **SILICON} for k in range(number))
    return b"\n".join(json.dumps(row).encode() for row in rows)


def test_rows_are_those_of_the_whole_table(monkeypatch: pytest.MonkeyPatch) -> None:
    table = storage.read_records(SAMPLE)
    for piece in (1000, 2**20):
        monkeypatch.setattr(crystals, "PIECE", piece)
        found = list(crystals.named(SAMPLE))
        assert [name for name, _ in found] == table["material_id"].tolist()
        assert [record for _, record in found] == table["structure"].tolist()
    assert crystals.count(SAMPLE) == len(table)
    assert list(crystals.named(SAMPLE, skip=800)) == found[800:]


@pytest.mark.parametrize("columns_first", [True, False])
def test_order_names_and_spaces_do_not_matter(tmp_path: Path, columns_first: bool) -> None:
    parts: dict[str, Any] = {"columns": ["formula", "note", "structure"], "index": [7, 8]}
    rows = [["Si", '["}', {"a": NaN}] for NaN in (float("nan"), 1.0)]
    whole = {**parts, "data": rows} if columns_first else {"data": rows, **parts}
    (tmp_path / "t.json").write_text(json.dumps(whole, indent=3 if columns_first else None))
    found = list(crystals.named(tmp_path / "t.json"))
    assert [name for name, _ in found] == ["7", "8"] and found[1][1] == {"a": 1.0}
    assert crystals.count(tmp_path / "t.json") == 2


@pytest.mark.parametrize("packed", [True, False])
def test_json_lines_are_counted_and_skipped(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("t.jsonl.gz" if packed else "t.jsonl")
    path.write_bytes(gzip.compress(lines(450)) if packed else lines(450))
    assert crystals.count(path) == 450
    assert [name for name, _ in crystals.named(path, skip=398)] == [f"x-{k}" for k in range(398, 450)]


DAMAGED = {
    "half.json": (b'{"columns": ["formula", "structure"], "index": [0, 1], "data": [["Si", {}], ["S', "not a table"),
    "short.json": (
        b'{"columns": ["formula", "structure"], "index": [0], "data": [["Si"]]}',
        "row 0 has 1 values",
    ),
    "bare.json": (b'{"columns": ["formula"], "index": [0], "data": [["Si"]]}', "no column structure; it has formula"),
    "twice.json": (
        b'{"columns": ["structure", "structure"], "index": [0], "data": [[{}, {}]]}',
        "'structure' is the name of several columns",
    ),
    "list.json": (b"[1, 2]", "not a table in the shared format"),
    "deep.json": (b'{"columns": ' + b"[" * 100_000, "not a table in the shared format"),
    "half.json.gz": (gzip.compress(lines(9))[:50], "half-written gzip"),
    "bare.jsonl": (b'{"formula": "Si"}\n', "no column structure"),
    "bomb.json.gz": (gzip.compress(bytes(10**7)), "not a table"),
    "bomb.jsonl.gz": (gzip.compress(b"1" * 10**7), "line 1 has more than 1,000,000 characters"),
    "string.json.gz": (gzip.compress(b'{"columns": "' + b"x" * 10**7), "a value of more than 1,000,000 characters"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_no_table_is_refused_before_memory_is_gone(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crystals, "LONGEST", 1_000_000)
    monkeypatch.setattr(crystals, "PIECE", 100_000)
    (tmp_path / name).write_bytes(DAMAGED[name][0])
    tracemalloc.start()
    with pytest.raises(InputError, match=f"{name}: .*{DAMAGED[name][1]}"):
        list(crystals.named(tmp_path / name))
    assert tracemalloc.get_traced_memory()[1] < 9e6  # bytes
    tracemalloc.stop()


def test_memory_is_that_of_some_rows(tmp_path: Path) -> None:
    rows = storage.read_records(SAMPLE).head(50)
    storage.write(pd.concat([rows] * 80, ignore_index=True), tmp_path / "t.json.gz")
    tracemalloc.start()
    assert sum(1 for _ in crystals.named(tmp_path / "t.json.gz")) == 4000
    assert tracemalloc.get_traced_memory()[1] < 1.5e7  # bytes
    tracemalloc.stop()
