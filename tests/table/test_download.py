"""Rows from a Materials Project on loopback, through the real client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from downloads import crystal, is_listing
from materials_project_server import KEY, Documents, Server
from pymatgen.core import Composition, Structure

from bandgaps import formulas
from bandgaps.errors import InputError, RunError
from bandgaps.table import cleaning, columns, download, sources, storage
from bandgaps.table.account import Step
from bandgaps.table.materials_project import Query
from bandgaps.table.sources import Filters

ALONE = {"mp-24", "mp-32"}  # the two rocksalts that are blown up


def test_every_entry_comes_once_and_as_it_was(documents: Documents, undisturbed: list[dict[str, Any]]) -> None:
    expected = {one["material_id"]: one for one in documents if one["has_props"]["bandstructure"]}
    assert len(expected) == 1264
    assert [row["material_id"] for row in undisturbed] == sorted(expected, key=lambda one: int(one[3:]))
    for row in undisturbed:
        document = expected[row["material_id"]]
        assert row["formula"] == document["formula_pretty"]
        for name in ("band_gap", "energy_above_hull", "formation_energy_per_atom"):
            assert row[name] == document.get(name)
        assert row["structure"] == crystal(Structure.from_dict(document["structure"]))


def test_listing_goes_by_pages_and_documents_by_chunks(server: Server, cache: Path) -> None:
    fetched = download.download(Query(), KEY, cache)
    pages = [one.get("_skip", "0") for one in server.requests if is_listing(one)]
    chunks = [len(one["material_ids"].split(",")) for one in server.requests if "material_ids" in one]
    assert (pages, chunks) == (["0", "1000"], [500, 500, 264])
    assert len(server.requests) == 6  # and one count
    assert len(list(fetched.folder.glob("chunk-*.json.gz"))) == 3
    fetched.discard()
    assert not cache.exists()


def test_prepared_table_holds_lowest_polymorph_of_each_formula(
    server: Server, documents: Documents, cache: Path
) -> None:
    source = sources.from_materials_project("band_gap", Filters(), KEY, cache)
    table, steps = cleaning.prepare(source, "band_gap", Filters(), seed=0)
    lowest: dict[str, dict[str, Any]] = {}
    for one in documents:
        formula = Composition(one["formula_pretty"]).reduced_formula
        if one["has_props"]["bandstructure"]:
            lowest[formula] = min(lowest.get(formula, one), one, key=lambda two: two["energy_above_hull"])
    expected = {one["material_id"] for one in lowest.values()} - ALONE
    assert set(table["material_id"]) == expected and len(table) == len(expected) == 82
    assert [step.rows for step in steps] == [1264, 1264, 84, 82]
    assert set(table["split"]) == set(columns.PARTS)
    energies = ["energy_above_hull", "formation_energy_per_atom"]
    assert table.columns.tolist() == ["material_id", "formula", "structure", *energies, "band_gap", "split"]


def test_formation_energies_come_along_and_some_entries_have_none(server: Server, cache: Path) -> None:
    table = sources.from_materials_project("band_gap", Filters(), KEY, cache).table
    assert 0.9 < table["formation_energy_per_atom"].notna().mean() < 1
    storage.write(table, cache.parent / "t.json")
    again = storage.read(cache.parent / "t.json", structures=False)
    assert again["formation_energy_per_atom"].equals(table["formation_energy_per_atom"])


@pytest.mark.parametrize(
    ("chemsys", "hull", "expected"),
    [
        ("Si-Ge", None, {"mp-1003"}),
        ("Si-Ge,C,Si", None, {"mp-1003", "mp-1002", "mp-1000"}),
        ("Si-*", None, {"mp-1003"}),
        ("Si", 0.0, {"mp-1000"}),
        ("K-I,Cd-O", 0.1, {"mp-55", "mp-56", "mp-153", "mp-154"}),
    ],
)
def test_filters_mean_the_same_to_the_server_and_to_a_table(
    server: Server, documents: Documents, cache: Path, chemsys: str, hull: float | None, expected: set[str]
) -> None:
    filters = Filters(formulas.chemical_systems(chemsys), hull)
    source = sources.from_materials_project("band_gap", filters, KEY, cache)
    first = {name for name in source.table["material_id"] if int(name[3:]) < 20000}
    assert first == expected
    rows = pd.DataFrame([one for one in documents if one["has_props"]["bandstructure"]])
    kept, steps = cleaning._filter(rows.rename(columns={"formula_pretty": "formula"}), filters, "the documents")
    assert set(kept["material_id"]) == set(source.table["material_id"])
    assert [step.rows for step in source.steps[1:]] == [step.rows for step in steps]


def test_another_field_as_target_and_rows_without_it(server: Server, cache: Path) -> None:
    target = "density"
    source = sources.from_materials_project(target, Filters(), KEY, cache)
    missing = int(source.table[target].isna().sum())
    assert missing > 1
    with pytest.raises(InputError, match=f"{missing} of 1264 rows have no number in column {target}"):
        cleaning.prepare(source, target, Filters(), seed=0)
    table, steps = cleaning.prepare(source, target, Filters(drop_missing=True), seed=0)
    assert steps[1] == Step(f"with a number in {target}", 1264 - missing)
    assert {"band_gap", target} <= set(table.columns) and table[target].notna().all()


@pytest.mark.parametrize(
    ("target", "message"),
    [("band_gp", "did you mean band_gap"), ("is_metal", "not a numeric field"), ("structure", "not a numeric field")],
)
def test_target_that_is_no_numeric_field(server: Server, cache: Path, target: str, message: str) -> None:
    with pytest.raises(InputError, match=f"target {target}: .*{message}"):
        download.download(Query(target), KEY, cache)
    assert not server.requests


def test_nothing_matches(server: Server, cache: Path) -> None:
    with pytest.raises(
        InputError, match=r"chemical system Au-Si / at most 0.1 eV/atom above the hull; widen the filters"
    ):
        download.download(Query(chemsys=("Au-Si",), max_energy_above_hull=0.1), KEY, cache)


DAMAGE: list[dict[str, Any]] = [
    {"formula_pretty": ["Si", "Ge"]},
    {"formula_pretty": "Si1e400"},
    {"band_gap": 1e308},
    {"structure": None},
    {"structure": {"charge": "much"}},
    {"structure": {"lattice": {"matrix": [[1, 0, 0], [0, 1, 0], [1, 1, 0]]}}},
    {"structure": {"lattice": {"matrix": (1e-5 * np.eye(3)).tolist()}}},
    {"structure": {"lattice": {"matrix": (1e6 * np.eye(3)).tolist()}}},
]


def test_damaged_documents_are_named_and_left_out(
    server: Server, documents: Documents, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = {one["material_id"]: one for one in documents if one["has_props"]["bandstructure"]}
    chosen = [sound[f"mp-{number}"] for number in range(9, 9 + len(DAMAGE) + 2)]
    server.documents = [
        one | {key: {**one[key], **value} if isinstance(value, dict) else value for key, value in damage.items()}
        for one, damage in zip(chosen, [*DAMAGE, {}, {}], strict=True)
    ]
    fetched = download.download(Query(), KEY, cache)
    assert set(fetched.table["material_id"]) == {one["material_id"] for one in chosen[-2:]}
    assert fetched.steps[-1] == Step("with a formula and a crystal that can be read", 2)
    told = capsys.readouterr().out
    assert "left out" in told and "and 5 more" in told
    assert sum(one["material_id"] + " (" in told for one in chosen) == 3
    server.documents = server.documents[: len(DAMAGE)]
    with pytest.raises(RunError, match="none of the Materials Project's documents can be read"):
        download.download(Query(), KEY, cache.with_name("other"))
