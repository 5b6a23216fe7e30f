"""Asking a model about formulas: from the command line, from files of any length, and with mistakes in them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import gap_models
import pandas as pd
import pytest
from helpers import Result, assert_failed, run_here

import composition
from bandgaps import progress
from bandgaps.composition import gap_model, measured, prediction
from bandgaps.resumable import ResumableCsv

COLUMNS = (
    "formula, band_gap, band_gap_std, band_gap_low_68, band_gap_high_68, band_gap_low_95, band_gap_high_95, "
    "metal_probability, band_gap_pbe, in_training"
).split(", ")
LONG = "Xx" * 100


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one's own model of measured gaps and its teacher."""
    return gap_models.save(tmp_path_factory.mktemp("models"))


def ask(models: Path | None, *arguments: object, cwd: Path) -> Result:
    """composition.py --predict, of one's own models or the bundled one."""
    own = ["--models", models] if models else []
    return run_here(composition.main, *own, "--predict", *arguments, cwd=cwd)


def test_formulas_are_answered_a_line_each(models: Path, tmp_path: Path) -> None:
    formulas = ["Si49Ge51", "NaCl", "Fe2O3"]
    result = ask(models, *formulas, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    name, heading, *lines = result.stdout.splitlines()
    assert name == f"composition-experiment (band_gap_experiment), {models}"
    assert heading.split() == "formula gap 68 % interval 95 % interval metal PBE gap in training".split()
    expected = gap_model.load(models / measured.PUPIL).predict(formulas)
    for line, row in zip(lines, expected.to_dict("records"), strict=True):
        formula, gap, _, std, low, _, high, lower, _, higher, metal, _, pbe, known = line.split()
        assert (formula, known) == (row["formula"], row["in_training"])
        ends = [row[f"band_gap_{end}_{share}"] for share in (68, 95) for end in ("low", "high")]
        found = [float(number) for number in (gap, std, low, high, lower, higher, pbe)]
        assert found == pytest.approx([row["band_gap"], row["band_gap_std"], *ends, row["band_gap_pbe"]], abs=6e-3)
        assert float(metal) == pytest.approx(100 * row["metal_probability"], abs=0.6)


def files(folder: Path) -> list[str]:
    """Formulas on the command line, in a CSV and in a text file, and three that are none."""
    (folder / "a.csv").write_text('note,formula\n"one, two",NaCl\n\n\n"three\nlines",Xx2O3\nfour,Fe2O3\nfive,\n')
    (folder / "b.TXT").write_text("\ufeffSi\n\n  Ge  \nno formula\n")
    return ["GaAs", "a.csv", "b.TXT", LONG, "SiC"]


RIGHT = ["GaAs", "NaCl", "Fe2O3", "Si", "Ge", "SiC"]
WRONG = ["a.csv: line 6: 'Xx2O3'", "a.csv: line 8: ''", "b.TXT: line 4: 'no formula'", f"{LONG[:80]}…'"]


def test_what_can_be_read_is_answered_and_the_rest_is_named(models: Path, tmp_path: Path) -> None:
    result = ask(models, *files(tmp_path), cwd=tmp_path)
    assert_failed(result, 2, "4 of the formulas could not be read; all others were answered")
    assert [line.split()[0] for line in result.stdout.splitlines()[2:]] == RIGHT
    *lines, _ = result.stderr.splitlines()
    assert len(lines) == 4
    for line, words in zip(lines, WRONG, strict=True):
        assert line.startswith("error: ") and words in line and line.endswith("is no formula; write it as in Si49Ge51")
    assert max(map(len, lines)) < 140


def test_a_csv_has_all_columns_of_what_can_be_read(models: Path, tmp_path: Path) -> None:
    result = ask(models, *files(tmp_path), "--csv", "new/gaps.csv", cwd=tmp_path)
    assert_failed(result, 2, "4 of the formulas")
    assert result.stdout.splitlines()[1:] == ["wrote new/gaps.csv: 6 formulas"]
    table = pd.read_csv(tmp_path / "new" / "gaps.csv")
    assert table.columns.tolist() == COLUMNS
    expected = gap_model.load(models / measured.PUPIL).predict(RIGHT)
    pd.testing.assert_frame_equal(table, expected, check_dtype=False, rtol=0, atol=5.1e-5)


def test_files_longer_than_a_chunk_are_answered_in_order(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction, "CHUNK", 4)
    monkeypatch.setattr(progress, "LINE_EVERY", 0)
    formulas = [f"Si{n}Ge{11 - n}" for n in range(1, 11)]
    (tmp_path / "a.txt").write_text("\n".join([*formulas[:6], "nothing", *formulas[6:]]))
    result = ask(models, "a.txt", "--csv", "out.csv", cwd=tmp_path)
    assert result.returncode == 2
    for done in (4, 8):
        assert re.search(rf"^{done} of 11 formulas  \d+:\d\d left$", result.stderr, re.MULTILINE)
    assert "11 of 11" not in result.stderr
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["formula"].tolist() == formulas
    expected = gap_model.load(models / measured.PUPIL).predict(formulas)
    pd.testing.assert_frame_equal(table, expected, check_dtype=False, rtol=0, atol=5.1e-5)
    chunks = list(prediction.asked([str(tmp_path / "a.txt"), "Si"]))
    assert [len(chunk) for chunk in chunks] == [4, 4, 4]
    assert chunks[-1][-1] == prediction.Asked("Si", "")


def test_a_run_that_was_killed_goes_on_without_repeating_or_losing_a_row(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction, "CHUNK", 3)
    lines = ["formula", *(f"Si{n}Ge{12 - n}" for n in range(1, 12)), "nothing", *(f"Ga{n}As" for n in range(1, 9))]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    whole = ask(models, "a.csv", "GaN", "--csv", "whole.csv", cwd=tmp_path)
    answered = prediction.answered
    asked: list[list[prediction.Asked]] = []

    def counted(model: gap_model.GapModel, chunk: list[prediction.Asked]) -> object:
        if len(asked) == chunks:
            raise KeyboardInterrupt
        asked.append(chunk)
        return answered(model, chunk)

    monkeypatch.setattr(prediction, "answered", counted)
    chunks = 5
    assert ask(models, "a.csv", "GaN", "--csv", "out.csv", cwd=tmp_path).returncode == 130
    assert not (tmp_path / "out.csv").exists()
    chunks = 99
    again = ask(models, "a.csv", "GaN", "--csv", "out.csv", cwd=tmp_path)
    assert "going on after 15 of 21 formulas" in again.stderr
    assert (again.returncode, again.stderr.splitlines()[-1]) == (whole.returncode, whole.stderr.splitlines()[-1])
    assert [each.formula for chunk in asked for each in chunk] == [*lines[1:], "GaN"]
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "out.csv", "whole.csv"}


def test_progress_of_other_formulas_is_not_taken_up(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction, "CHUNK", 1)
    (tmp_path / "a.txt").write_text("Si\nGe\n")
    with pytest.raises(KeyboardInterrupt), ResumableCsv(tmp_path / "out.csv", "another run") as csv:
        csv.add(pd.DataFrame({"formula": ["no"]}), 1)
        raise KeyboardInterrupt
    assert ask(models, "a.txt", "--csv", "out.csv", cwd=tmp_path).returncode == 0
    assert pd.read_csv(tmp_path / "out.csv")["formula"].tolist() == ["Si", "Ge"]


DAMAGED: dict[str, tuple[bytes, str]] = {
    "empty.csv": (b"", "empty.csv: empty; give a CSV with a column formula"),
    "blank.txt": (b" \n\n", "blank.txt: no formulas"),
    "heading.csv": (b"formula\n", "heading.csv: no formulas"),
    "other.csv": (b"gap,name\n1,Si\n", "other.csv: no column formula; it has gap, name"),
    "twice.csv": (b"formula,formula\nSi,Ge\n", "twice.csv: 'formula' is the name of several columns"),
    "wide.csv": (b"w" * 5000 + b"\n1\n", f"wide.csv: no column formula; it has {'w' * 80}"),
    "binary.csv": (bytes(range(256)) * 9, "binary.csv: not readable as text with formulas"),
    "binary.txt": (b"\x1f\x8b\xff\xfe\0", "binary.txt: not readable as text with formulas"),
    "open.csv": (b'formula\n"Si\n', "open.csv: not readable as text with formulas"),
    "huge.csv": (b"formula\n" + b"S" * 200_000 + b"\n", "huge.csv: not readable as text with formulas"),
}


@pytest.mark.parametrize("name", [*DAMAGED, "missing.csv", "missing.txt"])
def test_a_file_that_has_no_formulas_ends_in_one_line_and_leaves_the_csv(
    models: Path, tmp_path: Path, name: str
) -> None:
    content, words = DAMAGED.get(name, (None, f"{name}: no such file"))
    if content is not None:
        (tmp_path / name).write_bytes(content)
    (tmp_path / "gaps.csv").write_text("as before")
    result = ask(models, "Si", name, "--csv", "gaps.csv", cwd=tmp_path)
    assert_failed(result, 2, words)
    assert len(result.stderr.splitlines()) == 1 and len(result.stderr) < 300
    assert (tmp_path / "gaps.csv").read_text() == "as before"
    assert {path.name for path in tmp_path.iterdir()} <= {name, "gaps.csv"}


def test_without_any_formula_the_csv_stays(models: Path, tmp_path: Path) -> None:
    (tmp_path / "gaps.csv").write_text("as before")
    result = ask(models, "Xx", LONG, "--csv", "gaps.csv", cwd=tmp_path)
    assert_failed(result, 2, "gaps.csv: not written, since no formula could be read")
    assert len(result.stderr.splitlines()) == 3 and (tmp_path / "gaps.csv").read_text() == "as before"


def test_a_folder_that_cannot_be_written_is_named(models: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    assert_failed(ask(models, "Si", "--csv", "folder/gaps.csv", cwd=tmp_path), 2, "--csv: 'folder' is no folder")


def test_flags_that_do_not_go_together(tmp_path: Path) -> None:
    assert_failed(run_here(composition.main, "--csv", "gaps.csv", cwd=tmp_path), 2, "--csv: goes with --predict")
    result = run_here(composition.main, "--predict", "Si", "--evaluate", "t.json.gz", cwd=tmp_path)
    assert result.returncode == 2 and "not allowed with argument" in result.stderr


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    assert_failed(ask(Path("none"), "Si", cwd=tmp_path), 2, "none/composition-", "no model there")


def test_the_model_that_comes_with_the_project_is_asked_by_default(models: Path, tmp_path: Path) -> None:
    own = shutil.copytree(models, tmp_path / "data" / "models")  # which are not asked unless they are named
    shutil.copytree(own / measured.TEACHER, own / "composition-combined")
    formulas = ["Si", "(GaAs)3", "Cl2Na2", "MgO", "Cu", "Al", "Si49Ge51"]
    result = ask(None, *formulas, "--csv", "gaps.csv", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == "composition-experiment (band_gap_experiment), comes with the project"
    table = pd.read_csv(tmp_path / "gaps.csv").set_index("formula")
    assert table.reset_index().columns.tolist() == COLUMNS
    assert table.loc[["Si", "(GaAs)3", "Cl2Na2", "MgO"], "in_training"].tolist() == ["measured"] * 4
    for formula, gap in (("Si", 1.12), ("(GaAs)3", 1.42), ("Cl2Na2", 8.6), ("MgO", 7.7)):
        assert table.loc[formula, "band_gap"] == pytest.approx(gap, abs=0.3)  # eV
        assert table.loc[formula, "band_gap_pbe"] < gap and table.loc[formula, "metal_probability"] < 0.2
    assert table.loc[["Cu", "Al"], "band_gap"].tolist() == [0, 0]
    assert table.loc[["Cu", "Al"], "metal_probability"].min() > 0.8
    alloy = table.loc["Si49Ge51"]
    assert alloy["in_training"] == "no" and alloy["band_gap_low_95"] < 0.95 < alloy["band_gap_high_95"]
