"""Tables as JSON Lines, against pymatgen's lattices."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pymatgen.core import Lattice

from bandgaps.errors import InputError
from bandgaps.table import json_lines, records, storage

ROW: dict[str, Any] = {
    "material_id": "mp-149",
    "formula": "Si",
    "cell": [3.84, 3.84, 3.84, 60.0, 60.0, 60.0],
    "species": ["Si", "Si"],
    "frac": [[0, 0, 0], [0.25, 0.25, 0.25]],
    "band_gap": 0.61,
}


def test_crystals_and_columns_are_read(tmp_path: Path) -> None:
    path = tmp_path / "gaps.jsonl.gz"
    other = {"material_id": "x", "formula": "Ge", "band_gap_hse": 0.8}
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, (ROW, other))).encode()))
    table = storage.read_records(path)
    assert table["formula"].tolist() == ["Si", "Ge"]
    assert table["band_gap"].tolist()[0] == 0.61 and np.isnan(table["band_gap_hse"].tolist()[0])
    (silicon,) = storage.read(_only(tmp_path, ROW))["structure"]
    assert silicon.formula == "Si2" and silicon.get_distance(0, 1) == pytest.approx(3.84 * np.sqrt(6) / 4)


def _only(folder: Path, row: dict[str, Any]) -> Path:
    path = folder / "one.jsonl"
    path.write_text(json.dumps(row))
    return path


@given(st.tuples(*[st.floats(2, 20)] * 3), st.tuples(*[st.floats(50, 120)] * 3))
def test_lattices_are_pymatgens(lengths: tuple[float, ...], angles: tuple[float, ...]) -> None:
    a, b, c = np.cos(np.radians(angles))
    assume(1 - a * a - b * b - c * c + 2 * a * b * c > 0.05)  # such angles make a cell
    (found,) = json_lines._lattices(np.array([[*lengths, *angles]]))
    np.testing.assert_allclose(found, Lattice.from_parameters(*lengths, *angles).matrix, atol=1e-8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": [1, 2, 3]}, "line 1: not a crystal; cell takes six numbers"),
        ({"species": ["Si"]}, "not a crystal"),
        ({"frac": [[0, 0, 0], [0, "x", 0]]}, "not a crystal"),
        ({"frac": None}, "not a crystal"),
    ],
)
def test_a_line_that_is_no_crystal_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        storage.read_records(_only(tmp_path, {**ROW, **change}))


def test_a_line_that_is_no_object_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gaps.jsonl"
    for text, message in (("[1]", "line 2: not an object"), ("{", "line 2: not JSON")):
        path.write_text(f"{json.dumps(ROW)}\n{text}\n")
        with pytest.raises(InputError, match=message):
            storage.read_records(path)


def test_crystals_of_lines_are_compact_as_those_of_tables(tmp_path: Path) -> None:
    path = _only(tmp_path, {**ROW, "species": ["Si", "D"]})
    (found,) = storage.read_compact(path)["structure"]
    (plain,) = storage.read_records(path)["structure"]
    assert found == plain == records.compact(json.loads(json.dumps(plain)))
    assert [site["label"] for site in found["sites"]] == ["Si", "D"]
    assert found["sites"][0]["abc"] == [0.0, 0.0, 0.0] and isinstance(found["sites"][0]["abc"][0], float)


@pytest.mark.parametrize("species", [["Si", "Xx"], ["Si", 14], ["Si", ["Ge"]]])
def test_what_is_no_element_is_named_with_its_row(tmp_path: Path, species: list[Any]) -> None:
    for read in (storage.read, storage.read_compact):
        with pytest.raises(InputError, match=r"one\.jsonl: row 0: column structure is not a pymatgen Structure"):
            read(_only(tmp_path, {**ROW, "species": species}))
