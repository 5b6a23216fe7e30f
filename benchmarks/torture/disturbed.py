"""Runs that are disturbed from outside, and what the next run makes of it: it must end as an undisturbed one."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.torture.runs import Attempt, Outcome, broke, command, environment, run, timed

VARIES = {"date", "seconds", "sha256"}  # in JSON, from run to run; sha256 where what it is of is compared itself
SIZES = ("64k", "256k", "1m", "4m")  # of a disk


def scripts(base: Path) -> dict[str, Attempt]:
    """A short run of each script, by the name a report calls it; all write into the folder they run in."""
    table = str(base / "table.json")
    small = ["--epochs", "2", "--members", "1", "--batch-size", "16", "--cutoff", "6"]
    asked: dict[str, list[str]] = {
        "query": ["--source", "sample", "--output", "out/t.json.gz", "--metrics", "out"],
        "composition": ["--data", table, "--models", "out/models", "--figures", "out", "--metrics", "out"],
        "explore_composition": ["--figures", "out", "--metrics", "out"],
        "structure": ["--data", table, "--output", "out/model", "--figures", "out", "--metrics", "out", *small],
        "explore_structure": [
            "--max-atoms", "2", "--model", str(base / "network"), "--fidelity", "pbe", "--figures", "out", "--metrics",
            "out",
        ],
    }  # fmt: skip
    screened = {
        "composition, --predict": ["--predict", str(base / "formulas.txt"), "--csv", "out/gaps.csv"],
        "structure, --predict": [
            "--predict", str(base / "crystals.jsonl"), "--csv", "out/gaps.csv", "--weights", str(base / "network"),
        ],
    }  # fmt: skip
    return {name: Attempt("", name.split(",")[0], arguments) for name, arguments in (asked | screened).items()}


def undisturbed(attempt: Attempt, folder: Path) -> tuple[dict[str, Any], float]:
    """What a run writes, and the seconds it takes."""
    folder.mkdir()
    outcome, seconds = timed(attempt, folder)
    if outcome.code != 0:
        raise RuntimeError(f"{attempt.script} fails undisturbed: {outcome.errors[-500:]}")
    return written(folder), seconds


def kills(attempt: Attempt, folder: Path, count: int, seed: int, done: int = 0) -> Iterator[str | None]:
    """Kill a run at a random moment and run it again, without the first `done` of `count` times.

    Yields:
        Why that broke, or None.
    """
    moments = np.random.default_rng(seed).uniform(0.02, 1, count)  # as parts of an undisturbed run's time
    expected, seconds = undisturbed(attempt, folder / "undisturbed")
    for number in range(done, count):
        own = folder / f"killed-{number}"
        own.mkdir()
        run(attempt, own, kill_after=float(moments[number]) * seconds)
        outcome = run(attempt, own)
        yield broke(outcome, [0]) or difference(expected, written(own))
        shutil.rmtree(own)


def full_disk(attempt: Attempt, folder: Path, done: int = 0) -> Iterator[str | None]:
    """Run on a disk that is too small, then make room and run again, without the first `done` of `SIZES`.

    Yields:
        Why that broke, or None.
    """
    expected, _ = undisturbed(attempt, folder / "undisturbed")
    for size in SIZES[done:]:
        own = folder / f"disk-{size}"
        disk, copy = own / "disk", own / "copy"
        disk.mkdir(parents=True)
        here, there = shlex.quote(str(disk)), shlex.quote(str(copy))
        call = shlex.join(command(attempt.script, attempt.arguments))
        steps = f"""mount -t tmpfs -o size={size} tmpfs {here} || exit 99
            cd {here}; {call} > ../first.out 2> ../first.err; echo $? > ../first.code
            mount -o remount,size=1g {here} || exit 99
            {call} > ../second.out 2> ../second.err; echo $? > ../second.code; cp -R {here} {there}"""
        ended = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", steps],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode == 99:
            raise RuntimeError(f"no small disk can be mounted here: {ended.stderr}")
        first, second = (_read(own, name) for name in ("first", "second"))
        unnamed = (
            first.code and "No space left" in first.errors and not re.search(r"error: \S+.*: No space", first.errors)
        )
        yield (
            broke(first, [0, 1])
            or ("the full disk is not named" if unnamed else None)
            or broke(second, [0])
            or difference(expected, written(copy))
        )


def two_at_once(attempt: Attempt, folder: Path) -> str | None:
    """Two runs in one folder at the same time; why that broke, or None."""
    expected, _ = undisturbed(attempt, folder / "undisturbed")
    own = folder / "shared"
    own.mkdir()
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda _: run(attempt, own), range(2)))
    if all(outcome.code for outcome in outcomes):
        return "both failed"
    wrong = [problem for outcome in outcomes if (problem := broke(outcome, [0, 1]))]
    return wrong[0] if wrong else difference(expected, written(own))


def written(folder: Path) -> dict[str, Any]:
    """Every file of a folder: its contents, of JSON without what differs from run to run."""
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name: _constant(json.loads(path.read_bytes())) if path.suffix == ".json" else path.read_bytes()
        for name, path in files.items()
        if "__pycache__" not in name and "/.cache/" not in f"/{name}"
    }


def _constant(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _constant(value) for key, value in content.items() if key not in VARIES}
    return [_constant(value) for value in content] if isinstance(content, list) else content


def difference(expected: dict[str, Any], found: dict[str, Any]) -> str | None:
    """The first file that is not as it should be; None where all are."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            return f"{name} is missing"
        if name not in expected:
            return f"{name} is left over"
        if expected[name] != found[name]:
            return f"{name} is another"
    return None


def _read(folder: Path, name: str) -> Outcome:
    code, output, errors = ((folder / f"{name}.{what}").read_text() for what in ("code", "out", "err"))
    return Outcome(int(code), output, errors)
