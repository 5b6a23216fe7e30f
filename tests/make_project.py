"""A project for the real Makefile: small scripts in place of the five, and a log of what was run."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from helpers import SCRIPTS, Result

STUB = """
import os, sys
from pathlib import Path

name = Path(sys.argv[0]).stem
given = dict(each.strip().split(" ", 1) for each in " ".join(sys.argv[1:]).split("--")[1:])

def write(path, *made_of):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\\n".join([f"{path.name} by {name} {os.environ.get('MACHINE', '')}", *made_of]))

def results(stem, *made_of):
    write(Path(given["figures"]) / f"{stem}.pdf", *made_of)
    if os.environ.get("FAIL") == name:
        os.kill(os.getpid(), 9)
    write(Path(given["metrics"]) / f"{stem}.json", *made_of)

system = given.get("system", "").replace("-", "")
if name == "query":
    key = {"MP_API_KEY", "PMG_MAPI_KEY", "MAPI_KEY"} & set(os.environ) or list(Path.home().rglob(".pmgrc.yaml"))
    assert key or given["source"] != "mp"
    write(given["output"], given["source"], given["target"])
    write(given["output"].replace(".json.gz", ".meta.json"))
    write(Path(given["metrics"]) / "table.json")
elif name == "composition":
    write(Path(given["models"]) / "composition-combined" / "model.json", Path(given["data"]).read_text())
    results("composition", Path(given["data"]).read_text())
elif name == "structure":
    write(Path(given["output"]) / "model.json", Path(given["data"]).read_text())
    results("structure", Path(given["data"]).read_text())
elif name == "explore_composition":
    results(f"{system}-composition", Path(given["models"], "composition-combined", "model.json").read_text())
elif name == "explore_structure":
    model = Path(given["model"]) / "model.json"
    results(f"{system}-structure", given["composition"], model.read_text() if model.exists() else given["model"])
"""

PYTHON = """#!/bin/sh
echo "begin $*" >> "$LOG"
"$REAL_PYTHON" -S "$@"
code=$?
echo "end $*" >> "$LOG"
exit $code
"""


@dataclass(frozen=True)
class Project:
    """A clone of a repository with the Makefile, and the log of what it ran."""

    folder: Path
    log: Path
    home: Path

    def make(self, *arguments: str, **environment: str) -> Result:
        self.log.write_text("")
        own = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LOG": str(self.log), "REAL_PYTHON": sys.executable}
        command = ["make", *arguments]
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**own, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ran(self, *arguments: str, **environment: str) -> list[str]:
        """The scripts that make figures ran: at most two at once on the sample, else one after the other."""
        result = self.make("figures", *arguments, **environment)
        assert result.returncode == 0, result.stderr
        lines = [line.split(" ", 1) for line in self.log.read_text().splitlines()]
        at_once = np.cumsum([1 if event == "begin" else -1 for event, _ in lines])
        assert max(at_once, default=0) <= (1 if any("--source mp" in command for _, command in lines) else 2)
        return sorted((command.split()[0] for event, command in lines if event == "begin"), key=SCRIPTS.index)

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=tests", "-c", "user.email=tests@localhost", *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True).stdout

    def text(self, path: str) -> str:
        return (self.folder / path).read_text()


def project(folder: Path) -> Project:
    """A project in a folder that holds its files; its environment is installed."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    python = folder / ".venv" / "bin" / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    for name in ("installed", "installed-dev"):
        (folder / ".venv" / name).touch()
    home = folder.with_name(f"{folder.name}-home")
    home.mkdir()
    return Project(folder, folder.with_name(f"{folder.name}.log"), home)
