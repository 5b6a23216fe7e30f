from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import SAMPLE, SHARED, needs_shared
from hypothesis import given
from hypothesis import strategies as st
from matminer.utils.io import load_dataframe_from_json, store_dataframe_as_json
from pymatgen.core import Lattice, Structure

from bandgaps.errors import InputError
from bandgaps.table import account, cleaning, columns, splitting, storage

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


def test_rows_without_target_are_counted_and_named(table: pd.DataFrame) -> None:
    assert columns.target_values(table, "band_gap", "t").tolist() == [0.61, 0.0, 1.4, 11.0]
    with pytest.raises(InputError, match="2 of 4 rows have no number in column band_gap_hse, first row 1"):
        columns.target_values(table, "band_gap_hse", "t")
    with pytest.raises(InputError, match="no column density"):
        columns.target_values(table, "density", "t")


def test_the_account_belongs_to_the_table_it_was_written_for(table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "t.json.gz"
    storage.write(table, path)
    account.write_meta(path, {"target": "band_gap"})
    assert json.loads((tmp_path / "t.meta.json").read_text())["target"] == "band_gap"
    assert account.read_meta(path)["target"] == "band_gap"
    storage.write(table.iloc[:2], path)
    assert account.read_meta(path) == {}


def test_metals_are_rows_without_gap_whatever_the_target(table: pd.DataFrame) -> None:
    assert columns.is_metal(table).tolist() == [False, True, False, False]
    assert columns.is_metal(table, "energy_per_atom").tolist() == [False, True, False, False]


def test_cleaning_keeps_the_lowest_polymorph_and_nothing_that_comes_apart(table: pd.DataFrame) -> None:
    cleaned, steps = cleaning.clean(table, "band_gap")
    assert cleaned["material_id"].tolist() == ["a", "c"]
    assert [step.rows for step in steps] == [3, 2]


def test_cleaning_averages_where_no_energy_is_known(table: pd.DataFrame) -> None:
    cleaned, _ = cleaning.clean(table[["formula", "band_gap"]], "band_gap")
    assert dict(zip(cleaned["formula"], cleaned["band_gap"], strict=True)) == {"Si": 0.305, "SiC": 1.4, "Ne": 11.0}


def test_all_polymorphs_are_kept_but_those_that_come_apart(table: pd.DataFrame) -> None:
    cleaned, steps = cleaning.clean(table, "band_gap", all_polymorphs=True)
    assert cleaned["material_id"].tolist() == ["a", "b", "c"]
    assert [step.rows for step in steps] == [4, 3]
    assert "3 formulas" in steps[0].kept


energies = st.sampled_from([-2.0, -1.0, 0.0, 0.5, None])
polymorphs = st.lists(st.tuples(st.sampled_from("ABCDEFGH"), energies, st.booleans()), min_size=1, max_size=60)


@given(polymorphs)
def test_the_lowest_polymorph_represents_its_formula(rows: list[tuple[str, float | None, bool]]) -> None:
    table = pd.DataFrame(rows, columns=["formula", "energy_per_atom", "metal"])
    chosen = table[columns.represents_composition(table)]
    assert chosen["formula"].is_unique and set(chosen["formula"]) == set(table["formula"])
    for row, (formula, energy, _) in chosen.iterrows():
        others = table[table["formula"] == formula]
        known = others["energy_per_atom"].astype(float).dropna()
        assert energy == known.min() if len(known) else row == others.index[0]
    without = table.drop(columns="energy_per_atom")
    assert (columns.represents_composition(without) == ~without["formula"].duplicated()).all()


@given(polymorphs, st.integers(0, 2**32))
def test_polymorphs_of_a_formula_go_together(rows: list[tuple[str, float | None, bool]], seed: int) -> None:
    table = pd.DataFrame(rows, columns=["formula", "energy_per_atom", "metal"])
    metal = table["metal"].to_numpy()
    table["split"] = splitting.split_compositions(table, metal, seed, ["B"])
    assert not table.drop_duplicates(["formula", "split"])["formula"].duplicated().any()
    assert set(table["split"][table["formula"] == "B"]) <= {"train"}
    one = columns.represents_composition(table)
    expected = splitting.split(metal[one], seed, (table["formula"] == "B").to_numpy()[one])
    assert table["split"][one].tolist() == expected.tolist()


@given(st.lists(st.booleans(), min_size=1, max_size=200), st.integers(0, 2**32))
def test_where_formulas_are_unique_they_are_split_as_rows(metals: list[bool], seed: int) -> None:
    metal = np.array(metals)
    table = pd.DataFrame({"formula": [f"Si{n}" for n in range(len(metal))], "energy_per_atom": -metal.cumsum()})
    expected = splitting.split(metal, seed, np.arange(len(metal)) == 3)
    assert (splitting.split_compositions(table, metal, seed, ["Si3"]) == expected).all()


@pytest.mark.parametrize(("constant", "isolated"), [(3.99, False), (4.01, True)])
def test_periodic_images_are_neighbours(constant: float, isolated: bool) -> None:
    assert cleaning.has_isolated_atom(Structure(Lattice.cubic(constant), ["Ne"], [[0, 0, 0]])) is isolated


@needs_shared
def test_isolated_atoms_are_those_pymatgen_finds_alone() -> None:
    text = gzip.decompress((SHARED / "mp-2019.json.gz").read_bytes())
    start = text.index(b'"data": [[') + len(b'"data": [')
    for line in text[start : start + 2_000_000].split(b'], ["mp-')[:-1]:
        structure = Structure.from_dict(json.loads(line[line.index(b"{") : line.rindex(b"}") + 1]))
        alone = any(len(neighbours) == 0 for neighbours in structure.get_all_neighbors(cleaning.ISOLATION_CUTOFF))
        assert cleaning.has_isolated_atom(structure) is alone


@given(st.lists(st.booleans(), min_size=30, max_size=400), st.integers(0, 2**32))
def test_the_split_is_80_to_20_among_metals_and_among_others(metals: list[bool], seed: int) -> None:
    metal = np.array(metals)
    parts = splitting.split(metal, seed)
    assert set(parts) <= {"train", "validation", "test"}
    for stratum in (metal, ~metal):
        rows = stratum.sum()
        tests = (parts[stratum] == "test").sum()
        assert abs(tests - 0.2 * rows) <= 0.5
        assert abs((parts[stratum] == "validation").sum() - 0.1 * (rows - tests)) <= 0.5
    assert (parts == splitting.split(metal, seed)).all()


def test_another_seed_is_another_split() -> None:
    metal = np.zeros(100, dtype=bool)
    assert (splitting.split(metal, 0) != splitting.split(metal, 1)).any()


@given(st.integers(0, 2**32))
def test_pinned_rows_are_for_training(seed: int) -> None:
    metal = np.arange(50) < 20
    pinned = np.arange(50) % 7 == 0
    parts = splitting.split(metal, seed, pinned)
    assert set(parts[pinned]) == {"train"}
    assert (parts == "test").sum() == 10
    assert (parts[metal] == "test").sum() == 4


def test_pinning_everything_leaves_nothing_to_test() -> None:
    assert set(splitting.split(np.zeros(9, dtype=bool), 0, np.ones(9, dtype=bool))) == {"train"}
