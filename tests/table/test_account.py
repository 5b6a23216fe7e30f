from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bandgaps.errors import InputError
from bandgaps.table import account, storage
from bandgaps.table.account import Step


def test_the_account_belongs_to_the_table_it_was_written_for(table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "t.json.gz"
    storage.write(table, path)
    account.write_meta(path, {"target": "band_gap"})
    assert json.loads((tmp_path / "t.meta.json").read_text())["target"] == "band_gap"
    assert account.read_meta(path)["target"] == "band_gap"
    storage.write(table.iloc[:2], path)
    assert account.read_meta(path) == {}


def test_date_and_versions_are_written_and_are_no_part_of_the_outcome(table: pd.DataFrame, tmp_path: Path) -> None:
    steps = [Step("rows of the file", 1234), Step("all of them", 4)]
    outcome = account.outcome(table.assign(split="train"), "band_gap", steps)
    assert set(outcome) == {"steps", "counts"} and outcome["steps"][1] == {"kept": "all of them", "rows": 4}
    storage.write(table, tmp_path / "t.json")
    account.write_meta(tmp_path / "t.json", outcome)
    written = account.read_meta(tmp_path / "t.json")
    assert set(written) == {*outcome, "date", "versions", "sha256"}
    assert pd.Timestamp(written["date"]).utcoffset() == pd.Timedelta(0)
    assert written["versions"]["pandas"] == pd.__version__


def test_an_account_in_words() -> None:
    meta = {
        "steps": [{"kept": "rows of the file", "rows": 1234}, {"kept": "with a number in band_gap", "rows": 17}],
        "counts": {"train": 15, "test": 2},
        "measured": None,
    }
    words = " rows  kept\n1,234  rows of the file\n   17  with a number in band_gap\n\n15 train, 2 test"
    assert account.in_words(meta) == words
    matches = {"input": "a.csv, b.csv", "formulas": 4321, "matched": 7}
    line = "7 of the 4,321 formulas in a.csv, b.csv are in the table"
    assert account.in_words({**meta, "measured": matches}) == f"{words}\n{line}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": 3}, "target: Input should be a valid string, found 3"),
        ({"target": ["band_gap"]}, "target: "),
        ({"target": None}, "target: "),
        ({"filters": [1]}, "filters: "),
        ({"filters": {"leave_out": "Si-Ge"}}, "filters.leave_out: "),
        ({"source": {}}, "source: "),
    ],
)
def test_a_damaged_account_is_named_with_its_field(
    table: pd.DataFrame, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "t.json"
    storage.write(table, path)
    account.write_meta(path, {"target": "band_gap", **change})
    with pytest.raises(InputError, match=rf"t\.meta\.json: {message}.*or delete this file"):
        account.read_meta(path)
