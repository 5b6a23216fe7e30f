"""What query.py refuses, and how it says so."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from helpers import is_one_line, snapshot

import query
from bandgaps.errors import exit_code
from bandgaps.table import storage

CSV = "formula,band_gap\nLiO,1\nLi2O,2\nLiO2,0\nLi2O3,1.5\n"


def test_rows_without_target_are_dropped_where_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gaps.csv").write_text("formula,band_gap\nSi,1.1\nGe,\nC,5.5\n")
    arguments = ["--source", "file", "--input", "gaps.csv", "--output", "out.json"]
    assert exit_code(lambda: query.main(arguments)) == 2
    error = capsys.readouterr().err
    assert is_one_line(error) and "1 of 3 rows have no number in column band_gap, first row 1 (Ge: nan)" in error
    assert error.endswith("drop such rows from the table with --drop-missing\n")
    assert exit_code(lambda: query.main([*arguments, "--drop-missing"])) == 0
    assert storage.read("out.json")["formula"].tolist() == ["Si", "C"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--source", "file"], 2, "--input FILE go together"),
        (["--input", "gaps.csv"], 2, "--input FILE go together"),
        (["--source", "file", "--input", "none.csv"], 2, "none.csv: no such file"),
        (["--source", "file", "--input", "."], 2, "folder"),
        (["--source", "file", "--input", "gaps.csv", "--output", "gaps.csv"], 2, "ends in .json or .json.gz"),
        (["--source", "file", "--input", "table.json", "--output", "./table.json"], 2, "which would be lost"),
        (["--source", "file", "--input", "gaps.csv", "--output", "gaps.csv/out.json.gz"], 2, "is no folder"),
        (["--source", "sample", "--metrics", "gaps.csv"], 2, "--metrics: 'gaps.csv' is no folder"),
        (["--source", "file", "--input", "gaps.csv", "--chemsys", "Li-Xx"], 2, "--chemsys Li-Xx: 'Xx' is no element"),
        (["--source", "file", "--input", "gaps.csv", "--chemsys", "Au-O"], 2, "no rows are left after"),
        (["--source", "file", "--input", "gaps.csv", "--target", "gap"], 2, "no column gap; it has"),
        (["--source", "file", "--input", "gaps.csv", "--max-energy-above-hull", "0"], 2, "no column energy_above_hull"),
        (
            ["--source", "file", "--input", "gaps.csv", "--leave-out", "Si-Xx"],
            2,
            "--leave-out Si-Xx: 'Xx' is no element",
        ),
        (
            ["--source", "file", "--input", "gaps.csv", "--leave-out", "Li", "O"],
            2,
            "left after the step 'without Li'",
        ),
        (["--source", "file", "--input", "gaps.csv", "--train-on", "Qq"], 2, "--train-on Qq: "),
        (["--source", "sample", "--measured", "none.csv"], 2, "none.csv: no such file"),
        (["--source", "sample", "--measured", "bad.csv"], 2, "bad.csv: row 0 (Si): -1"),
        (["--source", "file", "--input", "gaps.csv", "table.json", "--output", "table.json"], 2, "which would be lost"),
        (["--source", "file", "--input", "gaps.csv", "half.json.gz"], 2, "half.json.gz: damaged or half-written"),
        (["--source", "file", "--input", "gaps.csv", "empty.csv"], 2, "empty.csv: no column band_gap; it has"),
        (
            ["--source", "sample", "--measured", "table.json", "--output", "./table.json"],
            2,
            "the --measured file itself",
        ),
        (["--source", "file", "--input", "half.json.gz"], 2, "half.json.gz: damaged or half-written"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gaps.csv").write_text(CSV)
    Path("bad.csv").write_text("formula,band_gap\nSi,-1\n")
    Path("empty.csv").write_text("formula,gap\nSi,1\n")
    storage.write(pd.DataFrame({"formula": ["Si"], "band_gap": [1.1]}), "table.json")
    storage.write(pd.DataFrame({"formula": ["Si"], "band_gap": [1.1]}), "whole.json.gz")
    Path("half.json.gz").write_bytes(Path("whole.json.gz").read_bytes()[:50])
    old = snapshot(tmp_path)
    assert exit_code(lambda: query.main(arguments)) == code
    error = capsys.readouterr().err
    assert is_one_line(error) and message in error
    assert snapshot(tmp_path) == old


@pytest.mark.parametrize(
    "arguments",
    [
        ["--seed", "-1"],
        ["--seed", "x"],
        ["--seed", str(2**32)],
        ["--max-energy-above-hull", "nan"],
        ["--max-energy-above-hull", "-0.1"],
        ["--source", "internet"],
    ],
)
def test_values_that_make_no_sense_name_their_flag(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        query.main(arguments)
    assert caught.value.code == 2
    assert f"argument {arguments[0]}:" in capsys.readouterr().err
