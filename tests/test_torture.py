"""The campaign that tries to break the scripts: it repeats itself, and it tells what broke from what held."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.torture import __main__ as campaign
from benchmarks.torture import disturbed, inputs
from benchmarks.torture.runs import Attempt, Outcome, broke


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (Outcome(0, "1.12 ± 0.30", ""), None),
        (Outcome(2, "", "error: t.json: row 3: formula 'Xx'; correct it\n"), None),
        (Outcome(None, "", ""), "no end within"),
        (Outcome(1, "", "Traceback (most recent call last):\nKeyError: 3\n"), "traceback: KeyError: 3"),
        (Outcome(-11, "", "the process died: -11"), "exit code -11"),
        (Outcome(2, "", ""), "no line says"),
        (Outcome(2, "", "error: " + "x" * 3000), "a line without end"),
        (Outcome(0, "gap inf ± 3", ""), "no number"),
        (Outcome(0, "1.2 ± nan", ""), "no number"),
    ],
)
def test_what_broke_is_told_from_what_held(outcome: Outcome, why: str | None) -> None:
    found = broke(outcome)
    assert found is None if why is None else why in str(found)


def test_attempts_repeat_themselves_and_differ_from_each_other(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text(json.dumps(inputs.small_table()))

    def attempts(name: str) -> list[tuple[Attempt, bytes]]:
        found = []
        for number in range(6):
            folder = tmp_path / f"{name}-{number}"
            folder.mkdir()
            attempt = inputs.table(np.random.default_rng([3, number]), folder, tmp_path)
            found.append((attempt, (folder / "t.json").read_bytes()))
        return found

    one, two = attempts("one"), attempts("two")
    assert [attempt for attempt, _ in one] == [attempt for attempt, _ in two]
    assert len({content for _, content in one}) == 6


def test_what_differs_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"mae": 0.5, "date": "2026-01-01"}')
    (tmp_path / "a.pdf").write_bytes(b"drawn")
    expected = disturbed.written(tmp_path)
    (tmp_path / "metrics.json").write_text('{"mae": 0.5, "date": "2027-01-01"}')
    assert disturbed.difference(expected, disturbed.written(tmp_path)) is None
    (tmp_path / "metrics.json").write_text('{"mae": 0.6}')
    assert disturbed.difference(expected, disturbed.written(tmp_path)) == "metrics.json is another"
    (tmp_path / "a.pdf").unlink()
    assert disturbed.difference(expected, disturbed.written(tmp_path)) == "a.pdf is missing"
    (tmp_path / ".a.pdf.x.half-written").mkdir()
    (tmp_path / ".a.pdf.x.half-written" / "a.pdf").touch()
    assert disturbed.difference(expected, disturbed.written(tmp_path)) == ".a.pdf.x.half-written/a.pdf is left over"


def test_the_table_adds_up() -> None:
    tables = campaign.counted(campaign.counted(campaign.EMPTY, "1", None), "2", "traceback")
    rows = {"bad input, tables": tables, "bad input, flags": campaign.EMPTY}
    assert tables == {"tried": 2, "held": 1, "broke": 1, "how": ["2: traceback"]}
    assert campaign.table(rows).splitlines()[-1].split() == ["all", "2", "1", "1"]
    dated = {what: {**row, "date": "2026-01-01"} for what, row in {**rows, "kills, query.py": tables}.items()}
    assert [(part["what"], part["tried"], part["broke"]) for part in campaign.parts(dated)] == [
        ("bad input", 2, 1),
        ("kills", 2, 1),
    ]


def test_what_a_stopped_campaign_has_tried_is_not_tried_again(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text("{}")
    done = {"bad input, flags": 2, "full disk, query.py": 4, "kills, query.py": 3}
    given = argparse.Namespace(inputs=2, kinds=["flags"], seed=0, kills=3, scripts=["query"], done=done)
    for part in ("inputs", "kills", "disk"):
        assert list(campaign.PARTS[part](tmp_path, given)) == []
