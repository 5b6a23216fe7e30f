"""python -m benchmarks [COMPARISON ...] [--table PATH].

Run each part of the project and the peer it replaces in turn, on the same input, and check that both give the same
answer. Without --table the input is the bundled sample, repeated and varied as benchmarks/data.py says. With names of
comparisons only those are made anew; the other results stay as they were.

Prints a table in Markdown and writes benchmarks/results.json.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from bandgaps.arguments import Parser
from bandgaps.errors import InputError, exit_code
from bandgaps.files import read_json, write_json
from benchmarks import data
from benchmarks.measure import Entry

COMPARISONS = ("tables", "graphs", "megnet", "orderings", "forests")
RESULTS = data.ROOT / "benchmarks" / "results.json"

Results = dict[str, list[Entry]]  # comparison -> its rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for."""
    options = parser().parse_args(arguments)
    if unknown := set(options.comparisons) - set(COMPARISONS):
        raise InputError(f"{', '.join(sorted(unknown))}: no such comparison; there are {', '.join(COMPARISONS)}")
    with data.opened(options.table, options.rows) as table:
        print(f"measuring on {table.name}", flush=True)
        results = earlier(options.output, table.name) if options.comparisons else {}
        for name in options.comparisons or COMPARISONS:
            print(f"{name} …", flush=True)
            results[name] = compared(name, table)
            write(results, table.name, options.output)
    print(markdown(results))


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = Parser(__doc__, "python -m benchmarks")
    add = parser.add_argument
    add("comparisons", nargs="*", metavar="COMPARISON", help=f"of {', '.join(COMPARISONS)}; by default all")
    add("--table", type=Path, metavar="PATH", help="table of query.py to measure on, with structures and band_gap (eV)")
    add("--rows", type=int, default=data.ROWS, help="rows that the sample is repeated to (%(default)s)")
    add("--output", type=Path, metavar="FILE", default=RESULTS, help="where to write (benchmarks/results.json)")
    return parser


def compared(name: str, table: data.Table) -> list[Entry]:
    """The rows of one comparison.

    Raises:
        InputError: a peer is not installed.
    """
    try:
        entries: list[Entry] = importlib.import_module(f"benchmarks.{name}").run(table)
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name}: not installed; pip install -r requirements-dev.txt") from None
    return entries


def write(results: Results, table: str, path: Path) -> None:
    """Write what was measured, and on which table."""
    rows = [{"comparison": name, **row} for name in COMPARISONS for row in results.get(name, ())]
    write_json({"table": table, "rows": rows}, path)


def earlier(path: Path, table: str) -> Results:
    """What was measured on this table before.

    Raises:
        InputError: the file is damaged, or its results are of another table.
    """
    if not path.exists():
        return {}
    content = read_json(path)
    try:
        known, rows = content["table"], [dict(row) for row in content["rows"]]
        results: Results = {name: [] for name in COMPARISONS}
        for row in rows:
            results[row.pop("comparison")].append(Entry(**row))  # type: ignore[typeddict-item]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged results ({error!r}); remove the file, or name another output") from None
    if known != table:
        raise InputError(f"{path}: measured on {known}; measure all comparisons anew, or write to another file")
    return results


def markdown(results: Results) -> str:
    """The results as a table, one line a row."""
    lines = ["| what | unit | peer | ours | ratio | same answer |", "|---|---|---:|---:|---:|---|"]
    for row in (row for name in COMPARISONS for row in results.get(name, ())):
        numbers = f"{row['peer']:,.4g} | {row['ours']:,.4g} | {row['ratio']:.3g}"
        lines.append(f"| {row['what']} | {row['unit']} | {numbers} | {'yes' if row['same'] else '**no**'} |")
    return "\n".join(lines)


def start(name: str) -> int:
    """Run one comparison as a module of its own, with the same flags; returns the exit code."""
    return exit_code(lambda: main([name, *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(exit_code(main))
