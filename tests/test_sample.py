"""The bundled sample: its table is what its numbers say, and its gaps are those of the Materials Project."""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
from matminer.utils.io import load_dataframe_from_json
from pymatgen.core import Composition

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "sample"
REFERENCE = ROOT.parent / "shared" / "data" / "mp-2019.json.gz"


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """The script `data/sample/build.py`, which finds its neighbour `prototypes.py` on the path."""
    sys.path.insert(0, str(SAMPLE))
    try:
        spec = importlib.util.spec_from_file_location("sample_build", SAMPLE / "build.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(SAMPLE))
    return module


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return load_dataframe_from_json(str(SAMPLE / "sample.json.gz"), pbar=False)


def test_table_has_its_columns_and_rows(table: pd.DataFrame, build: ModuleType) -> None:
    assert list(table.columns) == build.COLUMNS
    assert len(table) >= 800
    assert table["material_id"].is_unique
    assert table["energy_per_atom"].notna().all()


def test_gaps_are_numbers_and_metals_are_zero(table: pd.DataFrame) -> None:
    assert (table["band_gap"] >= 0).all()
    assert (table["band_gap_gllbsc"].dropna() >= 0).all()
    assert 0.3 < (table["band_gap"] > 0).mean() < 0.7


def test_structures_are_sound(table: pd.DataFrame) -> None:
    for structure, formula in zip(table["structure"], table["formula"], strict=True):
        assert structure.is_valid(tol=1.0), formula
        assert structure.composition.reduced_formula == Composition(formula).reduced_formula == formula


def test_silicon_and_germanium(table: pd.DataFrame) -> None:
    gaps = table.set_index("material_id")["band_gap"]
    assert 0.5 < gaps["diamond-Si"] < 0.75
    assert gaps["diamond-Ge"] < 0.15


def test_rebuilding_gives_the_committed_table(build: ModuleType) -> None:
    rebuilt = build.encode(build.tabulate(build.read_crystals()))
    assert rebuilt == build.encode(build.tabulate(build.read_crystals()))
    contents = (json.loads(gzip.decompress(content)) for content in (rebuilt, build.TABLE.read_bytes()))
    assert_alike(*contents)


def assert_alike(one: Any, other: Any) -> None:
    """Two JSON values are equal but for the last digits of numbers: arc cosines differ between processors."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_alike(value, other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_alike(*pair)
    elif isinstance(one, float):
        assert abs(one - other) <= 1e-12 * max(1.0, abs(one))
    else:
        assert one == other


def test_every_crystal_is_one_of_the_list(build: ModuleType) -> None:
    listed = {crystal.id for crystal in sys.modules["prototypes"].crystals()}
    assert {row["id"] for row in build.read_crystals()} <= listed


@pytest.mark.parametrize(
    ("prototype", "elements", "space_group"),
    [
        ("fcc", ["Cu"], 225),
        ("bcc", ["Na"], 229),
        ("hcp", ["Mg"], 194),
        ("diamond", ["Si"], 227),
        ("rocksalt", ["Na", "Cl"], 225),
        ("zincblende", ["Ga", "As"], 216),
        ("CsCl", ["Cs", "Cl"], 221),
        ("wurtzite", ["Zn", "O"], 186),
        ("fluorite", ["Ca", "F"], 225),
        ("half-Heusler", ["Li", "As", "Zn"], 216),
        ("BiF3", ["Bi", "Li"], 225),
        ("Cu3Au", ["Ca", "Sn"], 221),
        ("ReO3", ["Re", "O"], 221),
        ("perovskite", ["Sr", "Ti", "O"], 221),
    ],
)
def test_prototypes_have_their_space_groups(
    build: ModuleType, prototype: str, elements: list[str], space_group: int
) -> None:
    structure = build.structure_of({"prototype": prototype, "elements": elements, "a": 4.0})
    assert build.space_group(structure) == space_group
    assert len(structure.get_primitive_structure()) == len(structure)


def test_readme_shows_the_numbers(build: ModuleType, table: pd.DataFrame) -> None:
    text = build.README.read_text()
    assert build.between_markers(text, build.summary(table, json.loads(build.CHECK.read_text()))) == text


@pytest.mark.skipif(not REFERENCE.exists(), reason="needs a table of Materials Project entries beside the repository")
def test_gaps_agree_with_the_materials_project(build: ModuleType, table: pd.DataFrame) -> None:
    numbers = build.check(table, REFERENCE)
    assert numbers == json.loads(build.CHECK.read_text())
    assert numbers["compounds"] > 90
    assert numbers["gap_mean_absolute_difference_eV"] < 0.15
    assert numbers["non_metals_gap_mean_absolute_difference_eV"] < 0.15
    assert numbers["lattice_mean_absolute_difference_percent"] < 0.5
    assert numbers["gllbsc_gap_mean_absolute_difference_eV"] < 0.25
