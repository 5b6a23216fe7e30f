"""What `make figures` runs, and where it writes: the real Makefile, with small scripts in place of the five."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from helpers import ROOT, SCRIPTS
from make_project import STUB, Project, project

QUERY, COMPOSITION, EXPLORE_COMPOSITION, STRUCTURE, EXPLORE_STRUCTURE = SCRIPTS
TRAINING = [QUERY, COMPOSITION, EXPLORE_COMPOSITION, STRUCTURE]  # and the forests' alloy
EXPLORING = [EXPLORE_COMPOSITION, EXPLORE_STRUCTURE]
KEY = "0123456789abcdef0123456789ABCDEF"
BUNDLED = "data/models/megnet-multifidelity/model.json"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The repository: the results of its reference run are committed."""
    folder = tmp_path_factory.mktemp("make") / "origin"
    inputs = ["data/sample/sample.json.gz", "data/orderings/SiGe.csv", BUNDLED, "README.md", "docs/__main__.py"]
    inputs += ["bandgaps/__init__.py", "bandgaps/deep/er/module.py", "requirements.txt", "requirements-dev.txt"]
    for name in [*inputs, *SCRIPTS]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(STUB if name in SCRIPTS else "")
    for name in ("Makefile", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    found = project(folder)
    found.git("init", "--quiet")
    assert found.ran() == SCRIPTS
    found.git("add", "--all")
    found.git("commit", "--quiet", "--message", "all")
    return found


@pytest.fixture
def clone(origin: Project, tmp_path: Path) -> Project:
    """A fresh clone."""
    origin.git("clone", "--quiet", str(origin.folder), str(tmp_path / "clone"))
    return project(tmp_path / "clone")


@pytest.fixture(scope="module")
def made(origin: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone whose figures are made; every test leaves it so."""
    folder = tmp_path_factory.mktemp("made") / "clone"
    origin.git("clone", "--quiet", str(origin.folder), str(folder))
    found = project(folder)
    found.ran()
    return found


def assert_reference(project: Project) -> None:
    """Nothing under git has changed, and there is nothing to do for the reference run."""
    assert project.git("status", "--porcelain") == ""
    assert project.ran() == []
    assert project.git("status", "--porcelain") == ""


def test_a_fresh_clone_runs_all_scripts_and_a_second_run_none(clone: Project) -> None:
    assert clone.ran() == SCRIPTS
    assert clone.git("status", "--porcelain") == ""
    again = clone.make("figures")
    assert clone.log.read_text() == ""
    assert again.stdout == "Nothing is left to run. Results: figures/ data/metrics/\n"


@pytest.mark.parametrize(
    ("path", "scripts"),
    [
        (QUERY, TRAINING),
        (COMPOSITION, [COMPOSITION, EXPLORE_COMPOSITION]),
        (EXPLORE_COMPOSITION, [EXPLORE_COMPOSITION]),
        (STRUCTURE, [STRUCTURE]),
        (EXPLORE_STRUCTURE, [EXPLORE_STRUCTURE]),
        ("bandgaps/__init__.py", SCRIPTS),
        ("bandgaps/deep/er/module.py", SCRIPTS),
        ("data/sample/sample.json.gz", TRAINING),
        ("data/orderings/SiGe.csv", [EXPLORE_STRUCTURE]),
        (BUNDLED, [EXPLORE_STRUCTURE]),
        ("README.md", []),
        ("figures/structure.pdf", []),
    ],
)
def test_a_change_runs_what_depends_on_it(made: Project, path: str, scripts: list[str]) -> None:
    os.utime(made.folder / path, ns=(time.time_ns(), time.time_ns()))
    assert made.ran() == scripts
    assert_reference(made)


@pytest.mark.parametrize(
    ("asked", "environment", "scripts"),
    [
        (["-j4"], {"MP_API_KEY": KEY}, TRAINING),
        (["SOURCE=file"], {}, TRAINING),
        (["TARGET=formation_energy_per_atom"], {}, SCRIPTS),
        (["SYSTEM=Ge-Sn", "COMPOSITION=Ge9Sn1"], {}, EXPLORING),
        (["SYSTEM=C-Si"], {}, EXPLORING),
        (["COMPOSITION=Si9Ge1 Si1Ge9"], {}, [EXPLORE_STRUCTURE]),
        (["MODEL=Bandgap_MP_2018"], {}, [EXPLORE_STRUCTURE]),
        (["MODEL=data/runs/sample-band_gap/models/megnet-band_gap"], {}, [EXPLORE_STRUCTURE]),
        (["SOURCE=sample"], {"MP_API_KEY": KEY}, []),
        ([], {"MP_API_KEY": "", "PMG_MAPI_KEY": " "}, []),
    ],
)
def test_what_is_asked_for_has_its_own_place(
    made: Project, asked: list[str], environment: dict[str, str], scripts: list[str]
) -> None:
    assert made.ran(*asked, **environment) == scripts
    assert made.ran(*asked, **environment) == []
    assert_reference(made)


def test_another_run_of_a_fresh_clone_leaves_what_is_under_git(clone: Project) -> None:
    assert clone.ran("SYSTEM=Ge-Sn", "COMPOSITION=Ge9Sn1", MACHINE="another") == SCRIPTS
    assert clone.git("status", "--porcelain") == ""
    found = clone.text("data/runs/megnet-multifidelity/Ge-Sn-Ge9Sn1/metrics/GeSn-structure.json")
    assert found.startswith("GeSn-structure.json by explore_structure another\nGe9Sn1")
    assert (clone.folder / "data/runs/sample-band_gap/Ge-Sn/figures/GeSn-composition.pdf").exists()
    assert not list((clone.folder / "figures").glob("GeSn*"))
    assert clone.ran(MACHINE="another") == EXPLORING
    changed = [line.split()[1] for line in clone.git("status", "--porcelain").splitlines()]
    names = ["SiGe-composition", "SiGe-structure", "composition", "structure"]
    assert changed == [f"data/metrics/{name}.json" for name in [*names, "table"]] + [f"figures/{n}.pdf" for n in names]


def test_a_model_of_another_property_is_explored_when_it_was_trained_anew(clone: Project) -> None:
    asked = "TARGET=formation_energy_per_atom"
    assert clone.ran(asked) == SCRIPTS
    model = clone.text("data/runs/sample-formation_energy_per_atom/models/megnet-formation_energy_per_atom/model.json")
    assert "sample\nformation_energy_per_atom" in model
    explored = "data/runs/sample-formation_energy_per_atom/Si-Ge-Si49Ge51/metrics/SiGe-structure.json"
    assert clone.text(explored).endswith(model)
    os.utime(clone.folder / STRUCTURE)
    assert clone.ran(asked) == [STRUCTURE, EXPLORE_STRUCTURE]


@pytest.mark.parametrize("script", [COMPOSITION, EXPLORE_STRUCTURE])
def test_a_script_that_broke_off_is_run_again(clone: Project, script: str) -> None:
    result = clone.make("figures", FAIL=Path(script).stem, MACHINE="another")
    assert result.returncode != 0
    began = {line.split()[1] for line in clone.log.read_text().splitlines()}
    assert script in began
    assert clone.git("status", "--porcelain") == ""
    assert clone.ran() == [each for each in SCRIPTS if each == script or each not in began]
    assert clone.ran() == []


def test_results_that_were_deleted_come_back(made: Project) -> None:
    shutil.rmtree(made.folder / "figures")
    shutil.rmtree(made.folder / "data" / "metrics")
    assert made.ran() == []
    assert_reference(made)


def test_scripts_run_by_hand_find_the_reference_and_keep_what_is_the_users(clone: Project) -> None:
    own = clone.folder / "data" / "models" / "megnet-band_gap"
    own.mkdir()
    clone.ran()
    assert "sample\nband_gap" in clone.text("data/bandgaps.json.gz")
    assert "sample\nband_gap" in clone.text("data/models/composition-combined/model.json")
    assert not list(own.iterdir())
    (clone.folder / "data" / "bandgaps.json.gz").unlink()
    (clone.folder / "data" / "bandgaps.json.gz").write_text("the user's")
    os.utime(clone.folder / COMPOSITION)
    assert clone.ran() == [COMPOSITION, EXPLORE_COMPOSITION]
    assert clone.text("data/bandgaps.json.gz") == "the user's"
    assert_reference(clone)


@pytest.mark.parametrize("place", ["MP_API_KEY", "PMG_MAPI_KEY", "MAPI_KEY", ".config/.pmgrc.yaml", ".pmgrc.yaml"])
def test_the_key_is_noticed_and_stays_where_it_is(clone: Project, place: str) -> None:
    settings = clone.home / place
    if settings.suffix == ".yaml":
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(f"PMG_DEFAULT_FUNCTIONAL: PBE\nPMG_MAPI_KEY: {KEY}\n")
    environment = {} if settings.exists() else {place: KEY}
    shell = clone.folder.parent / "shell"  # writes down every command line
    shell.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> "{shell}.log"\nexec /bin/sh "$@"\n')
    shell.chmod(0o755)
    result = clone.make("figures", f"SHELL={shell}", **environment)
    assert result.returncode == 0, result.stderr
    assert "--source mp" in clone.log.read_text()
    assert "find bandgaps" in shell.with_suffix(".log").read_text()
    written = [path for path in clone.folder.parent.rglob("*") if path.is_file() and clone.home not in path.parents]
    assert len(written) > 50
    assert [path for path in written if KEY.encode() in path.read_bytes()] == []
    assert KEY not in result.stdout + result.stderr
    assert clone.git("status", "--porcelain") == ""


def test_settings_without_a_key_are_none(clone: Project) -> None:
    (clone.home / ".config").mkdir()
    (clone.home / ".config" / ".pmgrc.yaml").write_text("PMG_MAPI_KEY:\n# PMG_MAPI_KEY: none\n")
    (clone.home / ".pmgrc.yaml").write_text(f"PMG_MAPI_KEY: {KEY}\n")  # which pymatgen does not read beside the other
    assert clone.ran() == SCRIPTS
    assert "--source sample" in clone.log.read_text()


def test_the_documents_are_written_by_docs_alone(made: Project) -> None:
    assert made.make("docs").returncode == 0
    assert made.log.read_text().splitlines() == ["begin -m docs", "end -m docs"]
