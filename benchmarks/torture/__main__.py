"""python -m benchmarks.torture [--parts inputs servers kills disk pairs] [--inputs 360] [--kills 20] [--seed 0].

Try to break the five scripts: with bad inputs, which are real files changed at random; a server that misbehaves;
SIGKILL at random moments, each followed by a run that must end as an undisturbed one; a full disk; two processes in one
folder.
An attempt held if the script ended in time with exit code 0, 1 or 2 and, unless 0, one line that says what is wrong.

Prints a table and writes benchmarks/torture.json, attempt by attempt: what is not tried again keeps what the file says.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bandgaps.arguments import Parser, seed, whole_number
from bandgaps.errors import RunError, exit_code
from bandgaps.files import read_json, write_json
from benchmarks.torture import disturbed, inputs, servers
from benchmarks.torture.runs import ROOT, Attempt, Worker, broke, run

RESULTS = ROOT / "benchmarks" / "torture.json"
COLUMNS = ("tried", "held", "broke")
RUNS = [*disturbed.scripts(Path())]  # names
EMPTY: dict[str, Any] = {"tried": 0, "held": 0, "broke": 0, "how": []}
SHOWN = 20  # of what broke, per row
Verdict = tuple[str, str, str | None]  # what was tried, how to name it, why it broke


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts that are asked for, and print the table of all."""
    given = parser().parse_args(arguments)
    earlier = read_json(given.output)["rows"] if given.output.exists() else []
    rows: dict[str, Any] = {row["what"]: row for row in earlier}
    same = rows if given.resume else {}
    given.done = {what: row["tried"] for what, row in same.items() if row["seed"] == given.seed}
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        base = Path(name)
        prepare(base)
        for part in given.parts:
            begun: set[str] = set(given.done)
            for what, name, why in PARTS[part](base, given):
                if why:
                    print(f"{what}: {name}: {why}", flush=True)
                before = rows[what] if what in begun else EMPTY
                begun.add(what)
                when = f"{datetime.now(UTC):%Y-%m-%d}"
                rows[what] = {"what": what, **counted(before, name, why), "seed": given.seed, "date": when}
                write_json({"parts": parts(rows), "all": total(rows), "rows": [*rows.values()]}, given.output)
    print(table(rows))
    if any(row["broke"] for row in rows.values()):
        raise RunError(f"something broke; {given.output} says what")


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=[*PARTS], help="which parts (all)")
    add("--kinds", nargs="+", choices=inputs.KINDS, default=[*inputs.KINDS], help="which kinds of bad input (all)")
    add("--scripts", nargs="+", choices=RUNS, default=RUNS, help="which runs are disturbed (all)")
    add("--inputs", type=whole_number(1), default=360, metavar="N", help="bad inputs, over all kinds (%(default)s)")
    add("--servers", type=whole_number(1), default=60, metavar="N", help="servers that misbehave (%(default)s)")
    add("--kills", type=whole_number(1), default=20, metavar="N", help="kills of each script (%(default)s)")
    add("--seed", type=seed, default=0, metavar="N", help="of all that is random (%(default)s)")
    add("--resume", action="store_true", help="pass over what the output file has of this seed, after a stop")
    add("--output", type=Path, default=RESULTS, metavar="FILE", help="where the results go (%(default)s)")
    return parser


def prepare(base: Path) -> None:
    """What attempts start from: a table, a model of structures, and models of compositions trained on the table."""
    inputs.prepare(base)
    training = ["--data", "table.json", "--models", "models", "--figures", "figures", "--metrics", "metrics"]
    outcome = run(Attempt("", "composition", training), base)
    if outcome.code != 0:
        raise RunError(f"composition.py fails undisturbed: {outcome.errors}")


def bad_inputs(base: Path, given: argparse.Namespace) -> Iterable[Verdict]:
    """Bad inputs of each kind in turn."""
    worker, left = Worker(), dict(given.done)
    for number in range(given.inputs):
        kind = given.kinds[number % len(given.kinds)]
        random = np.random.default_rng([given.seed, number])
        with tempfile.TemporaryDirectory(dir=base) as name:
            attempt = inputs.KINDS[kind](random, Path(name), base)
            left[attempt.what] = left.get(attempt.what, 0) - 1
            if left[attempt.what] >= 0:
                continue
            yield (
                attempt.what,
                f"{kind} {number} {attempt.script} {attempt.note}",
                broke(worker.run(attempt, Path(name))),
            )
    worker.stop()


def bad_servers(base: Path, given: argparse.Namespace) -> Iterable[Verdict]:
    """Servers that misbehave."""
    worker = Worker()
    for number in range(given.done.get(servers.WHAT, 0), given.servers):
        random = np.random.default_rng([given.seed, number])
        with tempfile.TemporaryDirectory(dir=base) as name, servers.troubled(random) as attempt:
            outcome = worker.run(attempt, Path(name))
            leaked = servers.told_to_others(Path(name), outcome.output + outcome.errors)
            yield attempt.what, f"{number} {attempt.note}", "the key was written" if leaked else broke(outcome)
    worker.stop()


Disturb = Callable[[Attempt, Path, argparse.Namespace, int], Iterable[str | None]]


def of_scripts(what: str, count: Callable[[argparse.Namespace], int], disturb: Disturb) -> Any:
    """A part that disturbs a run of each script so many times, but for those that were done before."""

    def verdicts(base: Path, given: argparse.Namespace) -> Iterable[Verdict]:
        for script in given.scripts:
            row = f"{what}, {script.split(',')[0]}.py{script.partition(',')[2]}"
            done = given.done.get(row, 0)
            if done >= count(given):
                continue
            with tempfile.TemporaryDirectory(dir=base) as name:
                tried = disturb(disturbed.scripts(base)[script], Path(name), given, done)
                for number, why in enumerate(tried, start=done):
                    yield row, str(number), why

    return verdicts


PARTS: dict[str, Callable[[Path, argparse.Namespace], Iterable[Verdict]]] = {
    "inputs": bad_inputs,
    "servers": bad_servers,
    "kills": of_scripts(
        "kills",
        lambda given: given.kills,
        lambda run, folder, given, done: disturbed.kills(run, folder, given.kills, given.seed, done),
    ),
    "disk": of_scripts(
        "full disk", lambda _: len(disturbed.SIZES), lambda run, folder, _, done: disturbed.full_disk(run, folder, done)
    ),
    "pairs": of_scripts("two processes", lambda _: 1, lambda run, folder, *_: [disturbed.two_at_once(run, folder)]),
}


def counted(before: dict[str, Any], name: str, why: str | None) -> dict[str, Any]:
    """A row with one attempt more, which broke if there is a reason why."""
    how = [*before["how"], f"{name}: {why}"] if why else before["how"]
    tried, wrong = before["tried"] + 1, before["broke"] + bool(why)
    return {"tried": tried, "held": tried - wrong, "broke": wrong, "how": how[:SHOWN]}


def parts(rows: dict[str, Any]) -> list[dict[str, Any]]:
    """The sum of the rows of each part of the campaign, with the date of the last; rows are named `part, detail`."""
    groups: dict[str, dict[str, Any]] = {}
    for what, row in rows.items():
        groups.setdefault(what.partition(",")[0], {})[what] = row
    return [{"what": name, **total(own), "date": max(r["date"] for r in own.values())} for name, own in groups.items()]


def total(rows: dict[str, Any]) -> dict[str, int]:
    """The sum of all rows."""
    return {column: sum(row[column] for row in rows.values()) for column in COLUMNS}


def table(rows: dict[str, Any]) -> str:
    """The rows, and their sum."""
    counts = {name: [row[column] for column in COLUMNS] for name, row in {**rows, "all": total(rows)}.items()}
    width = max(map(len, counts))
    lines = [f"{name:<{width}} " + " ".join(f"{n:>6,}" for n in numbers) for name, numbers in counts.items()]
    return "\n".join([f"{'':<{width}} {'tried':>6} {'held':>6} {'broke':>6}", *lines])


if __name__ == "__main__":
    sys.exit(exit_code(main))
