"""Run every comparison, print the table, and write it to benchmarks/results.json and README.md.

    python -m benchmarks [WHAT ...]

With names of modules, only those comparisons are made anew; the other results stay as they were.
"""

from __future__ import annotations

import importlib
import json
import sys

from bandgaps.errors import InputError, exit_code
from bandgaps.files import replacing, write_json
from benchmarks.measure import ROOT, TABLE, Entry

MODULES = ("tables", "graphs", "megnet", "orderings", "forests")
RESULTS = ROOT / "benchmarks" / "results.json"
README = ROOT / "README.md"
BEGIN, END = "<!-- benchmarks -->\n", "<!-- /benchmarks -->"
MEANING = {
    "features": "Magpie features of 106,113 formulas, against matminer's",
    "read": "reading 31,257 materials without structures, against matminer's reader",
    "read-structures": "the same with structures",
    "write": "writing them",
    "graphs": "from a table on disk to graphs, 5 Å, against matminer's reader and megnet's `CrystalGraph`",
    "graphs-cached": "graphs from the cache, against `CrystalGraph` alone",
    "epoch": "one training epoch of 2,000 crystals, 5 Å, batch 128, against megnet's",
    "predict": "prediction at 5 Å, against megnet's `predict_graphs`",
    "enumerate": "orderings of up to 12 atoms with multiplicities, against icet's without",
    "forest-fit": "a forest at the same or a lower error, against scikit-learn's 100 trees",
    "forest-predict": "its prediction with σ, against prediction without",
}


def markdown(results: list[Entry]) -> str:
    """The results as a table, one line a comparison."""
    lines = ["| what | unit | peer | ours | ratio | same answer |", "|---|---|---:|---:|---:|---|"]
    for each in results:
        numbers = f"{each['peer']:,.4g} | {each['ours']:,.4g} | {each['ratio']:.3g}"
        lines.append(
            f"| {MEANING[each['what']]} | {each['unit']} | {numbers} | {'yes' if each['same'] else '**no**'} |"
        )
    return "\n".join(lines) + "\n"


def with_table(text: str, results: list[Entry]) -> str:
    """A document with the table between its two marks."""
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return text[:start] + markdown(results) + text[end:]


def main() -> None:
    """Measure what was asked for."""
    chosen = sys.argv[1:] or MODULES
    if unknown := set(chosen) - set(MODULES):
        raise InputError(f"{', '.join(sorted(unknown))}: no such comparison; there are {', '.join(MODULES)}")
    if not TABLE.exists():
        raise InputError(f"{TABLE}: no such file; the comparisons need the development data")
    known: dict[str, Entry] = {}
    if RESULTS.exists():
        known = {each["what"]: each for each in json.loads(RESULTS.read_text(encoding="utf-8"))}
    for name in chosen:
        print(f"measuring {name} …", flush=True)
        known |= {each["what"]: each for each in importlib.import_module(f"benchmarks.{name}").run()}
        results = [known[what] for what in MEANING if what in known]
        write_json(results, RESULTS)
    print(markdown(results))
    with replacing(README) as temporary:
        temporary.write_text(with_table(README.read_text(encoding="utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(exit_code(main))
