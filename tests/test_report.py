from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from helpers import ROOT, SCRIPTS, Script

from bandgaps import report
from bandgaps.errors import InputError

TEXT = "MAE <!--a.json models/0/mae .2f-->?<!----> eV on <!--@b.json n ,d-->?<!----> rows"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data" / "metrics").mkdir(parents=True)
    (tmp_path / "data" / "metrics" / "a.json").write_text(json.dumps({"models": [{"mae": 0.526}]}))
    (tmp_path / "b.json").write_text(json.dumps({"n": 31257}))
    return tmp_path


def test_numbers_come_from_the_metrics(root: Path) -> None:
    expected = "MAE <!--a.json models/0/mae .2f-->0.53<!----> eV on <!--@b.json n ,d-->31,257<!----> rows"
    assert report.filled(TEXT, root) == expected
    assert report.filled(expected, root) == expected


@pytest.mark.parametrize(
    "marker", ["a.json models/0/rmse .2f", "a.json models/1/mae .2f", "a.json models .2f", "c.json n d"]
)
def test_a_number_that_does_not_exist_is_named(root: Path, marker: str) -> None:
    with pytest.raises(InputError, match=marker.split()[0]):
        report.filled(f"<!--{marker}-->1<!---->", root)


@pytest.mark.parametrize("name", report.DOCUMENTS)
def test_the_documents_say_what_the_metrics_say(name: str) -> None:
    text = (ROOT / name).read_text()
    assert report.filled(text, ROOT) == text
    assert len(report._NUMBER.findall(text)) >= 5


@pytest.mark.parametrize("name", report.DOCUMENTS)
def test_every_file_the_documents_show_exists(name: str) -> None:
    text = (ROOT / name).read_text()
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert links
    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_readme_has_every_flag(script: Script, name: str) -> None:
    section = (ROOT / "README.md").read_text().split(f"\n### {name}")[1].split("\n## ")[0].split("\n### ")[0]
    flags = set(re.findall(r"--[a-z][a-z-]+", script(name, "--help").stdout.split("options:")[1])) - {"--help"}
    assert flags
    assert {flag for flag in flags if f"`{flag}" not in section} == set()
