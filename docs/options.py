"""The options of the five scripts, as pages list them: taken from argparse, so that they are those of --help."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

SCRIPTS = ("query.py", "composition.py", "explore_composition.py", "structure.py", "explore_structure.py")


def scripts() -> list[dict[str, Any]]:
    """For each script its `name`, what it does (`what`), and `options`: `flag`, `usage` (with its value), `meaning`."""
    return [_script(name) for name in SCRIPTS]


def _script(name: str) -> dict[str, Any]:
    parser: argparse.ArgumentParser = import_module(name.removesuffix(".py")).parser()
    actions = [action for action in parser._actions if action.dest != "help"]
    return {"name": name, "what": str(parser.description).splitlines()[0], "options": list(map(_option, actions))}


def _option(action: argparse.Action) -> dict[str, str]:
    """Cells of a Markdown table, in which | is written with a backslash."""
    flag = action.option_strings[0]
    meaning = (action.help or "") % vars(action)
    return {"flag": flag, "usage": f"{flag} {_value(action)}".strip().replace("|", r"\|"), "meaning": _cell(meaning)}


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    value = "|".join(action.choices) if action.choices else action.metavar or action.dest.upper()
    return f"{value} ..." if action.nargs in ("+", "*") else value


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("*", r"\*")
