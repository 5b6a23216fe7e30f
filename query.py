"""Fetch materials with their band gaps, clean them, and write the table that every other script reads.

    python query.py                                       the Materials Project with a key, else the bundled sample
    MP_API_KEY=... python query.py --chemsys Si-Ge,Si,Ge  from the Materials Project: only these chemical systems
    python query.py --source file --input gaps.csv        a CSV with the columns formula and band_gap, or another table
    python query.py --polymorphs all --measured gaps.csv  all crystals, and measured gaps for the structure model

Writes the table, data/bandgaps.json.gz, and its account, data/bandgaps.meta.json: where the rows come from and how many
each cleaning step left. An interrupted download goes on where it stopped when the same command is run again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bandgaps.arguments import Parser, at_least, check_outputs, seed
from bandgaps.errors import InputError, exit_code, shortened
from bandgaps.levels import EXPERIMENT

NO_KEY = "no Materials Project key in MP_API_KEY or pymatgen's settings"


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = Parser(__doc__)
    add = parser.add_argument
    source = (
        "Where the materials come from: the Materials Project (mp), the bundled sample, or files. The key of the "
        "Materials Project is read from MP_API_KEY or pymatgen's settings. auto takes mp where there is a key, else "
        "the sample (default: %(default)s)."
    )
    add("--source", choices=["auto", "mp", "sample", "file"], default="auto", help=source)
    files = (
        "The files to read with --source file: tables (.json, .json.gz, .jsonl, .jsonl.gz), or CSVs with the columns "
        "formula and the target. Where files disagree about a composition, the later one counts."
    )
    add("--input", nargs="+", type=Path, default=[], metavar="FILE", help=files)
    output = "The table to write (default: %(default)s)."
    add("--output", type=Path, default=Path("data/bandgaps.json.gz"), metavar="FILE", help=output)
    chemsys = "Keep only these chemical systems, separated by commas, such as Si-Ge,Si,Ge; * stands for any element."
    add("--chemsys", default="", metavar="SYSTEMS", help=chemsys)
    leave_out = "Drop materials that contain all of these elements: Si-Ge drops SiGe and SiGeO3, but neither Si nor Ge."
    add("--leave-out", nargs="+", default=[], metavar="ELEMENTS", help=leave_out)
    hull = "Keep only materials whose energy above the convex hull is at most E (eV/atom)."
    add("--max-energy-above-hull", type=at_least(0, "eV/atom"), metavar="E", help=hull)
    polymorphs = "Keep the polymorph of lowest energy of each composition, or all polymorphs (default: %(default)s)."
    add("--polymorphs", choices=["lowest", "all"], default="lowest", help=polymorphs)
    target = (
        "The column that models will learn; a gap is in eV (default: %(default)s). A CSV may call it target. Measured "
        "gaps are band_gap_experiment, which a CSV may call band_gap."
    )
    add("--target", default="band_gap", metavar="COLUMN", help=target)
    missing = "Drop the rows of a file that have no number in the target column, instead of stopping."
    add("--drop-missing", action="store_true", help=missing)
    measured = (
        "Lists of measured gaps: CSVs with the columns formula and band_gap (eV). Each gap joins the composition's "
        "polymorph of lowest energy, or the crystal that a column material_id names, as band_gap_experiment (eV). "
        "Where lists disagree about a composition, the later one counts. No network of structure.py learns from the "
        "calculated gaps of these compositions."
    )
    add("--measured", nargs="+", type=Path, default=[], metavar="FILE", help=measured)
    energies = (
        "A table with the column formation_energy_per_atom (eV/atom), which is added to rows of the same material_id."
    )
    add("--formation-energies", type=Path, metavar="FILE", help=energies)
    parts = "The seed of the split into training, validation, calibration and test rows (default: %(default)s)."
    add("--seed", type=seed, default=0, metavar="N", help=parts)
    train_on = "Compositions that are never set aside for testing (default: Si Ge, the ends of the Si-Ge alloy)."
    add("--train-on", nargs="*", default=["Si", "Ge"], metavar="FORMULA", help=train_on)
    metrics = "A folder to write the account to as table.json, without date and versions."
    add("--metrics", type=Path, metavar="FOLDER", help=metrics)
    return parser


def check(given: argparse.Namespace) -> None:
    """Raise InputError for flags that contradict each other, before any work is done for them."""
    if (given.source == "file") != bool(given.input):
        raise InputError("--source file and --input FILE go together; give both or neither")
    output = given.output
    if not output.name.endswith((".json", ".json.gz")):
        raise InputError(f"--output {output}: a table's name ends in .json or .json.gz")
    check_outputs(given, files=["output"], folders=["metrics"])
    for flag, paths in (("--input", given.input), ("--measured", given.measured)):
        if any(path.exists() and output.exists() and path.samefile(output) for path in paths):
            raise InputError(f"--output {output}: that is the {flag} file itself, which would be lost; name another")
    output.parent.mkdir(parents=True, exist_ok=True)


def understood(flag: str, value: Any, read: Callable[[Any], Any]) -> Any:
    """The value of a flag as `read` understands it."""
    try:
        return read(value)
    except ValueError as error:
        given = shortened(value if isinstance(value, str) else " ".join(value))
        raise InputError(f"{flag} {given}: {error}") from None


def origin(given: argparse.Namespace, key: str | None) -> str:
    """Where the rows come from, in words."""
    if given.input:
        return ", ".join(map(str, given.input))
    if key:
        return "the Materials Project"
    return "the bundled sample" + (f" ({NO_KEY})" if given.source == "auto" else "")


def asked(given: argparse.Namespace) -> dict[str, Any]:
    """What was asked for, for the account of the table."""
    return {
        "input": ", ".join(map(str, given.input)) or None,
        "filters": {
            "chemsys": given.chemsys or None,
            "max_energy_above_hull": given.max_energy_above_hull,
            "drop_missing": given.drop_missing,
            "leave_out": given.leave_out,
            "polymorphs": given.polymorphs,
        },
        "target": given.target,
        "seed": given.seed,
        "train_on": given.train_on,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the script."""
    given = parser().parse_args(arguments)
    check(given)

    from bandgaps import formulas
    from bandgaps.files import write_json
    from bandgaps.table import account, cleaning, columns, materials_project, measured_gaps, sources, storage

    filters = sources.Filters(
        understood("--chemsys", given.chemsys, formulas.chemical_systems) if given.chemsys else (),
        given.max_energy_above_hull,
        given.drop_missing,
        understood("--leave-out", given.leave_out, formulas.left_out),
        given.polymorphs == "all",
    )
    train_on = understood("--train-on", given.train_on, lambda texts: list(map(formulas.reduced_formula, texts)))
    measured = [sources.from_file(path, EXPERIMENT) for path in given.measured]

    key = materials_project.find_key() if given.source in ("auto", "mp") else None
    if given.source == "mp" and not key:
        raise InputError(f"--source mp: {NO_KEY}; get one at {materials_project.KEY_PAGE}, or use --source sample")
    print(f"source: {origin(given, key)}", flush=True)
    cache = given.output.parent / f".{account.stem(given.output)}.download"
    if given.input:
        rows = sources.from_files(given.input, given.target)
    elif key:
        rows = sources.from_materials_project(given.target, filters, key, cache)
    else:
        rows = sources.from_sample()

    for each in measured:
        rows = measured_gaps.with_measured(rows, each)
    try:
        table, steps = cleaning.prepare(rows, given.target, filters, given.seed, train_on, bool(measured))
    except columns.MissingNumbersError as error:
        raise InputError(f"{error} with --drop-missing") from None
    if given.formation_energies:
        table = sources.with_column(table, given.formation_energies, columns.ENERGIES[1])
    meta = {
        "source": rows.kind,
        "database_version": rows.database_version,
        **asked(given),
        "measured": measured_gaps.matches(measured, table),
        **account.outcome(table, given.target, steps),
    }
    storage.write(table, given.output)
    account.write_meta(given.output, meta)
    if given.metrics:
        write_json(meta, given.metrics / "table.json")
    rows.discard()
    print(f"\n{account.in_words(meta)}")
    print(f"wrote {given.output} and {account.meta_path(given.output)}\nnext: python composition.py")


if __name__ == "__main__":
    sys.exit(exit_code(main))
