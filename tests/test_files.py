from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

from bandgaps import files
from bandgaps.errors import InputError, RunError, exit_code, quoted, shortened


def test_a_file_is_replaced_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.json"
    with files.replacing(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["table.json"]


def test_a_folder_is_replaced_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for content in ("old", "new"):
        with files.replacing_folder(path) as temporary:
            (temporary / content).write_text(content)
        assert [file.name for file in path.iterdir()] == [content]
    with pytest.raises(RuntimeError), files.replacing_folder(path) as temporary:
        (temporary / "half").write_text("half")
        raise RuntimeError
    assert [file.name for file in path.iterdir()] == ["new"]
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


REPLACE = """
import os, signal, sys
from pathlib import Path
from bandgaps import files

calls = 0
real = Path.replace

def replace(self, target):
    global calls
    calls += 1
    if calls == int(sys.argv[2]):
        if sys.argv[3] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise KeyboardInterrupt
    return real(self, target)

Path.replace = replace
with files.replacing_folder(sys.argv[1]) as folder:
    (folder / "new").write_text("new")
"""


@pytest.mark.parametrize("how", ["interrupt", "kill"])
@pytest.mark.parametrize("rename", [1, 2])
def test_a_folder_survives_whatever_interrupts_its_replacement(tmp_path: Path, rename: int, how: str) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").write_text("old")
    command = [sys.executable, "-c", REPLACE, str(path), str(rename), how]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode != 0
    files.restore(path)
    assert [file.name for file in path.iterdir()] == ["old"]
    with files.replacing_folder(path) as folder:
        (folder / "third").write_text("third")
    assert [file.name for file in path.iterdir()] == ["third"]
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


KILLED = """
import os, signal, sys
from bandgaps import files
with files.replacing(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_cleared_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    path = tmp_path / "figure[1].pdf"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    with files.replacing(path) as mine:
        assert len(list(tmp_path.iterdir())) == 1
        mine.write_text("mine")
        with files.replacing(path) as other:
            other.write_text("other")
        assert path.read_text() == "other"
    assert path.read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir()] == ["figure[1].pdf"]


def test_what_a_killed_process_left_of_another_file_is_cleared_too(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "old.pdf")], cwd=ROOT, check=False)
    (tmp_path / ".browser.part").mkdir()
    assert len(list(tmp_path.iterdir())) == 2
    files.write_json([1], tmp_path / "a.json")
    assert sorted(file.name for file in tmp_path.iterdir()) == [".browser.part", "a.json"]


def test_a_full_disk_names_the_file_or_the_folder(tmp_path: Path) -> None:
    for replacing, path in ((files.replacing, tmp_path / "a.json"), (files.replacing_folder, tmp_path / "model")):
        with pytest.raises(OSError, match="No space left") as caught, replacing(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        assert caught.value.filename == str(path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_behind_the_output_is_named() -> None:
    code = "import sys; from bandgaps.errors import exit_code; sys.exit(exit_code(lambda: print('x')))"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("error: standard output: No space left on device")
    assert "Traceback" not in done.stderr


def test_what_is_written_is_on_the_disk_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_sync(handle: int) -> None:
        events.append("sync")
        fsync(handle)

    def noted_rename(self: Path, target: Path) -> Path:
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    files.write_json([1], tmp_path / "a.json")
    with files.replacing_folder(tmp_path / "model") as folder:
        (folder / "member").write_text("weights")
    assert events == ["sync", "rename", "sync", "sync", "sync", "rename", "sync"]


def test_json_comes_back(tmp_path: Path) -> None:
    content = {"gap (eV)": [1.155, None], "Å": "Si-Ge"}
    files.write_json(content, tmp_path / "a.json")
    assert files.read_json(tmp_path / "a.json") == content


@pytest.mark.parametrize("text", ["", "{", '{"a": 1', "\x80"])
def test_damaged_json_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.json: not valid JSON"):
        files.read_json(path)
    with pytest.raises(InputError, match=r"b\.json: no such file"):
        files.read_json(tmp_path / "b.json")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("table.csv: row 3: no\nformula"), 2, "error: table.csv: row 3: no formula\n"),
        (RunError("the server did not answer"), 1, "error: the server did not answer\n"),
        (PermissionError(13, "Permission denied", "/x/y"), 1, "error: /x/y: Permission denied; check"),
        (MemoryError(), 1, "error: out of memory"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
    ],
)
def test_errors_end_with_a_line_and_a_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    assert exit_code(fail) == code
    assert capsys.readouterr().err.startswith(line)


def test_what_is_long_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert quoted("x" * 81) == f"'{'x' * 80}…'" and quoted("Si") == "'Si'"
    assert quoted([1] * 1000).startswith("[1, 1") and len(quoted([1] * 1000)) == 81
    assert shortened("a\n b") == "a b"

    def fail() -> None:
        raise InputError("x" * 5_000_000)

    assert exit_code(fail) == 2
    assert len(capsys.readouterr().err) < 2100


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = "import sys; from bandgaps.errors import exit_code; sys.exit(exit_code(lambda: print('x' * 10**6)))"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141


def test_what_is_no_users_fault_keeps_its_traceback() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exit_code(fail)
    assert exit_code(lambda: None) == 0
