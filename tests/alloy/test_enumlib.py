"""Orderings by way of pymatgen and enumlib.

enumlib's programs are Fortran and not here. What stands in for them replays `enumlib_output`: for each cell size and
number of germanium atoms, in the formats of enumlib's `enum.x` and `makestr.x`, what the former prints and writes as
struct_enum.out and the crystals that the latter writes as vasp.NNNNNN. The recordings were made for these tests by
comparing all labelings of all superlattices pairwise, not with the project's enumerator.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from helpers import ROOT
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from bandgaps.alloy import enumlib, orderings, pseudobinary
from bandgaps.errors import InputError

RECORDED = Path(__file__).parent / "enumlib_output"
SILICON = pseudobinary.diamond("Si", 5.431)
SYSTEM = ("Si", "Ge")

WHICH = f"""#!{sys.executable}
import shutil, sys
from pathlib import Path
if sys.argv[1:] == ["--version"]:
    sys.exit()
*_, cells, _, _, silicon, germanium = Path("struct_enum.in").read_text().splitlines()
number, _, base = map(int, germanium.split())
cells = int(cells.split()[0])
folder = Path({str(RECORDED)!r}) / f"{{cells}}-{{2 * cells * number // base}}"
"""
ENUM = """
shutil.copy(folder / "struct_enum.out", ".")
print((folder / "stdout.txt").read_text())
"""
MAKESTR = """
name, first, last = sys.argv[1:]
assert Path(name).read_text() == (folder / "struct_enum.out").read_text()
for number in range(int(first), int(last) + 1):
    shutil.copy(folder / f"vasp.{number + 1:06d}", ".")
"""
SCRIPT = f"""
import json, sys
from pathlib import Path
from bandgaps.alloy import enumlib, pseudobinary
from bandgaps.errors import RunError
found = enumlib.orderings_by_enumlib(pseudobinary.diamond("Si", 5.431), {SYSTEM!r}, 4)
print(json.dumps([[ordering.structure.as_dict(), ordering.multiplicity] for ordering in found]))
Path(sys.argv[1], "makestr.x").write_text(sys.argv[2])
try:
    enumlib.orderings_by_enumlib(pseudobinary.diamond("Si", 5.431), {SYSTEM!r}, 4)
except RunError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What pymatgen makes of the programs, and the error where the second of them fails.

    In a process of its own, since pymatgen looks for the programs when it is imported.
    """
    folder = tmp_path_factory.mktemp("enumlib")
    for name, rest in (("enum.x", ENUM), ("makestr.x", MAKESTR)):
        (folder / name).write_text(WHICH + rest)
        (folder / name).chmod(0o755)
    path = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(folder), WHICH + "sys.exit(1)\n"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **path}, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    found, error = done.stdout.splitlines()
    return found, error


def test_the_recordings_are_what_is_known_of_them() -> None:
    counts = {folder.name: len(list(folder.glob("vasp.*"))) for folder in RECORDED.iterdir()}
    assert counts == {"1-1": 1, "2-1": 2, "2-2": 3, "2-3": 2}  # with the pure cells 3 and 7: Hart & Forcade's table
    for name, count in counts.items():
        degeneracies = [
            line.split()[4] for line in (RECORDED / name / "struct_enum.out").read_text().splitlines()[-count:]
        ]
        assert sum(map(int, degeneracies)) == {"1-1": 2, "2-1": 28, "2-2": 28, "2-3": 28}[name]  # 7 superlattices


def test_orderings_and_multiplicities_are_those_of_the_built_in_enumerator(replayed: tuple[str, str]) -> None:
    theirs = [(Structure.from_dict(record), multiplicity) for record, multiplicity in json.loads(replayed[0])]
    ours = orderings.orderings(SILICON, SYSTEM, 4)
    assert Counter(len(structure) for structure, _ in theirs) == {2: 3, 4: 7}
    matcher = StructureMatcher(primitive_cell=False, scale=False, attempt_supercell=False)
    for ordering in ours:
        same = [number for structure, number in theirs if matcher.fit(structure, ordering.structure)]
        assert same == [ordering.multiplicity]


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match=r"enum\.x and makestr\.x"):
        enumlib.orderings_by_enumlib(SILICON, SYSTEM, 4)


def test_programs_that_fail_are_named(replayed: tuple[str, str]) -> None:
    assert replayed[1].startswith("enumlib: ")
    assert "2 atoms" in replayed[1]
