"""query.py with the Materials Project as its source, or without a key."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from helpers import ROOT, is_one_line, run_here, snapshot
from materials_project_server import KEY, Server
from pymatgen.core import SETTINGS

import query
from bandgaps.errors import exit_code
from bandgaps.table import account, columns, storage


@pytest.fixture
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if whoever runs the tests had none."""
    for name in ("MP_API_KEY", "PMG_MAPI_KEY", "MAPI_KEY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delitem(SETTINGS, name, raising=False)


def test_killed_download_goes_on_where_it_stopped(
    server: Server, no_key: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setenv("MPRESTER_MAX_RETRIES", "1")
    arrived, killed = threading.Event(), threading.Event()

    def hang(parameters: dict[str, str]) -> str | None:
        if "mp-21000" in parameters.get("material_ids", ""):  # in the third and last chunk
            arrived.set()
            killed.wait(60)
        return None

    server.trouble = hang
    command = [sys.executable, str(ROOT / "query.py")]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert arrived.wait(120)
    running.kill()
    running.communicate()
    killed.set()
    before = server.ids_sent()
    assert len(before) == 1264
    assert not (tmp_path / "data" / "bandgaps.json.gz").exists()

    server.trouble = lambda parameters: None
    server.requests.clear()
    done = run_here(query.main, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert server.ids_sent() == before[1000:]  # the chunk that was under way, and none that had come
    assert not any("_sort_fields" in request for request in server.requests)  # nor the list
    assert "source: the Materials Project\n" in done.stdout
    assert "1,000 of 1,264 documents are here from an earlier run" in done.stdout
    assert re.search(r"Fetching documents: 100%.*1264/1264", done.stderr)
    assert "error" not in done.stderr.lower() and "warning" not in done.stderr.lower()

    files = snapshot(tmp_path / "data")
    assert sorted(files) == ["bandgaps.json.gz", "bandgaps.meta.json"]  # the chunks are gone
    assert KEY.encode() not in b"".join(files.values()) and KEY not in done.stdout + done.stderr
    meta = account.read_meta(tmp_path / "data" / "bandgaps.json.gz")
    assert (meta["source"], meta["database_version"], meta["target"]) == ("mp", "2025.09.25", "band_gap")
    assert [step["rows"] for step in meta["steps"]] == [1264, 1264, 84, 82]
    for step in meta["steps"]:
        assert re.search(rf"^ *{step['rows']:,}  {re.escape(step['kept'])}$", done.stdout, re.MULTILINE)
    assert sum(meta["counts"][part] for part in columns.PARTS) == 82


def test_failing_server_leaves_the_old_table(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "bandgaps.json.gz").write_bytes(b"the old table")
    (folder / "bandgaps.meta.json").write_text("{}")
    old = snapshot(folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MP_API_KEY", KEY)
    server.trouble = lambda parameters: "forbidden"
    assert exit_code(lambda: query.main(["--source", "mp"])) == 1
    printed = capsys.readouterr()
    assert is_one_line(printed.err) and "refused the key (403)" in printed.err
    assert KEY not in printed.out + printed.err
    assert snapshot(folder) == old


def test_without_a_key_the_sample_is_taken_and_said_so(no_key: None, tmp_path: Path) -> None:
    done = run_here(query.main, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "source: the bundled sample (no Materials Project key in MP_API_KEY or pymatgen's settings)\n" in done.stdout
    assert done.stdout.endswith(
        "wrote data/bandgaps.json.gz and data/bandgaps.meta.json\nnext: python composition.py\n"
    )
    table = storage.read(tmp_path / "data" / "bandgaps.json.gz")
    meta = account.read_meta(tmp_path / "data" / "bandgaps.json.gz")
    assert meta["source"] == "sample" and meta["steps"][-1]["rows"] == len(table)
    assert meta["counts"]["test"] == (table["split"] == "test").sum() > 0


def test_a_key_that_is_missing_is_asked_for(no_key: None, tmp_path: Path) -> None:
    refused = run_here(query.main, "--source", "mp", cwd=tmp_path)
    assert refused.returncode == 2 and is_one_line(refused.stderr) and "--source mp: no Materials" in refused.stderr
