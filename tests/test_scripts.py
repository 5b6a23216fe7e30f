"""What all five scripts owe their users: help at once, and one clear line when something is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from helpers import ROOT, SAMPLE, SCRIPTS, Result, Script, assert_failed, run_here

HEAVY = ["tensorflow", "keras", "sklearn", "pymatgen", "matminer", "mp_api", "matplotlib", "pandas", "scipy", "icet"]


def in_here(folder: Path, name: str, *arguments: object) -> Result:
    return run_here(import_module(Path(name).stem).main, *arguments, cwd=folder)


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_shows_every_flag_with_its_meaning(script: Script, name: str) -> None:
    result = script(name, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"usage: {name}")
    assert f"python {name}" in result.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_imports_nothing_heavy(name: str) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv = [{name!r}, '--help']\n"
        f"import {Path(name).stem} as script\n"
        "try:\n    script.main()\nexcept SystemExit:\n    pass\n"
        f"print('loaded:', *(name for name in {HEAVY!r} if name in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_unknown_flag_is_bad_usage(script: Script, name: str) -> None:
    result = script(name, "--nonsense")
    assert result.returncode == 2
    assert "--nonsense" in result.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_two_dashes_are_no_value_of_any_flag(tmp_path: Path, name: str) -> None:
    flags = re.findall(r"^  (--[\w-]+) [A-Z{]", in_here(tmp_path, name, "--help").stdout, re.MULTILINE)
    assert "--metrics" in flags and len(flags) > 3
    for flag in flags:
        result = in_here(tmp_path, name, f"{flag}=--")
        assert result.returncode == 2
        assert result.stderr.splitlines()[-1].endswith(f"error: argument {flag}: '--' is no value; give another")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["composition.py", "structure.py"])
def test_a_missing_table_is_bad_input(tmp_path: Path, name: str) -> None:
    assert_failed(
        in_here(tmp_path, name, "--data", "nowhere.json.gz"), 2, "nowhere.json.gz", "no such file", "query.py"
    )


@pytest.mark.parametrize("name", ["composition.py", "structure.py"])
def test_a_half_written_table_is_bad_input(tmp_path: Path, name: str) -> None:
    (tmp_path / "half.json.gz").write_bytes(SAMPLE.read_bytes()[:5000])
    assert_failed(in_here(tmp_path, name, "--data", "half.json.gz"), 2, "half.json.gz", "half-written")


@pytest.mark.parametrize("name", ["composition.py", "structure.py"])
def test_a_missing_target_is_bad_input(tmp_path: Path, name: str) -> None:
    assert_failed(
        in_here(tmp_path, name, "--data", SAMPLE, "--target", "magic"), 2, "no column magic", "band_gap_gllbsc"
    )


@pytest.mark.parametrize("name", ["composition.py", "structure.py"])
def test_rows_without_target_are_bad_input(tmp_path: Path, name: str) -> None:
    result = in_here(tmp_path, name, "--data", SAMPLE, "--target", "band_gap_gllbsc")
    assert_failed(result, 2, "no number in column band_gap_gllbsc", "--drop-missing")


@pytest.mark.parametrize("arguments", [["explore_composition.py"], ["composition.py", "--predict", "Si"]])
def test_without_a_trained_forest_the_way_to_one_is_named(tmp_path: Path, arguments: list[str]) -> None:
    result = in_here(tmp_path, *arguments, "--models", "own")
    assert_failed(result, 2, "own/composition-", "no model there", "train one first")


@pytest.mark.parametrize("name", ["explore_composition.py", "explore_structure.py"])
def test_a_system_of_no_elements_is_bad_usage(tmp_path: Path, name: str) -> None:
    assert_failed(in_here(tmp_path, name, "--system", "Si-Xx"), 2, "--system", "Si-Xx")
