from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import SAMPLE, first_rows, needs_shared
from pymatgen.core import Composition, Lattice, Structure

from bandgaps import formulas
from bandgaps.errors import InputError
from bandgaps.table import cleaning, records, sources, storage
from bandgaps.table.account import Step
from bandgaps.table.sources import Filters


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
    assert "3 compositions" in steps[0].kept


def test_compositions_are_counted_whatever_their_spelling() -> None:
    rows = [("AlGaN2", 1.0, 3.0), ("Al0.5Ga0.5N1", 0.0, 4.0), ("SiGe", 0.0, 0.5), ("Si0.5Ge0.5", 1.0, 0.7)]
    table = pd.DataFrame(rows, columns=["formula", "energy_above_hull", "band_gap"])
    cleaned, steps = cleaning.clean(table, "band_gap")
    assert cleaned["formula"].tolist() == ["Al0.5Ga0.5N1", "SiGe"] and steps[0].rows == 2
    _, steps = cleaning.clean(table, "band_gap", all_polymorphs=True)
    assert steps == [Step("every polymorph of 2 compositions", 4)]
    cleaned, steps = cleaning.clean(table.drop(columns="energy_above_hull"), "band_gap")
    assert cleaned["formula"].tolist() == ["AlGaN2", "SiGe"] and steps[0].rows == 2
    assert cleaned["band_gap"].tolist() == pytest.approx([3.5, 0.6])


@pytest.mark.parametrize("spelling", ["Si0.5Ge0.5", "SiGe", "Ge2Si2"])
def test_what_is_to_train_on_may_be_spelled_in_any_way(tmp_path: Path, spelling: str) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text("formula,band_gap\nSiGe,1\n" + "".join(f"Li{n}O,1\n" for n in range(1, 10)))
    for seed in range(9):
        table, _ = cleaning.prepare(sources.from_file(path), "band_gap", Filters(), seed, [spelling])
        assert table["split"][0] == "train" and (table["split"] == "test").sum() == 2


@pytest.mark.parametrize(("constant", "isolated"), [(3.99, False), (4.01, True)])
def test_periodic_images_are_neighbours(constant: float, isolated: bool) -> None:
    crystal = Structure(Lattice.cubic(constant), ["Ne"], [[0, 0, 0]])
    assert cleaning.has_isolated_atom(crystal) is isolated
    assert cleaning.with_isolated_atoms([crystal, records.record(crystal)]).tolist() == [isolated] * 2


def test_many_crystals_are_searched_as_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    skewed = Lattice(
        np.array([[5, 0, 0], [24.5, 4.5, 0], [0, 0, 5]])
    )  # its images by rounded fractions are far, others near
    apart = Structure(Lattice.cubic(9), ["Si", "C", "C"], [[0.0] * 3, [0.5] * 3, [0.5, 0.5, 0.6]])
    slab = Structure(Lattice(np.diag([9, 9, 3]), pbc=(True, True, False)), ["Ne"], [[0, 0, 0]])
    made = [apart, slab, Structure(skewed, ["Ne", "Ne"], [[0.0] * 3, [0.5, 0.5, 0.0]])]
    for cutoff in (2.0, 2.5, 3.0, 4.0):
        crystals = [*storage.read(SAMPLE)["structure"].iloc[::30], *made]
        expected = [cleaning.has_isolated_atom(crystal, cutoff) for crystal in crystals]
        for at_once in (7, 1000):
            monkeypatch.setattr(cleaning, "AT_ONCE", at_once)
            assert cleaning.with_isolated_atoms(crystals, cutoff).tolist() == expected
        assert expected[-3:-1] == [True, True]


@needs_shared
def test_isolated_atoms_are_those_pymatgen_finds_alone() -> None:
    columns, rows = first_rows(300)
    for row in rows:
        structure = Structure.from_dict(row[columns.index("structure")])
        alone = any(len(neighbours) == 0 for neighbours in structure.get_all_neighbors(cleaning.ISOLATION_CUTOFF))
        assert cleaning.has_isolated_atom(structure) is alone


@pytest.mark.parametrize("name", ["gaps.csv", "gaps.csv.gz"])
def test_rows_of_a_formula_without_energies_are_averaged(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    pd.DataFrame({"formula": ["GaAs", "Si", "As2Ga2"], "gap": [1.4, 1.1, 1.6]}).to_csv(path, index=False)
    table, steps = cleaning.prepare(sources.from_file(path), "gap", Filters(), seed=0)
    assert table["formula"].tolist() == ["GaAs", "Si"]
    assert table["gap"].tolist() == pytest.approx([1.5, 1.1])
    assert steps[-1].rows == 2


def test_polymorphs_of_a_file_go_by_the_energy_it_has(tmp_path: Path) -> None:
    path = tmp_path / "table.json.gz"
    silicon = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.431), ["Si"], [[0.0] * 3])
    alone = Structure(Lattice.cubic(9), ["Si", "C"], [[0.0] * 3, [0.5] * 3])
    rows = [("a", "Si8", 0.2, 1.0), ("b", "Si2", 0.1, 0.6), ("c", "Si", None, 0.0), ("d", "SiC", 0.0, 2.0)]
    table = pd.DataFrame(rows, columns=["material_id", "formula", "formation_energy_per_atom", "band_gap"])
    storage.write(table.assign(structure=[silicon, silicon, silicon, alone], split="test"), path)
    prepared, steps = cleaning.prepare(sources.from_file(path), "band_gap", Filters(), seed=0)
    assert prepared["material_id"].tolist() == ["b"] and records.structure(prepared["structure"][0]) == silicon
    assert prepared["split"].tolist() == ["train"]
    assert [step.rows for step in steps] == [4, 4, 2, 1]


def test_alloys_are_left_out_and_their_elements_stay(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text("formula,target\nSi,1.1\nGe,0.7\nSi0.94Ge0.06,1.06\nSi49Ge51,1\nSiGeO3,3\nAlN,6\nAlP,2.5\n")
    filters = Filters(leave_out=formulas.left_out(["Si-Ge", "N-Al"]))
    table, steps = cleaning.prepare(sources.from_file(path, "gap"), "gap", filters, seed=0)
    assert dict(zip(table["formula"], table["gap"], strict=True)) == {"Si": 1.1, "Ge": 0.7, "AlP": 2.5}
    assert steps[:3] == [
        Step("rows of the file", 7),
        Step("without Ge and Si together", 4),
        Step("without Al and N together", 3),
    ]


def test_table_without_energy_above_hull_cannot_be_filtered_by_it(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text("formula,band_gap\nSi,1.1\n")
    with pytest.raises(InputError, match=r"gaps\.csv: no column energy_above_hull to filter by"):
        cleaning.prepare(sources.from_file(path), "band_gap", Filters(max_energy_above_hull=0.1), seed=0)


def test_bundled_sample_gives_a_table_with_metals_and_non_metals() -> None:
    source = sources.from_sample()
    table, _ = cleaning.prepare(source, "band_gap", Filters(), seed=0)
    counts: dict[bool, int] = defaultdict(int)
    for gap in table["band_gap"]:
        counts[gap == 0] += 1
    assert min(counts[True], counts[False]) > 50
    assert table["formula"].is_unique and {"Si", "Ge"} <= set(table["formula"])
    systems = Filters(formulas.chemical_systems("Si-*"))
    silicides, _ = cleaning.prepare(source, "band_gap", systems, seed=0)
    assert all(len(one.elements) == 2 and "Si" in one for one in map(Composition, silicides["formula"]))
