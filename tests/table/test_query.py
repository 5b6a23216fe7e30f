"""query.py as a user runs it."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import assert_failed, first_rows, is_one_line, needs_shared, run_here, snapshot
from pymatgen.core import Lattice, Structure

import query
from bandgaps.files import sha256
from bandgaps.table import account, storage

CSV = "formula,band_gap\n" + "".join(f"Li{n}O{m},{n * m % 5}\n" for n in range(1, 30) for m in range(1, 30))


def table_from(folder: Path, *arguments: str) -> pd.DataFrame:
    path = folder / "gaps.csv"
    path.write_text(CSV)
    output = folder / "out" / "table.json.gz"
    query.main(["--source", "file", "--input", str(path), "--output", str(output), *arguments])
    return storage.read(output)


def test_table_and_its_account(tmp_path: Path) -> None:
    table = table_from(tmp_path, "--seed", "7")
    output = tmp_path / "out" / "table.json.gz"
    first = output.read_bytes()
    meta = json.loads((tmp_path / "out" / "table.meta.json").read_text())
    assert meta["input"] == str(tmp_path / "gaps.csv") and meta["seed"] == 7
    nothing: dict[str, Any] = {"chemsys": None, "max_energy_above_hull": None, "drop_missing": False, "leave_out": []}
    assert meta["filters"] == {**nothing, "polymorphs": "lowest"} and meta["measured"] is None
    assert pd.Timestamp(meta["date"]).utcoffset() == pd.Timedelta(0)
    assert meta["counts"]["metals"] == (table["band_gap"] == 0).sum() > 0
    assert meta["counts"]["metals"] + meta["counts"]["non-metals"] == len(table) == meta["steps"][-1]["rows"]
    assert not (tmp_path / "metrics").exists()
    table_from(tmp_path, "--seed", "7", "--metrics", str(tmp_path / "metrics"))
    assert output.read_bytes() == first
    same = {key: value for key, value in meta.items() if key not in ("date", "versions", "sha256")}
    assert json.loads((tmp_path / "metrics" / "table.json").read_text()) == same
    assert table_from(tmp_path, "--seed", "8")["split"].tolist() != table["split"].tolist()


def test_table_of_calculated_and_measured_gaps(tmp_path: Path) -> None:
    silicon = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.431), ["Si"], [[0.0] * 3])
    rows = [(f"Li{n}O43", energy, gap) for n in range(2, 42) for energy, gap in ((0.3, 0.0), (0.1, 1.5), (0.2, 0.0))]
    rows += [("Si", 0.0, 0.6), ("Si2", 0.1, 0.0), ("SiGe", 0.0, 0.4), ("SiGeO3", 0.0, 2.8), ("Ge", 0.0, 0.0)]
    table = pd.DataFrame(rows, columns=["formula", "energy_above_hull", "band_gap"])
    table["band_gap_hse"] = [1.1] * 30 + [None] * (len(rows) - 30)
    storage.write(table.assign(structure=[silicon] * len(rows)), tmp_path / "calculated.json.gz")
    (tmp_path / "measured.csv").write_text(
        "formula,band_gap\nLi3O43,2\nLi6O86,4\nSiGe,1\nSi0.9Ge0.1,1\nSi,1.2\nGaAs,1.4\n"
    )
    levels = ["--measured", "measured.csv", "--polymorphs", "all", "--leave-out", "Si-Ge"]
    flags = ["--source", "file", "--input", "calculated.json.gz", "--output", "out.json", *levels]
    done = run_here(query.main, *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found, meta = storage.read(tmp_path / "out.json"), account.read_meta(tmp_path / "out.json")
    assert [step["rows"] for step in meta["steps"]] == [125, 123, 123, 123, 123]
    assert "\n 123  without Ge and Si together\n" in done.stdout
    expected = {**{f"Li{n}O43": 3 for n in range(2, 42)}, "Si": 2, "Ge": 1}
    assert found["formula"].value_counts().to_dict() == expected
    assert not found.drop_duplicates(["formula", "split"])["formula"].duplicated().any()
    by_formula = found.drop_duplicates("formula")["split"].value_counts()
    assert by_formula.to_dict() == {"train": 28, "validation": 2, "calibration": 3, "test": 8, "measured": 1}
    apart = found[found["split"] == "measured"]  # silicon was measured too, but is always for training
    assert set(apart["formula"]) == {"Li3O43"} and apart["band_gap_experiment_std"].dropna().tolist() == [0.6]
    assert set(found["split"][found["formula"].isin(["Si", "Ge"])]) == {"train"}
    known = found[found["band_gap_experiment"].notna()]
    assert known[["formula", "energy_above_hull", "band_gap_experiment"]].to_numpy().tolist() == [
        ["Li3O43", 0.1, 3.0],
        ["Si", 0.0, 1.2],
    ]
    assert found["band_gap_hse"].notna().sum() == meta["counts"]["with band_gap_hse"] == 30
    assert meta["measured"]["formulas"] == 5 and meta["measured"]["matched"] == 2
    assert meta["measured"]["database_version"] == [f"sha256:{sha256(tmp_path / 'measured.csv')}"]
    assert "2 of the 5 formulas in measured.csv are in the table\n" in done.stdout
    assert (meta["filters"]["leave_out"], meta["filters"]["polymorphs"]) == (["Si-Ge"], "all")


def test_later_files_replace_what_earlier_ones_say(tmp_path: Path) -> None:
    long = "".join(f"Li{n}O{m},{n * m % 5}\n" for n in range(1, 9) for m in range(1, 9) if n != m)
    (tmp_path / "long.csv").write_text(f"formula,target\nAlCuS2,3.5\nInAgTe2,0.93\n{long}")
    (tmp_path / "known.csv").write_text("material_id,formula,band_gap\nmp-1,CuAlS2,3.49\nmp-2,AgInTe2,1.04\n")
    flags = ["--source", "file", "--target", "band_gap_experiment", "--output", "out.json"]
    done = run_here(query.main, *flags, "--input", "long.csv", "known.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("source: long.csv, known.csv\n")
    found, meta = storage.read(tmp_path / "out.json"), account.read_meta(tmp_path / "out.json")
    gaps = found.set_index("formula")["band_gap_experiment"]
    assert (gaps["AlCuS2"], gaps["InAgTe2"]) == (3.49, 1.04)
    assert meta["input"] == "long.csv, known.csv" and meta["steps"][0] == {"kept": "rows of 2 files", "rows": 60}
    first, second = (f"sha256:{sha256(tmp_path / name)}" for name in ("long.csv", "known.csv"))
    assert meta["database_version"] == f"{first}, {second}"


def test_full_disk_leaves_the_old_table(tmp_path: Path) -> None:
    table_from(tmp_path)
    old = snapshot(tmp_path)
    arguments = ["--source", "file", "--input", "gaps.csv", "--output", "out/table.json.gz", "--seed", "1"]
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, unlimited[1]))  # of any file that this process writes, bytes
    try:
        done = run_here(query.main, *arguments, cwd=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert done.returncode == 1 and is_one_line(done.stderr), done.stderr
    assert "too large" in done.stderr and "table.json.gz" in done.stderr
    assert snapshot(tmp_path) == old


def test_matminer_reads_the_table(tmp_path: Path) -> None:
    from matminer.utils.io import load_dataframe_from_json

    query.main(["--source", "sample", "--output", str(tmp_path / "sample.json.gz")])
    table, theirs = storage.read(tmp_path / "sample.json.gz"), load_dataframe_from_json(tmp_path / "sample.json.gz")
    assert theirs.columns.tolist() == table.columns.tolist()
    assert theirs["structure"].tolist() == table["structure"].tolist()
    assert theirs["band_gap"].tolist() == table["band_gap"].tolist()


@needs_shared
def test_beginning_of_the_materials_project_of_2019(tmp_path: Path) -> None:
    columns, rows = first_rows(600)
    content = {"columns": columns, "index": list(range(len(rows))), "data": rows}
    (tmp_path / "beginning.json").write_text(json.dumps(content))
    output = tmp_path / "table.json.gz"
    query.main(["--source", "file", "--input", str(tmp_path / "beginning.json"), "--output", str(output)])
    meta = account.read_meta(output)
    table = storage.read(output)
    structures = [Structure.from_dict(row[columns.index("structure")]) for row in rows]
    formulas = {structure.composition.reduced_formula for structure in structures}
    assert [step["rows"] for step in meta["steps"][:3]] == [600, 600, len(formulas)]
    assert table["formula"].is_unique and set(table["formula"]) <= formulas and len(table) > 0.95 * len(formulas)
    assert not any(alone_within(structure, 4.0) for structure in table["structure"])
    assert {"band_gap_hse", "band_gap_gllbsc", "formation_energy_per_atom"} <= set(table.columns)
    parts = table["split"].value_counts(normalize=True)
    assert parts["test"] == pytest.approx(0.2, abs=4e-3)
    assert parts["validation"] == parts["calibration"] == pytest.approx(0.08, abs=4e-3)


def alone_within(structure: Structure, cutoff: float) -> bool:
    """Whether an atom has no neighbour, by pymatgen's site-by-site search."""
    return any(not structure.get_neighbors(site, cutoff) for site in structure)


def test_silicon_and_germanium_are_never_set_aside(tmp_path: Path) -> None:
    for seed in range(3):
        output = tmp_path / "sample.json.gz"
        query.main(["--source", "sample", "--output", str(output), "--seed", str(seed)])
        table = storage.read(output, structures=False).set_index("formula")
        assert table["split"].loc[["Si", "Ge"]].tolist() == ["train", "train"]


def test_formation_energies_come_from_another_table_by_id(tmp_path: Path) -> None:
    (tmp_path / "gaps.csv").write_text("material_id,formula,band_gap\na,Si,1.1\nb,Ge,0.7\nc,GaAs,1.4\n")
    energies = pd.DataFrame(
        {"material_id": ["c", "a"], "formula": ["GaAs", "Si"], "formation_energy_per_atom": [-1, 0]}
    )
    storage.write(energies, tmp_path / "energies.json")
    flags = ["--source", "file", "--input", "gaps.csv", "--formation-energies", "energies.json", "--output", "out.json"]
    assert run_here(query.main, *flags, cwd=tmp_path).returncode == 0
    found = storage.read(tmp_path / "out.json").set_index("material_id")["formation_energy_per_atom"]
    assert found["a"] == 0 and found["c"] == -1 and np.isnan(found["b"])
    storage.write(energies[["formula"]], tmp_path / "energies.json")
    assert_failed(run_here(query.main, *flags, cwd=tmp_path), 2, "energies.json: no column material_id")
