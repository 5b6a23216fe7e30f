"""Crystals in, gaps out: from structure files, folders of them, and tables of any length, in bounded memory."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bandgaps.errors import LINE, InputError, shortened
from bandgaps.files import sha256
from bandgaps.formulas import composition_keys
from bandgaps.intervals import SHARES
from bandgaps.resumable import ResumableCsv
from bandgaps.structure import ensemble, neighbors
from bandgaps.structure.ensemble import Model
from bandgaps.structure.graphs import Graphs, merged
from bandgaps.table import json_lines, storage

if TYPE_CHECKING:
    from bandgaps.structure.neighbors import Crystal

CHUNK = 500  # crystals that are asked about at once
LINES_AT_ONCE = 200  # of JSON Lines that are read at once
IN_FOLDERS = ("*.cif", "*.vasp", "*.xsf", "POSCAR*", "CONTCAR*")  # names of structure files in folders
TABLES = (".json", ".json.gz", *json_lines.SUFFIXES)
ENDS = [f"band_gap_{side}_{share:.0%}".rstrip("%") for share in SHARES for side in ("low", "high")]


@dataclass(frozen=True)
class Asked:
    """A crystal to predict.

    Attributes:
        name: of its file, or its id in a table.
        crystal: the crystal; None where it could not be read.
        error: what was wrong then.
    """

    name: str
    crystal: Crystal | None
    error: str = ""


def to_screen(model: Model, items: Sequence[Path], fidelity: str | None = None) -> tuple[int, int]:
    """Print the predictions for all crystals under one heading, and an error for each that has none.

    Returns:
        How many crystals were predicted, and how many could not be.

    Raises:
        InputError: as `predict`.
    """
    rows = wrong = 0

    def show(table: pd.DataFrame | None, inputs: int, errors: list[str]) -> None:
        nonlocal rows, wrong
        if table is not None:
            print(formatted(table, header=not rows), flush=True)
        _tell(errors)
        rows, wrong = rows + inputs - len(errors), wrong + len(errors)

    predict(model, items, show, fidelity)
    return rows, wrong


def to_csv(model: Model, name: str, items: Sequence[Path], path: Path, fidelity: str | None = None) -> tuple[int, int]:
    """Write the predictions for all crystals as a CSV, and go on with one that was cut off.

    Args:
        model: a model of structures.
        name: what to call it.
        items: structure files, folders of them, or tables.
        path: the CSV.
        fidelity: as for `predict`.

    Returns:
        As `to_screen`.

    Raises:
        InputError: as `predict`.
    """
    files = [sha256(item) if item.is_file() else "" for item in items]
    with ResumableCsv(
        path, " ".join([*map(str, items), *files, name, str(model.card.get("date")), str(fidelity)])
    ) as csv:

        def add(table: pd.DataFrame | None, inputs: int, errors: list[str]) -> None:
            _tell(errors)
            csv.add(table, inputs, len(errors))
            print(f"{csv.done:,} crystals", file=sys.stderr, flush=True)

        predict(model, items, add, fidelity, csv.done)
    print(f"wrote {path}: {csv.rows:,} crystals" if csv.rows else f"{path}: not written, for it would be empty")
    return csv.rows, csv.wrong


def _tell(errors: Sequence[str]) -> None:
    """Print what cannot be predicted, a line each."""
    for error in errors:
        print(f"error: {shortened(' '.join(error.split()), LINE)}", file=sys.stderr)


def predict(
    model: Model,
    items: Sequence[Path],
    rows: Callable[[pd.DataFrame | None, int, list[str]], None],
    fidelity: str | None = None,
    skip: int = 0,
) -> None:
    """Hand the predictions for all crystals to `rows`, a chunk at a time.

    Args:
        model: a model of structures.
        items: structure files, folders of them, or tables.
        rows: takes the table of `answered` (None where no crystal of a chunk can be predicted), the number of crystals
            that it answers, and an error for each that it does not.
        fidelity: of the gaps; by default that of measurement where the model knows it, else its first.
        skip: how many crystals need not be predicted.

    Raises:
        InputError: a table cannot be read, or the model does not know the fidelity.
    """
    every = islice(asked(items), skip, None)
    while chunk := list(islice(every, CHUNK)):
        table, errors = answered(model, chunk, fidelity)
        rows(table, len(chunk), errors)


def asked(items: Sequence[Path]) -> Iterator[Asked]:
    """Every crystal in files, folders and tables, in order.

    Raises:
        InputError: a table cannot be read, a folder has no structure files.
    """
    for item in items:
        if item.is_dir():
            files = sorted({file for pattern in IN_FOLDERS for file in item.rglob(pattern)})
            if not files:
                raise InputError(f"{item}: no structure files in this folder ({', '.join(IN_FOLDERS)})")
            yield from map(_of_file, files)
        elif item.name.endswith(TABLES):
            yield from _of_table(item)
        else:
            yield _of_file(item)


def _of_file(path: Path) -> Asked:
    try:
        return Asked(str(path), read_structure(path))
    except InputError as error:
        return Asked(str(path), None, str(error))


def _of_table(path: Path) -> Iterator[Asked]:
    for table in _tables(path):
        if "structure" not in table:
            raise InputError(f"{path}: no column structure; it has {', '.join(map(str, table))}")
        ids = table.get("material_id", table.index)
        for name, crystal in zip(map(str, ids), table["structure"], strict=True):
            yield Asked(name, crystal)


def _tables(path: Path) -> Iterator[pd.DataFrame]:
    """A table in parts, as far as its format has parts."""
    if not path.name.endswith(json_lines.SUFFIXES):
        yield storage.read_records(path)
        return
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            first = 1
            while lines := list(islice(file, LINES_AT_ONCE)):
                yield json_lines.table(lines, path, first)
                first += len(lines)
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read ({error}); restore it or name another table") from None


def read_structure(path: Path) -> Any:
    """Read a structure in any format that pymatgen knows.

    Raises:
        InputError: there is no such file, or pymatgen cannot read it.
    """
    from pymatgen.core import Structure

    try:
        return Structure.from_file(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # each format's parser raises what it likes
        found = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a structure that pymatgen reads ({found}); give a CIF or POSCAR file") from None


def answered(model: Model, chunk: Sequence[Asked], fidelity: str | None) -> tuple[pd.DataFrame | None, list[str]]:
    """What a model says of some crystals, and an error for each that it cannot predict.

    Returns:
        Columns name, formula, the gap, its standard deviation, the ends of both intervals (eV), the PBE gap where the
        model knows it beside a measured one (eV), and in_training: `measured`, `calculated` or `no`.
    """
    readable = [each for each in chunk if each.crystal is not None]
    built, faults = neighbors.build_all(
        [each.crystal for each in readable if each.crystal], model.hyperparameters.cutoff
    )
    faults = {**ensemble.unknown_elements(built, model.hyperparameters), **faults}
    names = [each.name for each in readable]
    wrong = {each.name: each.error for each in chunk if each.crystal is None}
    wrong |= {names[row]: fault.named(row, names) for row, fault in faults.items()}
    good = np.setdiff1d(np.arange(len(readable)), list(faults))
    errors = [wrong[each.name] for each in chunk if each.name in wrong]
    if not len(good):
        return None, errors
    formulas = [_formula(readable[row].crystal) for row in good.tolist()]
    table = pd.DataFrame({"name": [names[row] for row in good.tolist()], "formula": formulas})
    gaps = gaps_of(model, built.select(good), fidelity)
    return table.assign(**gaps, in_training=in_training(model, formulas)), errors


def gaps_of(model: Model, graphs: Graphs, fidelity: str | None) -> dict[str, np.ndarray]:
    """The columns of gaps (eV) that `answered` gives."""
    if model.measured is None or fidelity not in (None, "experiment"):
        gap, std = model.predict(graphs, fidelity)
        wide = model.calibration(fidelity).wide
        least = -np.inf if model.lowest is None else model.lowest
        ends = [np.maximum(gap + sign * factor * std, least) for factor in (1, wide) for sign in (-1, 1)]
        return {"band_gap": gap, "band_gap_std": std, **dict(zip(ENDS, ends, strict=True))}
    graphs = merged(graphs)
    calculated = model.calculated(graphs)
    found = model.measured_from(graphs, calculated)
    bounds = model.measured.intervals.bounds(found)
    (low, high), ends = bounds[0], [end for pair in bounds for end in pair]
    own = {"band_gap": found.median, "band_gap_std": (high - low) / 2, **dict(zip(ENDS, ends, strict=True))}
    return {**own, "band_gap_pbe": np.maximum(calculated[:, 0], 0.0)}


def in_training(model: Model, formulas: Sequence[str]) -> np.ndarray:
    """Whether a gap of each composition was `measured` or `calculated` in training, or neither (`no`)."""
    seen = np.where(model.has_seen(formulas), "calculated", "no")
    if model.measured is None:
        return seen
    return np.where(np.isin(composition_keys(formulas), model.measured.composition), "measured", seen)


def _formula(crystal: Any) -> str:
    """The reduced formula of a structure, or of the dictionary of one."""
    from pymatgen.core import Composition

    if not isinstance(crystal, dict):
        return str(crystal.composition.reduced_formula)
    atoms: dict[str, float] = {}
    for site in crystal["sites"]:
        for part in site["species"]:
            atoms[part["element"]] = atoms.get(part["element"], 0.0) + part["occu"]
    return str(Composition(atoms).reduced_formula)


def formatted(table: pd.DataFrame, header: bool) -> str:
    """Predictions as text, eV, a line a crystal."""
    width, formulas = (max(12, int(table[column].str.len().max())) for column in ("name", "formula"))
    columns = [
        "gap",
        "68 % interval",
        "95 % interval",
        *(["PBE gap"] if "band_gap_pbe" in table else []),
        "in training",
    ]
    lines = [f"{'crystal':<{width}}  {'formula':<{formulas}} " + " ".join(f"{name:>14}" for name in columns)]
    for row in table.to_dict("records"):
        cells = [f"{row['band_gap']:.2f} ± {row['band_gap_std']:.2f}"]
        cells += [f"{row[low]:.2f} – {row[high]:.2f}" for low, high in (ENDS[:2], ENDS[2:])]
        cells += [f"{row['band_gap_pbe']:.2f}"] if "band_gap_pbe" in table else []
        shown = " ".join(f"{cell:>14}" for cell in [*cells, row["in_training"]])
        lines.append(f"{row['name']:<{width}}  {row['formula']:<{formulas}} {shown}")
    return "\n".join(lines if header else lines[1:])
