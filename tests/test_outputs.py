"""What cannot be written is said before the work begins."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType

import pytest
from helpers import SAMPLE, assert_failed, run_here

import composition
import explore_composition
import explore_structure
import structure
from bandgaps import arguments, outputs
from bandgaps.errors import InputError
from bandgaps.model_folders import CARD


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a user's own")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("a user's own")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / CARD).write_text("{}")


@pytest.mark.parametrize("path", ["new", "new/new", "thesis", "."])
def test_folders_that_are_there_or_can_be(path: str) -> None:
    outputs.check_folder(Path(path))


@pytest.mark.parametrize("path", ["file", "file/new", "/dev/null", "a\0b", "x" * 300])
def test_folders_that_cannot_be(path: str) -> None:
    for check in (outputs.check_folder, outputs.check_model_folder):
        with pytest.raises(InputError, match=r"is no folder|is no name for a file"):
            check(Path(path))


@pytest.mark.parametrize(
    ("path", "message"), [(".", "is a folder"), ("", "is a folder"), ("file/x", "no folder"), ("a\0b", "no name")]
)
def test_files_that_cannot_be(path: str, message: str) -> None:
    outputs.check_file(Path("new.csv"))
    outputs.check_file(Path("file"))
    with pytest.raises(InputError, match=message):
        outputs.check_file(Path(path))


@pytest.mark.parametrize("path", [".", "", "/", "..", "thesis"])
def test_a_model_takes_the_place_of_nothing_but_a_model(path: str) -> None:
    for sound in ("new", "model"):
        outputs.check_model_folder(Path(sound))
    with pytest.raises(InputError, match=r"this folder or one above it|would be lost"):
        outputs.check_model_folder(Path(path))


def test_the_flag_is_named_and_what_is_not_given_is_passed_over() -> None:
    given = argparse.Namespace(csv=None, figures=Path("file"), own_metrics=Path("new"))
    arguments.check_outputs(given, files=["csv"], folders=["own_metrics"])
    with pytest.raises(InputError, match="--figures: 'file' is no folder"):
        arguments.check_outputs(given, files=["csv"], folders=["own_metrics", "figures"])


@pytest.mark.parametrize(
    ("script", "place", "flag"),
    [
        (composition, "data/models/composition-combined", "--models"),
        (composition, "data/models/composition-non-metals", "--models"),
        (structure, "data/models/megnet-band_gap", "--output"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_where_models_go_by_default_is_checked_before_they_are_trained(
    script: ModuleType, place: str, flag: str, kind: str
) -> None:
    here = Path(place)
    (here if kind == "folder" else here.parent).mkdir(parents=True)
    (here / "mine" if kind == "folder" else here).write_text("a user's own")
    result = run_here(script.main, "--data", SAMPLE, cwd=Path.cwd())
    words = "holds other files than a model's" if kind == "folder" else "is no folder"
    assert_failed(result, 2, f"{flag}: '{place}' {words}")
    assert result.stdout == "" and not Path("figures").exists()


@pytest.mark.parametrize("flag", ["--figures", "--metrics"])
@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        (composition, ["--data", SAMPLE]),
        (explore_composition, []),
        (structure, ["--data", SAMPLE]),
        (structure, ["--evaluate", SAMPLE]),
        (explore_structure, []),
    ],
)
def test_a_file_where_results_should_go_is_named_before_the_work(
    script: ModuleType, arguments: list[object], flag: str
) -> None:
    result = run_here(script.main, *arguments, flag, "file", cwd=Path.cwd())
    assert_failed(result, 2, f"{flag}: 'file' is no folder")
    assert result.stdout == "" and Path("file").read_text() == "a user's own"
