from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, SCRIPTS, Result, assert_failed
from hypothesis import given
from hypothesis import strategies as st
from prose import assert_alike, cells, sentences, words

from bandgaps.errors import InputError
from docs import examples
from docs.options import scripts
from docs.pages import FILES, PAGES, Values, fill, render

CONTENT = {"models": [{"mae": 0.526, "n": 31257, "r2": None, "name": "forest", "bias": float("nan")}], "share": 0.876}


BY_HAND = ["SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/sample/README.md", "data/alloys/README.md"]


def filled(text: str, content: Any = CONTENT) -> str:
    return fill(text, {"x": Values(content, "x.json")}, "page.md.j2")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what `python -m docs` reads and writes."""
    for folder in ("docs", "bandgaps"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (*PAGES, *FILES.values(), *SCRIPTS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def docs(tree: Path, *arguments: str) -> Result:
    command = [sys.executable, "-m", "docs", *arguments]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_are_as_templates_and_metrics_have_them(page: str) -> None:
    assert (ROOT / page).read_text(encoding="utf-8") == render(page)


@pytest.mark.parametrize(("page", "template"), PAGES.items())
def test_a_page_names_its_template_and_shows_nothing_of_it(page: str, template: str) -> None:
    first, rest = (ROOT / page).read_text(encoding="utf-8").split("\n", 1)
    assert first.startswith("<!--")
    assert first.endswith("-->")
    assert template in first
    assert not re.search(r"\{\{|\}\}|\{%|%\}|<!--", rest)


def test_every_template_is_rendered_and_every_file_used() -> None:
    templates = list((ROOT / "docs").glob("*.j2"))
    text = "".join(template.read_text(encoding="utf-8") for template in templates)
    parts = {f"docs/{part}" for part in re.findall(r'include "(_\w+\.md\.j2)"', text)}
    found = {str(template.relative_to(ROOT)) for template in templates}
    assert set(PAGES.values()) <= found <= set(PAGES.values()) | parts
    assert [name for name in FILES if not re.search(rf"\b{name}\b(?:[.\[]| %}})", text)] == []


@pytest.mark.parametrize("page", [*PAGES, *BY_HAND])
def test_links_and_images_of_a_page_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    relative = [link.split("#")[0] for link in links if ":" not in link and not link.startswith("#")]
    assert [link for link in relative if not (ROOT / page).parent.joinpath(link).exists()] == []
    named = re.findall(r"\bfigures/[\w/-]+\.(?:pdf|png|csv)\b", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", [*PAGES, *BY_HAND])
def test_a_sentence_says_one_thing(page: str) -> None:
    found = sentences((ROOT / page).read_text(encoding="utf-8"))
    assert [sentence for sentence in found if len(words(sentence)) > 40] == []
    assert sum(len(words(sentence)) for sentence in found) / len(found) < 20


def test_a_sentence_is_told_from_what_is_near_it() -> None:
    paragraph = "One (Chen et al., Nat. Comput. Sci. 1)\nis *done.* Two `a b` |"
    page = f"# Head\n\n{paragraph}\n\n- item\n\n| a \\| b | c d |\n\n    code here\n"
    assert [len(words(each)) for each in sentences(page)] == [1, 10, 2, 1, 2, 2]
    assert cells(page) == ["a \\| b", "c d"]


def test_pages_are_short_enough_to_be_read() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200
    assert len((ROOT / "DISCUSSION.md").read_text(encoding="utf-8")) <= 16_000
    card = (ROOT / "data/models/README.md").read_text(encoding="utf-8")
    assert [cell for cell in cells(card) if len(words(cell)) > 40] == []


@pytest.mark.parametrize("script", scripts(), ids=lambda script: script["name"])
def test_the_options_are_those_of_help(script: dict[str, Any]) -> None:
    printed = import_module(script["name"].removesuffix(".py")).parser().format_help().split("options:")[1]
    flags = re.findall(r"^  (?:-h, )?(--[a-z-]+)", printed, flags=re.MULTILINE)
    section = (
        (ROOT / "docs/options.md").read_text(encoding="utf-8").split(f"\n## {script['name']}\n")[1].split("\n## ")[0]
    )
    listed = re.findall(r"^\| `(--[a-z-]+)", section, flags=re.MULTILINE)
    assert ["--help", *listed] == flags
    meanings = " ".join(re.sub(r"\s+", " ", printed).split())
    shown = [each["meaning"].replace("\\", "") for each in script["options"]]
    assert [meaning for meaning in shown if re.sub(r"\s", "", meaning) not in re.sub(r"\s", "", meanings)] == []
    assert [meaning for meaning in shown if not re.match(r"[A-Z].*\.$", meaning)] == []


@pytest.mark.parametrize(
    "page", ["README.md", "DISCUSSION.md", "CONTRIBUTING.md", "SECURITY.md", "data/models/README.md"]
)
def test_every_flag_of_a_page_is_one_of_a_script(page: str) -> None:
    known = {option["flag"] for script in scripts() for option in script["options"]} | {
        "--help",
        "--examples",
        "--check",
    }
    text = (ROOT / page).read_text(encoding="utf-8")
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= known


@pytest.mark.parametrize("name", ["formulas", "screening"])
def test_examples_print_what_the_page_shows(name: str) -> None:
    """Those of structures are checked in test_bundled.py; `python -m docs --examples` writes all anew."""
    kept = json.loads((ROOT / examples.FILE).read_text(encoding="utf-8"))[name]
    assert_alike(examples.run(examples.COMMANDS[name]), kept)


def test_the_example_of_the_requirement_has_the_numbers_of_the_metrics() -> None:
    kept = json.loads((ROOT / examples.FILE).read_text(encoding="utf-8"))["requirement"]
    assert kept["command"] == examples.COMMANDS["requirement"]
    found = json.loads((ROOT / FILES["SiGe_structure"]).read_text())["compositions"][0]
    for each in (found, found["shared_site"]):
        assert f"{each['band_gap']:.3f} ± {each['band_gap_std']:.3f}" in kept["prints"]


def test_one_version_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[0] == version


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("x.models[0].mae | f2", "0.53"),
        ("x['models'][-1]['mae'] | f3", "0.526"),
        ("x.models[0].n | whole", "31,257"),
        ("x.models[0].n | g4", "3.126e+04"),
        ("x.share | g3", "0.876"),
        ("x.share | percent", "88 %"),
        ("x.share | percent1", "87.6 %"),
        ("x.models[0].name", "forest"),
    ],
)
def test_numbers_come_from_the_files(expression: str, shown: str) -> None:
    assert filled(f"MAE {{{{ {expression} }}}} eV\n") == f"MAE {shown} eV\n"


def test_a_loop_writes_one_line_an_element() -> None:
    text = "{% for row in x.rows %}\n| {{ row.n }} |\n{% endfor %}\nEnd\n"
    assert filled(text, {"rows": [{"n": 1}, {"n": 2}]}) == "| 1 |\n| 2 |\nEnd\n"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("x.models[0].rmse | f2", ["x.json", "['models'][0]['rmse']"]),
        ("x.models[1].mae | f2", ["x.json", "['models'][1]"]),
        ("x.models.mae | f2", ["x.json", "['models']['mae']"]),
        ("x.models[0].r2 | f2", ["x.json", "['models'][0]['r2']"]),
        ("x.models[0] | f2", ["x.json", "['models'][0]", "no single value"]),
        ("x.models", ["x.json", "['models']", "no single value"]),
        ("x", ["x.json", "no single value"]),
        ("x.models[0].name | f2", ["number"]),
        ("x.models[0].bias | f2", ["nan"]),
        ("x.models[0].mae | whole", ["'d'"]),
        ("x.share | f9", ["f9"]),
        ("y.share | f2", ["'y'"]),
        ("x.share | ", ["page.md.j2"]),
    ],
)
def test_what_is_not_there_is_named_with_the_line_that_asks_for_it(expression: str, words: list[str]) -> None:
    with pytest.raises(InputError) as raised:
        filled(f"# Title\n\nMAE {{{{ {expression} }}}} eV\n")
    message = str(raised.value)
    assert message.startswith("page.md.j2, line 3: ")
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


def leaves(content: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        if isinstance(value, dict | list):
            yield from leaves(value, (*keys, key))
        else:
            yield (*keys, key), value


KEYS = st.text("ab_-. 015", max_size=4)
OBJECTS = st.dictionaries(
    KEYS,
    st.recursive(st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)),
    min_size=1,
)


@given(OBJECTS)
def test_every_value_of_a_file_can_be_asked_for_and_no_other(content: dict[str, Any]) -> None:
    for keys, value in leaves(content):
        assert filled("{{ x" + "".join(f"[{key!r}]" for key in keys) + " }}", content) == str(value)
        wrong = "".join(f"[{key!r}]" for key in (*keys[:-1], "absent"))
        with pytest.raises(InputError, match=re.escape(f"x.json: nothing at {wrong}")):
            filled("{{ x" + wrong + " }}", content)


def test_check_passes_on_the_project_and_writes_nothing(tree: Path) -> None:
    before = {page: (tree / page).stat().st_mtime_ns for page in PAGES}
    result = docs(tree, "--check")
    assert result.returncode == 0, result.stderr
    assert {page: (tree / page).stat().st_mtime_ns for page in PAGES} == before


def test_check_names_the_pages_that_a_new_number_changes(tree: Path) -> None:
    path = tree / FILES["composition"]
    metrics = json.loads(path.read_text())
    metrics["non-metals"]["mae"] += 1
    path.write_text(json.dumps(metrics))
    old = (tree / "DISCUSSION.md").read_text()
    result = docs(tree, "--check")
    assert_failed(result, 1, "DISCUSSION.md", "make docs")
    assert "models" not in result.stderr and "README" not in result.stderr
    assert (tree / "DISCUSSION.md").read_text() == old
    assert docs(tree).returncode == 0
    assert f"| {metrics['non-metals']['mae']:.3f} |" in (tree / "DISCUSSION.md").read_text()
    assert docs(tree, "--check").returncode == 0


def test_check_sees_a_page_edited_by_hand_and_one_that_is_gone(tree: Path) -> None:
    with (tree / "DISCUSSION.md").open("a") as page:
        page.write("More.\n")
    (tree / "data/orderings/README.md").unlink()
    assert_failed(docs(tree, "--check"), 1, "DISCUSSION.md, data/orderings/README.md")
    assert docs(tree).returncode == 0
    assert docs(tree, "--check").returncode == 0


def test_a_missing_file_is_one_line(tree: Path) -> None:
    (tree / FILES["card"]).unlink()
    assert_failed(docs(tree), 2, FILES["card"], "no such file")


def test_a_missing_key_is_one_line_and_leaves_the_pages_alone(tree: Path) -> None:
    (tree / FILES["table"]).write_text("{}")
    (tree / FILES["composition"]).write_text("{}")
    before = {page: (tree / page).read_text() for page in PAGES}
    assert_failed(docs(tree), 2, "docs/README.md.j2, line ", FILES["table"], "'steps'")
    assert {page: (tree / page).read_text() for page in PAGES} == before
