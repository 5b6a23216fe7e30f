from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from bandgaps.errors import InputError
from bandgaps.files import sha256
from bandgaps.table import cleaning, columns, sources, splitting
from bandgaps.table.account import Step
from bandgaps.table.sources import Filters


def test_csv_formulas_take_pymatgens_spelling_and_other_columns_stay(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text(
        "\ufeffformula,band_gap,bulk,note,split\nGe2Si2,1,3.5,a,test\nNaN,2,,b,test\nSi0.25Ge0.75,0,1,,train\n"
    )
    source = sources.from_file(path)
    assert source.table["formula"].tolist() == ["SiGe", "NaN", "Si0.25Ge0.75"]
    assert source.table["material_id"].tolist() == ["row-0", "row-1", "row-2"]
    table, steps = cleaning.prepare(source, "band_gap", Filters(), seed=3)
    assert table["bulk"].tolist()[::2] == [3.5, 1] and table["note"].tolist()[:2] == ["a", "b"]
    assert table["split"].tolist() == splitting.split(columns.is_metal(table), 3).tolist()
    assert [step.rows for step in steps] == [3, 3, 3]


@pytest.mark.parametrize("formula", ["Xx2O3", "Fe2O3+", "", "banana", "Si-Ge", "Si0", "(Si", "Si1e500", "12", "XO2"])
def test_formula_that_cannot_be_read_names_its_row(tmp_path: Path, formula: str) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text(f"formula,band_gap\nSi,1.1\n{formula},2\n")
    with pytest.raises(InputError, match=r"gaps\.csv: row 1: formula"):
        sources.from_file(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "not a CSV"),
        ("a.csv", b"formula,band_gap\n", "no rows"),
        ("a.csv", b"composition,band_gap\nSi,1\n", "no column formula; it has composition, band_gap"),
        ("a.csv", b"formula,gap\nSi,1\n", "no column band_gap; it has"),
        ("a.csv", b"formula,band_gap\nSi,\n", r"1 of 1 rows have no number in column band_gap.*drop such rows"),
        ("a.csv", b"formula,band_gap\nSi,wide\n", "1 of 1 rows have no number"),
        ("a.csv", b"formula,band_gap\nSi,inf\n", "1 of 1 rows have no number"),
        ("a.csv", b"formula,band_gap\n\xff\xfe,1\n", "not a CSV in UTF-8"),
        ("a.csv", b'formula,band_gap\n"Si,1\n', "formula|CSV"),
        ("a.csv", b"formula,band_gap\nSi,1\nGe,\x002\n", "line 3 has a NUL byte"),
        ("a.csv", b"formula,band_gap,band_gap\nSi,1,2\n", "'band_gap' is the name of several columns"),
        ("a.csv", b"formula,band_gap\nSi,1\nGe,101\n", r"row 1 \(Ge\): band_gap is 101, more than 100 eV"),
        ("a.csv", b"formula,band_gap\nSi,1e308\n", r"row 0 \(Si\): band_gap is 1e\+308, more than 100 eV"),
        ("a.csv", b"formula,band_gap,energy_per_atom\nSi,1,low\n", r"energy_per_atom is 'low', not a number"),
        ("a.csv", b"formula,band_gap\n" + b"x" * 5_000_000 + b",1\n", "row 0: formula 'x{80}…': it has 5,000,000 char"),
        ("a.csv", b"formula,band_gap\nSi1e400,1\n", "row 0: formula 'Si1e400': its number of atoms"),
        ("a.csv", b"formula,band_gap\nSi" + b"9" * 300 + b",1\n", "row 0: formula 'Si9{78}…': its number of atoms"),
        ("a.csv.gz", gzip.compress(b"formula,band_gap\nSi,1\n" * 99, mtime=0)[:30], "damaged or half-written gzip"),
        ("a.json.gz", gzip.compress(b'{"columns": ["formula"', mtime=0)[:-9], "damaged or half-written"),
        ("a.json", json.dumps({"columns": ["formula"], "index": [0], "data": [[7]]}).encode(), "row 0: formula 7"),
    ],
)
def test_bad_file_is_told_in_words(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        cleaning.prepare(sources.from_file(path), "band_gap", Filters(), seed=0)
    assert str(path) in str(caught.value)


def csv(folder: Path, name: str, header: str, rows: str) -> Path:
    (folder / name).write_text(f"{header}\n{rows}\n")
    return folder / name


def test_a_later_file_replaces_what_earlier_ones_say_of_a_composition(tmp_path: Path) -> None:
    paths = [
        csv(tmp_path, "long.csv", "formula,target", "AlCuS2,3.5\nSi,1.1\nGaAgTe2,1.1\nSi,1.3\nInAgTe2,0.9\nAlGaN2,4"),
        csv(tmp_path, "known.csv", "material_id,formula,band_gap", "mp-1,CuAlS2,3.49\nmp-2,AgGaTe2,1.32\nmp-3,Ge,0.74"),
        csv(tmp_path, "last.csv", "formula,band_gap_experiment", "AgInTe2,1.04\nAl0.5Ga0.5N,4.5"),
    ]
    source = sources.from_files(paths, "band_gap_experiment")
    expected = {"Si": [1.1, 1.3], "AlCuS2": [3.49], "GaAgTe2": [1.32], "Ge": [0.74], "InAgTe2": [1.04]}
    expected["Al0.5Ga0.5N1"] = [4.5]
    assert source.table.groupby("formula")["band_gap_experiment"].apply(list).to_dict() == expected
    assert source.table["material_id"].tolist() == ["row-0", "row-1", "mp-1", "mp-2", "mp-3", "row-5", "row-6"]
    assert source.steps == [Step("rows of 3 files", 11), Step("rows of compositions that no later file has", 7)]
    assert source.name == ", ".join(map(str, paths))
    assert source.database_version.split(", ") == [f"sha256:{sha256(path)}" for path in paths]


def test_one_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = csv(tmp_path, "a.csv", "formula,target", "Si,1.1\nSi2,1.2")
    one, other = sources.from_files([path], "gap"), sources.from_file(path, "gap")
    assert one.table.equals(other.table) and one.table["gap"].tolist() == [1.1, 1.2]
    assert (one.name, one.steps, one.database_version) == (other.name, other.steps, other.database_version)


def test_files_that_cannot_be_joined_are_named(tmp_path: Path) -> None:
    one = csv(tmp_path, "a.csv", "formula,band_gap", "Si,1.1")
    other = csv(tmp_path, "b.csv", "formula,gap", "Si,1.1")
    with pytest.raises(InputError, match=r"b\.csv: no column band_gap; it has"):
        sources.from_files([one, other])
    with pytest.raises(InputError, match=r"a\.csv, .*sample\.json\.gz: only one has structures"):
        sources.from_files([one, sources.SAMPLE])


@pytest.mark.parametrize(
    ("header", "target", "found"),
    [
        ("formula,target,band_gap", "band_gap_experiment", "target"),
        ("formula,band_gap", "band_gap_experiment", "band_gap"),
        ("formula,band_gap_experiment,band_gap", "band_gap_experiment", "band_gap_experiment"),
        ("formula,band_gap", "band_gap_hse", None),
        ("formula,target", "density", "target"),
    ],
)
def test_a_csv_may_call_its_target_otherwise(tmp_path: Path, header: str, target: str, found: str | None) -> None:
    names = header.split(",")
    path = csv(tmp_path, "a.csv", header, ",".join(["Si", *(f"{n}" for n in range(1, len(names)))]))
    table = sources.from_file(path, target).table
    assert (target in table) is (found is not None)
    if found:
        assert table[target].tolist() == [names.index(found)]
