from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from helpers import ROOT, SHARED, gaps_of_2019, needs_shared
from pymatgen.core import Composition

from bandgaps import formulas, levels
from bandgaps.errors import InputError
from bandgaps.table import cleaning, measured_gaps, sources, storage
from bandgaps.table.sources import Filters, Source


def test_measured_gaps_belong_to_the_lowest_polymorph(tmp_path: Path) -> None:
    rows = [("Si", 0.2, 0.5), ("Si2", 0.1, 0.6), ("Ge", 0.0, 0.0), ("SiC", 0.0, 1.4)]
    table = pd.DataFrame(rows, columns=["formula", "energy_above_hull", "band_gap"])
    storage.write(table, tmp_path / "t.json")
    (tmp_path / "m.csv").write_text("formula,target\nSi,1.1\nSi8,1.2\nGe2,0.7\nGaAs,1.4\n")
    source = sources.from_file(tmp_path / "t.json")
    measured = sources.from_file(tmp_path / "m.csv", levels.EXPERIMENT)
    joined = measured_gaps.with_measured(source, measured)
    assert joined.table["band_gap_experiment"].fillna(-1).tolist() == pytest.approx([-1, 1.15, 0.7, -1])
    assert joined.table.drop(columns=["band_gap_experiment", "band_gap_experiment_std"]).equals(source.table)
    prepared, _ = cleaning.prepare(joined, "band_gap", Filters(), seed=0)
    assert prepared.set_index("formula")["band_gap_experiment"].fillna(-1).to_dict() == pytest.approx(
        {"Si": 1.15, "Ge": 0.7, "SiC": -1}
    )


def test_a_later_list_of_measured_gaps_counts_and_may_name_crystals(tmp_path: Path) -> None:
    rows = [("mp-1", "ZnS", 0.1, 2.0), ("mp-2", "ZnS", 0.0, 2.1), ("mp-3", "AlAs", 0.0, 1.5), ("mp-4", "GaP", 0.0, 1.6)]
    columns = ["material_id", "formula", "energy_above_hull", "band_gap"]
    storage.write(pd.DataFrame(rows, columns=columns), tmp_path / "t.json")
    (tmp_path / "long.csv").write_text("formula,target\nZnS,3.6\nAlAs,0.0\nGaP,2.3\n")
    (tmp_path / "known.csv").write_text("material_id,formula,band_gap\nmp-1,ZnS,3.9\nmp-3,AlAs,2.2\nmp-66,GaP,9\n")
    joined = sources.from_file(tmp_path / "t.json")
    for name in ("long.csv", "known.csv"):
        joined = measured_gaps.with_measured(joined, sources.from_file(tmp_path / name, levels.EXPERIMENT))
    assert joined.table["band_gap_experiment"].fillna(-1).tolist() == [3.9, -1, 2.2, -1]


def listed(folder: Path, name: str, rows: str) -> Source:
    """A list of measured gaps, of lines such as Si,1.1."""
    (folder / name).write_text(f"formula,band_gap\n{rows}\n")
    return sources.from_file(folder / name, levels.EXPERIMENT)


def calculated(folder: Path, *formulas: str) -> Source:
    """A table of these materials."""
    storage.write(pd.DataFrame({"formula": formulas, "energy_above_hull": 0.0, "band_gap": 1.0}), folder / "t.json")
    return sources.from_file(folder / "t.json")


# As lists and tables spell them; pymatgen has AlCuS2, GaAgTe2, InAgTe2 for the first spellings.
SPELLINGS = [("CuAlS2", "AlCuS2"), ("AgGaTe2", "GaAgTe2"), ("AgInTe2", "InAgTe2"), ("Al0.5Ga0.5N", "AlGaN2")]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_measured_gaps_find_their_composition_however_it_is_spelled(tmp_path: Path, one: str, other: str) -> None:
    for spelled, known in ((one, other), (other, one)):
        joined = measured_gaps.with_measured(
            calculated(tmp_path, spelled, "Si"), listed(tmp_path, "m.csv", f"{known},3")
        )
        assert joined.table["band_gap_experiment"].fillna(-1).tolist() == [3, -1]
        assert joined.table["formula"].tolist() == [formulas.reduced_formula(spelled), "Si"]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_later_lists_count_however_they_spell_a_composition(tmp_path: Path, one: str, other: str) -> None:
    lists = [listed(tmp_path, "long.csv", f"{one},3.5\nSi,1.1\n{one},3.7"), listed(tmp_path, "known.csv", f"{other},2")]
    found, gaps = measured_gaps.together(lists, Filters())
    assert found.tolist() == ["Si", formulas.reduced_formula(other)] and gaps.tolist() == [1.1, 2]
    rows = calculated(tmp_path, one, "Si", "Ge")
    for each in lists:
        rows = measured_gaps.with_measured(rows, each)
    assert rows.table["band_gap_experiment"].fillna(-1).tolist() == [2, 1.1, -1]
    assert measured_gaps.matches(lists, rows.table) == {
        "input": f"{tmp_path}/long.csv, {tmp_path}/known.csv",
        "database_version": [each.database_version for each in lists],
        "formulas": 2,
        "matched": 2,
    }
    found, _ = measured_gaps.together(lists, Filters(leave_out=("Si",)))
    assert found.tolist() == [formulas.reduced_formula(other)]


def test_a_later_list_of_crystals_drops_what_was_said_of_other_spellings(tmp_path: Path) -> None:
    rows = measured_gaps.with_measured(calculated(tmp_path, "AlGaN2"), listed(tmp_path, "long.csv", "AlGaN2,4"))
    (tmp_path / "known.csv").write_text("material_id,formula,band_gap\nmp-66,Al0.5Ga0.5N,9\n")  # not in the table
    known = sources.from_file(tmp_path / "known.csv", levels.EXPERIMENT)
    assert rows.table["band_gap_experiment"].tolist() == [4]
    assert measured_gaps.with_measured(rows, known).table["band_gap_experiment"].isna().all()


def test_a_table_without_lists_has_no_account_of_them(tmp_path: Path) -> None:
    assert measured_gaps.matches([], calculated(tmp_path, "Si").table) is None


def test_the_bundled_list_of_semiconductors_is_one_of_measured_gaps() -> None:
    measured = sources.from_file(ROOT / "data" / "semiconductors.csv", levels.EXPERIMENT)
    gaps = measured.table.set_index("material_id")["band_gap_experiment"]
    assert gaps.index.is_unique and gaps.between(0, 12).all() and measured.table["reference"].notna().all()
    assert (gaps["mp-149"], gaps["mp-32"]) == (1.170, 0.744)
    assert not any(formulas.has_together(formula, "Ge-Si") for formula in measured.table["formula"])


@needs_shared
def test_the_bundled_list_names_crystals_of_its_formulas() -> None:
    measured = sources.from_file(ROOT / "data" / "semiconductors.csv", levels.EXPERIMENT).table
    table = gaps_of_2019().set_index("material_id")
    known = measured[measured["material_id"].isin(table.index)]
    assert len(known) > 95
    spelled = [formulas.reduced_formula(formula) for formula in table.loc[known["material_id"], "formula"]]
    assert known["formula"].tolist() == spelled


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("formula,gap\nSi,1.1\n", "no column band_gap; it has"),
        ("formula,band_gap\nSi,1.1\nGe,\n", r"row 1 \(Ge\): nan is no measured gap in eV"),
        ("formula,band_gap\nSi,-0.1\n", r"row 0 \(Si\): -0.1 is no measured gap"),
        ("formula,target\nSi,wide\n", r"row 0 \(Si\): 'wide' is no measured gap"),
        ("formula,target\nSi,inf\n", r"row 0 \(Si\): inf"),
    ],
)
def test_what_is_no_measured_gap_names_its_row(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"m\.csv: {message}"):
        measured_gaps.with_measured(sources.from_sample(), sources.from_file(path, levels.EXPERIMENT))


@needs_shared
def test_measured_gaps_of_the_materials_project_of_2019() -> None:
    table = gaps_of_2019().copy()
    table["formula"] = [formulas.reduced_formula(formula) for formula in table["formula"]]
    source = sources.Source("file", "mp-2019", table, "", [])
    joined = measured_gaps.with_measured(source, sources.from_file(SHARED / "expt-gap.csv", levels.EXPERIMENT))
    measured = pd.read_csv(SHARED / "expt-gap.csv", converters={"formula": str})
    spelled = {Composition(formula).get_integer_formula_and_factor()[0] for formula in measured["formula"]}
    reduced = {Composition(formula).reduced_formula for formula in spelled}
    known = joined.table[joined.table["band_gap_experiment"].notna()]
    assert set(known["formula"]) == reduced & set(table["formula"]) and known["formula"].is_unique
    assert len(known) == 2086 and "Sr0.5Ta1O3" in measured["formula"].tolist() and "SrTa2O6" in set(known["formula"])
    lowest = table.groupby("formula")["formation_energy_per_atom"].min()
    assert (known["formation_energy_per_atom"] == lowest[known["formula"]].to_numpy()).all()
    kept, steps = cleaning._leave_out(joined.table, formulas.left_out(["Si-Ge"]))
    assert [step.rows for step in steps] == [len(table) - 8]
    assert {"Si", "Ge"} <= set(kept["formula"]) and not {"SiGe", "Si3Ge", "SiGeO3"} & set(kept["formula"])
