from __future__ import annotations

from pathlib import Path

import pytest

from bandgaps import files
from bandgaps.errors import InputError, RunError, exit_code


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


def test_what_is_no_users_fault_keeps_its_traceback() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exit_code(fail)
    assert exit_code(lambda: None) == 0
