"""Running a script on an attempt, and judging what it ended in."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 90.0  # s; what takes longer has no end
KEYS = ("MP_API_KEY", "PMG_MAPI_KEY", "MAPI_KEY")
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "MPRESTER_BACKOFF_FACTOR": "0", "MPRESTER_MUTE_PROGRESS_BARS": "true"}


@dataclass(frozen=True)
class Attempt:
    """What is tried.

    Attributes:
        what: the kind of attempt.
        script: without its suffix.
        arguments: of the script.
        note: what is bad about it, for the report of what broke.
        environment: variables that are set for it.
    """

    what: str
    script: str
    arguments: Sequence[str]
    note: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a script ended in; `code` is None where it had no end, and negative where a signal ended it."""

    code: int | None
    output: str
    errors: str


def environment() -> dict[str, str]:
    """That of a script: without keys of the surroundings, and able to import the project from any folder."""
    kept = {name: value for name, value in os.environ.items() if name not in KEYS}
    return {**kept, **QUIET, "PYTHONPATH": str(ROOT)}


def command(script: str, arguments: Sequence[str]) -> list[str]:
    """The command that runs a script."""
    return [sys.executable, str(ROOT / f"{script}.py"), *arguments]


class Worker:
    """A process in which attempts run one after the other, and another one where it does not answer or dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, attempt: Attempt, folder: Path) -> Outcome:
        """What the script ends in."""
        process = self._process = self._process or self._start()
        assert process.stdin
        assert process.stdout
        request = {
            "script": attempt.script,
            "arguments": [*attempt.arguments],
            "folder": str(folder),
            "environment": dict(attempt.environment),
        }
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], LIMIT)[0]:
            self.stop()
            return Outcome(None, "", "")
        answer = process.stdout.readline()
        if not answer:
            code = process.wait()
            self.stop()
            return Outcome(code, "", f"the process died: {code}")
        return Outcome(**json.loads(answer))

    def stop(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.torture.worker"],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )


def run(attempt: Attempt, folder: Path, kill_after: float | None = None) -> Outcome:
    """What a script ends in as a process of its own, which may be killed after so many seconds."""
    process = subprocess.Popen(
        command(attempt.script, attempt.arguments),
        cwd=folder,
        env={**environment(), **attempt.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=kill_after or 10 * LIMIT)
        return Outcome(process.returncode, output, errors)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Outcome(-signal.SIGKILL if kill_after else None, "", "")


def broke(outcome: Outcome, codes: Sequence[int] = (0, 1, 2)) -> str | None:
    """Why an outcome is none that a user should see; None where it is one."""
    if outcome.code is None:
        return f"no end within {LIMIT:g} s"
    if "Traceback" in outcome.errors:
        return f"traceback: {outcome.errors.strip().splitlines()[-1][:200]}"
    if outcome.code not in codes:
        return f"exit code {outcome.code}: {outcome.errors[-200:]}"
    if outcome.code and not re.search(r"error: .{10,}", outcome.errors):
        return "no line says what is wrong"
    if re.search(r"(?<![\w-])(inf|nan) ?(±|eV)|± ?(inf|nan)", outcome.output):
        return "an answer that is no number"
    if any(len(line) > 2100 for line in outcome.errors.splitlines()):
        return "a line without end"
    return None


def timed(attempt: Attempt, folder: Path) -> tuple[Outcome, float]:
    """As `run`, with the seconds that it took."""
    begun = time.monotonic()
    return run(attempt, folder), time.monotonic() - begun
