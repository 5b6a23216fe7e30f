from __future__ import annotations

import json
from pathlib import Path

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
