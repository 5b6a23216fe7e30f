from __future__ import annotations

import gc
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import SAMPLE
from hypothesis import given
from hypothesis import strategies as st
from matminer.utils.io import load_dataframe_from_json, store_dataframe_as_json
from pymatgen.core import Structure

from bandgaps.errors import InputError
from bandgaps.table import storage


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    return one.equals(other) or bool(
        (one.columns == other.columns).all() and all(one[c].equals(other[c]) or (one[c] == other[c]).all() for c in one)
    )


@pytest.mark.parametrize("name", ["t.json.gz", "t.json"])
def test_a_table_comes_back(table: pd.DataFrame, tmp_path: Path, name: str) -> None:
    storage.write(table, tmp_path / name)
    assert same(storage.read(tmp_path / name), table)
    assert same(storage.read(tmp_path / name, structures=False), table.drop(columns="structure"))


def test_matminer_reads_what_we_write_and_we_what_it_writes(table: pd.DataFrame, tmp_path: Path) -> None:
    storage.write(table, tmp_path / "ours.json.gz")
    assert same(load_dataframe_from_json(str(tmp_path / "ours.json.gz"), pbar=False), table)
    store_dataframe_as_json(table, str(tmp_path / "theirs.json.gz"), compression="gz", pbar=False)
    assert same(storage.read(tmp_path / "theirs.json.gz"), table)


def test_a_long_table_is_packed_in_parts_that_matminer_reads(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "MEMBER", 300)
    for name in ("t.json.gz", "again.json.gz"):
        storage.write(table, tmp_path / name)
    assert (tmp_path / "t.json.gz").read_bytes().count(b"\x1f\x8b\x08") > 3
    assert (tmp_path / "t.json.gz").read_bytes() == (tmp_path / "again.json.gz").read_bytes()
    assert same(load_dataframe_from_json(str(tmp_path / "t.json.gz"), pbar=False), table)
    assert same(storage.read(tmp_path / "t.json.gz"), table)


def test_the_garbage_collector_passes_over_a_table_that_was_read() -> None:
    gc.unfreeze()
    table = storage.read(SAMPLE)
    assert gc.isenabled() and gc.get_freeze_count() > 10 * len(table)
    gc.unfreeze()


def test_bare_nan_is_no_part_of_a_name(tmp_path: Path) -> None:
    text = '{"index": [0, 1], "columns": ["formula", "band_gap"], "data": [["NaN3", NaN], ["Na, NaN, Na", -Infinity]]}'
    (tmp_path / "t.json").write_text(text)
    table = storage.read(tmp_path / "t.json")
    assert table["formula"].tolist()[0] == "NaN3"
    assert table["band_gap"].isna().all()


@pytest.mark.parametrize("structures", [True, False])
def test_missing_numbers_are_nan_also_where_there_is_no_other(
    table: pd.DataFrame, tmp_path: Path, structures: bool
) -> None:
    storage.write(table.assign(band_gap_gllbsc=np.nan), tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text())["data"][1][-2:] == [None, None]
    found = storage.read(tmp_path / "t.json", structures=structures)
    assert found["band_gap_hse"].dtype == found["band_gap_gllbsc"].dtype == float
    np.testing.assert_array_equal(found["band_gap_hse"], [1.2, np.nan, 2.3, np.nan])
    assert found["band_gap_gllbsc"].isna().all()


@pytest.mark.parametrize("name", ["a", "{a}", "}{", 'a"b', "a\\\\b", '"{', "[{", "{}"])
def test_braces_in_names_are_no_objects(table: pd.DataFrame, tmp_path: Path, name: str) -> None:
    table["material_id"] = [name, "b", f"{name}c", ""]
    storage.write(table, tmp_path / "t.json.gz")
    assert same(storage.read(tmp_path / "t.json.gz", structures=False), table.drop(columns="structure"))


@pytest.mark.parametrize("label", ["{", "}", "{}", '"', "\\\\"])
def test_braces_in_labels_end_no_structure(table: pd.DataFrame, tmp_path: Path, label: str) -> None:
    table["structure"] = [
        Structure(each.lattice, each.species, each.frac_coords, labels=[label] * len(each))
        for each in table["structure"]
    ]
    storage.write(table, tmp_path / "t.json.gz")
    assert same(storage.read(tmp_path / "t.json.gz", structures=False), table.drop(columns="structure"))


def test_equal_tables_are_equal_files(table: pd.DataFrame, tmp_path: Path) -> None:
    storage.write(table, tmp_path / "a.json.gz")
    storage.write(storage.read(tmp_path / "a.json.gz"), tmp_path / "b.json.gz")
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


@given(st.data())
def test_a_truncated_table_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = SAMPLE.read_bytes()
    path = tmp_path_factory.mktemp("half") / "half.json.gz"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 9))])
    with pytest.raises(InputError, match=r"half\.json\.gz: "):
        storage.read(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged"),
        (b"[]", "not a table"),
        (b'{"a": 1}', "not a table"),
        (b'{"index": [], "columns": ["formula"], "data": []}', "no rows"),
        (b'{"index": [0], "columns": ["name"], "data": [["Si"]]}', "no column formula; it has name"),
        (b'{"index": [0], "columns": ["formula"], "data": [["Si", 1]]}', "not a table"),
        (b'{"index": [0], "columns": ["formula", "structure"], "data": [["Si", {}]]}', "row 0: column structure"),
        (b'{"index": [0], "columns": ["formula", "structure"], "data": [["Si", null]]}', "row 0: column structure"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "t.json").write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        storage.read(tmp_path / "t.json")
    assert "t.json: " in str(caught.value)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; write it with query"):
        storage.read(tmp_path / "t.json.gz")
    with pytest.raises(InputError, match="a folder"):
        storage.read(tmp_path)


SITE = {"species": [{"element": "Si", "occu": 1}], "abc": [0, 0, 0], "label": "Si"}
SOUND: dict[str, Any] = {"lattice": {"matrix": [[4, 0, 0], [0, 4, 0], [0, 0, 4]]}, "sites": [SITE]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lattice": {"matrix": [[4, 0, 0], [0, 4, 0], [4, 4, 0]]}}, "a lattice without volume"),
        ({"lattice": {"matrix": [[0] * 3] * 3}}, "a lattice without volume"),
        ({"lattice": {"matrix": (1e-5 * np.eye(3)).tolist()}}, "which no crystal has"),
        ({"lattice": {"matrix": (1e6 * np.eye(3)).tolist()}}, r"a lattice vector of 1e\+06 Å, the longest is 1,000 Å"),
        ({"lattice": {"matrix": [[900, 0, 0], [899, 0.02, 0], [0, 0, 1]]}}, "so skewed that"),
        ({"lattice": {"matrix": [[4, 0], [0, 4]]}}, "the lattice is not three vectors of three numbers"),
        ({"lattice": {**SOUND["lattice"], "pbc": [True, True]}}, r"pbc is \[True, True\], not three truth values"),
        ({"lattice": {**SOUND["lattice"], "pbc": "yes"}}, "pbc is 'yes', not three truth values"),
        ({"lattice": {**SOUND["lattice"], "pbc": None}}, "pbc is None, not three truth values"),
        ({"charge": "much"}, "charge is 'much', not a number"),
        ({"charge": 10**400}, "charge|half-written JSON"),
    ],
)
def test_a_crystal_that_cannot_be_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    rows = [["Si", SOUND], ["Ge", {**SOUND, **change}]]
    content = {"columns": ["formula", "structure"], "index": [0, 1], "data": rows}
    (tmp_path / "t.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message) as caught:
        storage.read(tmp_path / "t.json")
    assert "row 1" in str(caught.value) or "half-written JSON" in str(caught.value)
    storage.read(tmp_path / "t.json", structures=False)


def test_what_is_no_number_is_an_error_of_its_row(tmp_path: Path) -> None:
    for column, value, message in (
        ("energy_above_hull", [1, 2], r"row 1 \(Ge\): energy_above_hull is \[1, 2\], not a number"),
        ("energy_per_atom", "low", r"row 1 \(Ge\): energy_per_atom is 'low', not a number"),
        ("band_gap_hse", -1e300, r"row 1 \(Ge\): band_gap_hse is -1e\+300, more than 100 eV"),
    ):
        content = {"columns": ["formula", column], "index": [0, 1], "data": [["Si", 1], ["Ge", value]]}
        (tmp_path / "t.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match=message):
            storage.read(tmp_path / "t.json")


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in (tmp_path / "fifo", "/dev/zero"):
        with pytest.raises(InputError, match="not a regular file"):
            storage.read(name)
    with pytest.raises(InputError, match="not readable"):
        storage.read("/proc/self/mem")
    with pytest.raises(InputError, match="not readable"):
        storage.read("table\0.json")
