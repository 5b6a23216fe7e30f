"""Files that unpack to more than memory holds, and structure files that would keep pymatgen busy for minutes."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from helpers import SAMPLE, assert_failed, run_here
from some_crystals import diamond

import composition
import query
from bandgaps import files
from bandgaps.errors import InputError
from bandgaps.structure import crystal_files


@pytest.mark.parametrize("name", ["t.json.gz", "t.csv.gz", "t.jsonl.gz"])
@pytest.mark.parametrize("bound", ["constant", "memory"])
def test_a_table_that_unpacks_without_end_is_refused(
    name: str, bound: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bound == "constant":
        monkeypatch.setattr(files, "MOST_UNPACKED", 5_000_000)
    else:
        monkeypatch.setattr(files, "_free_memory", lambda: 10_000_000)
    monkeypatch.setattr(files, "PIECE", 1_000_000)
    (tmp_path / name).write_bytes(gzip.compress(b" " * 10**7))
    message = f"{name}: unpacks to more than 0.0 GB; split it"
    assert_failed(run_here(query.main, "--source", "file", "--input", name, cwd=tmp_path), 2, message)
    if "csv" not in name:
        assert_failed(run_here(composition.main, "--data", name, cwd=tmp_path), 2, message)


def test_what_memory_holds_is_unpacked_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert files._free_memory() > 10**8
    monkeypatch.setattr(files, "PIECE", 1000)
    packed = SAMPLE.read_bytes()
    assert files.unpacked(packed, SAMPLE) == gzip.decompress(packed)
    content = os.urandom(3000)
    assert files.unpacked(gzip.compress(content) + gzip.compress(b"more"), "two.gz") == content + b"more"


CELL = "".join(f"_cell_length_{axis} 9\n" for axis in "abc") + "".join(
    f"_cell_angle_{angle} 90\n" for angle in ("alpha", "beta", "gamma")
)
SITES = "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"


def cif(symmetry: str, sites: int) -> str:
    return f"data_x\n{CELL}{symmetry}{SITES}" + "".join(f"Si{k} Si 0.{k:02d} 0.5 0.5\n" for k in range(sites))


def test_a_cif_is_bounded_before_it_is_worked_on(tmp_path: Path) -> None:
    listed = "loop_\n_symmetry_equiv_pos_as_xyz\n" + "".join(f"'x+0.{k:05d}, y, z'\n" for k in range(300))
    cases = {
        "listed": (cif(listed, 40), "40 sites times 300 symmetry operations; 10,000 are the most"),
        "named": (cif("_symmetry_space_group_name_H-M 'F m -3 m'\n", 60), "60 sites times 192 symmetry operations"),
        "long": ("data_x\n" + "#\n" * 2_600_000, "5,200,007 bytes, more than such a file has"),
    }
    for name, (text, message) in cases.items():
        path = tmp_path / f"{name}.cif"
        path.write_text(text)
        with pytest.raises(InputError, match=f"{name}.cif: .*{message}"):
            crystal_files.read_structure(path)
    many = tmp_path / "many.cif"
    many.write_text(cif("_symmetry_space_group_name_H-M 'P 1'\n", 80))
    assert len(crystal_files.read_structure(many)) == 80
    diamond("Si").to(str(tmp_path / "POSCAR"))
    assert len(crystal_files.read_structure(tmp_path / "POSCAR")) == 2


def test_what_pymatgen_warns_of_is_not_quoted(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    (tmp_path / "x.cif").write_text(cif("", 1).replace("0.5", "x" * 10_000))
    with pytest.raises(InputError) as caught:
        crystal_files.read_structure(tmp_path / "x.cif")
    assert len(str(caught.value)) < 500 and not list(recwarn)
