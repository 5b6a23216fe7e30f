"""The rooms of the package: what may import what, how long a file gets, and that the library knows no flags."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import ROOT, SCRIPTS

ROOMS = {  # each room, and the rooms it may import from; all may import the ground floor
    "table": {"table"},
    "composition": {"composition", "table"},
    "structure": {"structure", "table"},
    "alloy": {"alloy", "structure", "composition", "table"},
    "": set(),
}
LIBRARY = sorted((ROOT / "bandgaps").rglob("*.py"))
LIGHT = {"errors", "arguments", "levels", "representations"}  # what a script may import before it has read its flags


def room(module: str) -> str:
    """The room of a module such as bandgaps.table.storage; the empty string for the ground floor."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else ""


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module of the package that is imported, wherever in the file that is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "bandgaps":
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] == "bandgaps")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", LIBRARY, ids=module_name)
def test_imports_point_one_way(path: Path) -> None:
    own = room(module_name(path))
    wrong = {name for name in imported(ast.parse(path.read_text())) if room(name) not in ROOMS[own] | {""}}
    assert not wrong, f"{module_name(path)} may not import {sorted(wrong)}"


def test_no_two_modules_import_each_other() -> None:
    modules = {module_name(path) for path in LIBRARY}
    arrows = {
        module_name(path): {
            name if name in modules else name.rpartition(".")[0] for name in imported(ast.parse(path.read_text()))
        }
        for path in LIBRARY
    }
    left = {module: targets & modules - {module} for module, targets in arrows.items()}
    while ends := {module for module, targets in left.items() if not targets}:
        left = {module: targets - ends for module, targets in left.items() if module not in ends}
    assert not left, f"import each other in a circle: {sorted(left)}"


@pytest.mark.parametrize("path", LIBRARY, ids=module_name)
def test_the_library_knows_no_script(path: Path) -> None:
    tree = ast.parse(path.read_text())
    scripts = {Path(name).stem for name in SCRIPTS}
    names = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not names & scripts
    if "ArgumentParser(" not in path.read_text():  # else it is a tool with flags of its own
        texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        flags = [text for text in texts if re.search(r"(?<![\w-])--[a-z]", text) and "pip install" not in text]
        flags = [text for text in flags if "--help" not in text]
        assert not flags, f"{module_name(path)} names flags: {flags}"


@pytest.mark.parametrize("path", LIBRARY, ids=module_name)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_short_and_import_once(name: str) -> None:
    text = (ROOT / name).read_text()
    assert len(text.splitlines()) <= 250
    tree = ast.parse(text)
    first = {module.rpartition(".")[2] for node in tree.body for module in imported_here(node)}
    assert first <= LIGHT, "imported before the flags are read"
    places = {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert places <= {"main"}, f"imports in {sorted(places)}; main imports once"


def imported_here(node: ast.stmt) -> Iterator[str]:
    """Modules of the package that a statement at the top of a script imports."""
    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bandgaps"):
        yield from ([node.module or ""] if node.module != "bandgaps" else [name.name for name in node.names])
