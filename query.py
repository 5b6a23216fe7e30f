"""Fetch materials with their band gaps, clean them, and write the table that every other script reads.

    python query.py                                       the Materials Project with a key, else the bundled sample
    MP_API_KEY=... python query.py --chemsys Si-Ge,Si,Ge  from the Materials Project: only these chemical systems
    python query.py --source file --input gaps.csv        a CSV with the columns formula and band_gap, or another table
    python query.py --polymorphs all --measured gaps.csv  for a model that learns calculated and measured gaps together

Writes data/bandgaps.json.gz, and data/bandgaps.meta.json with the account of how it came about; with --metrics that
account, without date and versions, as FOLDER/table.json too. A download that was interrupted goes on where it stopped
when the same command is run again.
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandgaps.errors import InputError, exit_code
from bandgaps.names import EXPERIMENT

if TYPE_CHECKING:
    import pandas as pd

    from bandgaps.dataset import Step
    from bandgaps.sources import Filters, Source


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; exit with code 2 where it makes no sense."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    source = (
        "the Materials Project (mp; key from MP_API_KEY or pymatgen's settings), the bundled sample, or a file; "
        "auto takes mp where there is a key, else the sample (default: auto)"
    )
    add("--source", choices=["auto", "mp", "sample", "file"], default="auto", help=source)
    add("--input", type=Path, metavar="FILE", help="the table (.json, .json.gz) or CSV for --source file")
    output = Path("data/bandgaps.json.gz")
    add("--output", type=Path, default=output, metavar="FILE", help="where to write (default: %(default)s)")
    add("--chemsys", default="", help="keep these chemical systems only: Si-Ge, Si-* or Si-Ge,Si,Ge")
    leave_out = "drop materials that contain all of these elements: Si-Ge drops SiGe and SiGeO3, but neither Si nor Ge"
    add("--leave-out", nargs="+", default=[], metavar="ELEMENTS", help=leave_out)
    polymorphs = "of each formula the one of lowest energy, or all (default: %(default)s)"
    add("--polymorphs", choices=["lowest", "all"], default="lowest", help=polymorphs)
    measured = (
        "measured gaps, eV: CSVs with the columns formula and band_gap; they become the column band_gap_experiment "
        "of each formula's polymorph of lowest energy, or of the crystal that a column material_id names; "
        "where several have a formula, the last one counts"
    )
    add("--measured", nargs="+", type=Path, default=[], metavar="FILE", help=measured)
    alloys = (
        "add the measured alloys A(1-x)B(x)C whose ends AC and BC are training rows with one structure, as crystals in "
        "which A and B share a site; they have no other gap, so this is for models of several levels of theory"
    )
    add("--alloys", action="store_true", help=alloys)
    estimate = (
        "add what forests of the measured gaps make of the compositions of training rows that nobody has measured, as "
        "the column band_gap_experiment_estimate (eV), from which structure.py learns with little weight"
    )
    add("--estimate", action="store_true", help=estimate)
    target = "the column to predict later on (default: %(default)s); in a CSV it may be called target as well"
    add("--target", default="band_gap", metavar="COLUMN", help=target)
    hull = "keep materials up to E eV/atom above the convex hull"
    add("--max-energy-above-hull", type=_energy, metavar="E", help=hull)
    seed = "of the split in train, validation and test (default: %(default)s)"
    add("--seed", type=_seed, default=0, help=seed)
    train_on = "materials never set aside for testing (default: Si Ge, between which the question is asked)"
    add("--train-on", nargs="*", default=["Si", "Ge"], metavar="FORMULA", help=train_on)
    add("--drop-missing", action="store_true", help="drop rows that have no number in the target column")
    metrics = "also write the account, without date and versions, to FOLDER/table.json"
    add("--metrics", type=Path, metavar="FOLDER", help=metrics)
    return parser.parse_args(arguments)


def _energy(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text} is not an energy of 0 eV/atom or more")
    return value


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 0 or more")
    return int(text)


def check_paths(source: str, given: Path | None, measured: Sequence[Path], output: Path) -> None:
    """Raise InputError for paths that contradict each other, before any work is done for them."""
    if (source == "file") != (given is not None):
        raise InputError("--source file and --input FILE go together; give both or neither")
    if not output.name.endswith((".json", ".json.gz")):
        raise InputError(f"--output {output}: a table's name ends in .json or .json.gz")
    if output.is_dir():
        raise InputError(f"--output {output}: a folder; name a file in it")
    for flag, path in (("--input", given), *(("--measured", path) for path in measured)):
        if path is not None and path.exists() and output.exists() and path.samefile(output):
            raise InputError(f"--output {output}: that is the {flag} file itself, which would be lost; name another")
    output.parent.mkdir(parents=True, exist_ok=True)


def find_rows(source: str, arguments: argparse.Namespace, filters: Filters) -> Source:
    """Read or fetch the rows, and say from where."""
    from bandgaps import dataset, materials_project, sources

    if source == "file":
        print(f"source: {arguments.input}")
        return sources.from_file(arguments.input, arguments.target)
    key = materials_project.find_key() if source != "sample" else None
    if key:
        print("source: the Materials Project", flush=True)
        cache = arguments.output.parent / f".{dataset.stem(arguments.output)}.download"
        return sources.from_materials_project(arguments.target, filters, key, cache)
    if source == "mp":
        raise InputError(
            "--source mp: no Materials Project key in MP_API_KEY or pymatgen's settings; get one at "
            f"{materials_project.KEY_PAGE}, or use --source sample"
        )
    because = "" if source == "sample" else " (no Materials Project key in MP_API_KEY or pymatgen's settings)"
    print(f"source: the bundled sample{because}")
    return sources.from_sample()


def account(
    rows: Source, measured: Sequence[Source], table: pd.DataFrame, steps: list[Step], arguments: argparse.Namespace
) -> dict[str, Any]:
    """How the table came about; equal for equal tables."""
    from bandgaps import dataset

    return {
        "source": rows.kind,
        "input": str(arguments.input) if arguments.input else None,
        "database_version": rows.database_version,
        "filters": {
            "chemsys": arguments.chemsys or None,
            "max_energy_above_hull": arguments.max_energy_above_hull,
            "drop_missing": arguments.drop_missing,
            "leave_out": arguments.leave_out,
            "polymorphs": arguments.polymorphs,
        },
        "measured": {
            "input": ", ".join(source.name for source in measured),
            "database_version": [source.database_version for source in measured],
            "formulas": len({formula for source in measured for formula in source.table["formula"]}),
            "matched": int(table[EXPERIMENT].notna().sum()),
        }
        if measured
        else None,
        "target": arguments.target,
        "seed": arguments.seed,
        "train_on": arguments.train_on,
        "steps": [{"kept": step.kept, "rows": step.rows} for step in steps],
        "counts": dataset.counts(table, arguments.target),
    }


def provenance() -> dict[str, Any]:
    """When the table was made (UTC), and with which versions."""
    packages = {package: version(package) for package in ("pymatgen", "pandas", "numpy", "mp-api")}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "packages": {"python": platform.python_version(), **packages},
    }


def print_account(meta: dict[str, Any]) -> None:
    """The steps and their counts as a table, and the counts of the split."""
    width = max(len("rows"), *(len(f"{step['rows']:,}") for step in meta["steps"]))
    print(f"\n{'rows':>{width}}  kept")
    for step in meta["steps"]:
        print(f"{step['rows']:>{width},}  {step['kept']}")
    print("\n" + ", ".join(f"{count:,} {name}" for name, count in meta["counts"].items()))
    if measured := meta["measured"]:
        print(
            f"{measured['matched']:,} of the {measured['formulas']:,} formulas in {measured['input']} are in the table"
        )


def _understood(flag: str, value: Any, read: Callable[[Any], Any]) -> Any:
    """The value of a flag as `read` understands it."""
    try:
        return read(value)
    except ValueError as error:
        raise InputError(f"{flag} {value if isinstance(value, str) else ' '.join(value)}: {error}") from None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the script."""
    given = parse_arguments(arguments)
    check_paths(given.source, given.input, given.measured, given.output)
    for flag, asked in (("--alloys", given.alloys), ("--estimate", given.estimate)):
        if asked and not given.measured:
            raise InputError(f"{flag}: goes with --measured FILE, the list of measured gaps; give both")

    from bandgaps import dataset, sources
    from bandgaps.files import write_json

    filters = sources.Filters(
        _understood("--chemsys", given.chemsys, sources.chemical_systems) if given.chemsys else (),
        given.max_energy_above_hull,
        given.drop_missing,
        _understood("--leave-out", given.leave_out, sources.left_out),
        given.polymorphs == "all",
    )
    train_on = _understood("--train-on", given.train_on, lambda texts: list(map(sources.reduced_formula, texts)))
    measured = [sources.from_file(path, EXPERIMENT) for path in given.measured]
    rows = find_rows(given.source, given, filters)
    for each in measured:
        rows = sources.with_measured(rows, each)
    table, steps = sources.prepare(rows, given.target, filters, given.seed, train_on)
    if given.estimate:
        table = sources.with_estimates(table, measured, filters)
    if given.alloys:
        table, step = sources.with_measured_alloys(table, measured, filters)
        steps.append(step)
    meta = account(rows, measured, table, steps, given)
    dataset.write(table, given.output)
    dataset.write_meta(given.output, {**meta, **provenance()})
    if given.metrics:
        write_json(meta, given.metrics / "table.json")
    rows.discard()
    print_account(meta)
    print(f"wrote {given.output} and {dataset.meta_path(given.output)}\nnext: python composition.py")


if __name__ == "__main__":
    sys.exit(exit_code(main))
