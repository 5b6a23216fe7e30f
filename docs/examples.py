"""The commands that README shows with what they print: run once, and kept in examples.json."""

from __future__ import annotations

import contextlib
import io
import tempfile
from importlib import import_module
from pathlib import Path

from bandgaps.files import write_json

ROOT = Path(__file__).parents[1]
FILE = "docs/examples.json"
INPUTS = ("docs", "data/models")  # what the commands read, seen from the folder that they run in
HEAD = 3  # lines of a CSV that are kept
COMMANDS = {
    "requirement": "explore_structure.py --composition Si49Ge51",
    "formulas": "composition.py --predict GaN Rb2AgBiBr6 Rb2CuBiF6",
    "crystal": "structure.py --predict docs/examples/GaN.cif",
    "alloy": "explore_structure.py --system GaAs-AlAs --composition Al0.3Ga0.7As",
    "screening": "composition.py --predict docs/examples/double-perovskites.csv --csv gaps.csv",
}


def write() -> None:
    """Run all commands anew and write examples.json: for each its `command`, what it `prints`, the head of its CSV."""
    write_json({name: run(command) for name, command in COMMANDS.items()}, ROOT / FILE)


def run(command: str) -> dict[str, str]:
    """What a command prints, and the first lines of the CSV that it writes, if any; nothing else is kept."""
    script, *arguments = command.split()
    main = import_module(script.removesuffix(".py")).main
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        for path in map(Path, INPUTS):
            path.parent.mkdir(exist_ok=True)
            path.symlink_to(ROOT / path)
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            main(arguments)
        csv = [line for path in Path().glob("*.csv") for line in path.read_text(encoding="utf-8").splitlines()[:HEAD]]
    prints = [line.rstrip() for line in printed.getvalue().splitlines()]
    return {"command": command, "prints": "\n".join(prints), "csv": "\n".join(csv)}
