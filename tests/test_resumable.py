"""A CSV that goes on where it was cut off."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bandgaps.errors import InputError, RunError
from bandgaps.resumable import ResumableCsv


def piece(first: int) -> pd.DataFrame:
    return pd.DataFrame({"name": [f"row {first}", f"row {first + 1}"], "band_gap": [first / 3, first / 7]})


def write(path: Path, pieces: int, stop_after: int | None = None) -> ResumableCsv:
    """Write that many pieces of two rows; an error ends it after some."""
    with ResumableCsv(path, "one run") as csv:
        for number in range(csv.done // 2, pieces):
            if number == stop_after:
                raise KeyboardInterrupt
            csv.add(piece(2 * number), 2)
    return csv


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(tmp_path: Path) -> None:
    write(tmp_path / "whole.csv", 5)
    path = tmp_path / "cut.csv"
    with pytest.raises(KeyboardInterrupt):
        write(path, 5, stop_after=2)
    assert not path.exists()
    part = path.with_name("cut.csv.part")
    part.write_bytes(part.read_bytes() + b"row 99,0.1\nhalf a li")  # a piece that was not noted
    assert write(path, 5).rows == 10
    assert path.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cut.csv", "whole.csv"]


@pytest.mark.parametrize("damage", ["another run", "no progress", "text", "too short"])
def test_what_another_run_has_left_is_not_taken_up(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "gaps.csv"
    with pytest.raises(KeyboardInterrupt):
        write(path, 3, stop_after=2)
    part, progress = (path.with_name(path.name + end) for end in (".part", ".progress.json"))
    if damage == "another run":
        progress.write_text(progress.read_text().replace("one run", "another"))
    elif damage == "no progress":
        progress.unlink()
    elif damage == "text":
        progress.write_text("[1, 2")
    else:
        part.write_bytes(part.read_bytes()[:5])
    assert write(path, 3).rows == 6
    assert pd.read_csv(path)["name"].tolist() == [f"row {number}" for number in range(6)]


def test_a_csv_without_rows_is_not_written(tmp_path: Path) -> None:
    with ResumableCsv(tmp_path / "gaps.csv", "run") as csv:
        csv.add(None, 3, wrong=3)
    assert (csv.rows, csv.wrong, csv.done) == (0, 3, 3)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file: not a folder"):
        ResumableCsv(tmp_path / "file" / "gaps.csv", "run")


def test_one_run_at_a_time_writes_a_file(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    with ResumableCsv(path, "one run") as csv:
        csv.add(piece(0), 2)
        with pytest.raises(RunError, match=r"gaps\.csv: another run is writing it"):
            ResumableCsv(path, "one run")
        csv.add(piece(2), 2)
    assert pd.read_csv(path)["name"].tolist() == [f"row {number}" for number in range(4)]
    assert write(path, 1).rows == 2  # it is free again
    assert [file.name for file in tmp_path.iterdir()] == ["gaps.csv"]
