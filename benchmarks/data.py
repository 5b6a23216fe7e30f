"""The table that is measured on: one that is given, or the bundled sample made as long as tables of research are.

Mere copies would flatter what works once on all that is equal: compression, caches, merged bonds. The sample's cells of
one to four atoms would, too. So each row is a supercell of a crystal of the sample, strained at random, with another
origin, and with elements that have changed places within their columns of the periodic table. Some atoms are replaced
by others of their column, and in some rows all are displaced, so that a crystal has about three bonds of a kind, as
those of the Materials Project have.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Element

from bandgaps.elements import SYMBOLS
from bandgaps.errors import InputError
from bandgaps.table import cleaning, columns, storage
from bandgaps.table.records import Record

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample" / "sample.json.gz"
ROWS = 20_000
FEWEST = 200  # rows to measure on
TIMES = (1, 2, 3, 3)  # cells along a lattice vector of a supercell: 25 atoms on average, as in the Materials Project
REPLACED = 0.01  # part of the atoms
DISPLACED = 0.12  # part of the rows
DISPLACEMENT = 0.05  # Å, standard deviation along each axis
STRAIN = 0.03  # of each component, at most
STABLE = cleaning.ISOLATION_CUTOFF / (1 + 3 * STRAIN)  # Å; neighbours so near stay neighbours under strain
_KNOWN = pd.Series(SYMBOLS[:83])
COLUMNS = _KNOWN.groupby([Element(symbol).group for symbol in _KNOWN]).agg(list).tolist()
COLUMN_OF = {symbol: column for column in COLUMNS for symbol in column}


@dataclass(frozen=True)
class Table:
    """A table to measure on.

    Attributes:
        path: of the file.
        name: what a sentence calls it.
    """

    path: Path
    name: str


@contextmanager
def opened(path: Path | None = None, rows: int = ROWS) -> Iterator[Table]:
    """The table at `path`; without one, the sample repeated to so many rows, in a file that is removed in the end.

    Raises:
        InputError: there is no such file, it lacks structures, or gaps in some rows, or rows are too few.
    """
    if path is not None:
        yield _given(path)
        return
    if rows < FEWEST:
        raise InputError(f"--rows {rows}: too few to measure on; give {FEWEST} or more")
    with tempfile.TemporaryDirectory() as folder:
        yield _sample(rows, Path(folder) / "table.json.gz")


def _given(path: Path) -> Table:
    records = storage.read_records(path)
    columns.require_columns(records, ["structure"], path)
    columns.target_values(records, "band_gap", path)
    if len(records) < FEWEST:
        raise InputError(f"{path}: {len(records)} rows are too few to measure on; give a table of {FEWEST} or more")
    return Table(path, f"{path.name} ({len(records):,} crystals)")


def _sample(rows: int, path: Path) -> Table:
    sample = connected(storage.read_records(SAMPLE))
    records = repeated(sample, rows)
    storage.write(records, path)
    atoms = np.mean([len(record["sites"]) for record in records["structure"]])
    return Table(
        path,
        f"the bundled sample ({len(sample)} crystals) repeated to {rows:,} rows, each a strained supercell "
        f"({atoms:.0f} atoms on average) with other elements of the same columns of the periodic table",
    )


def connected(records: pd.DataFrame, cutoff: float = STABLE) -> pd.DataFrame:
    """The rows whose atoms all have a neighbour within the cutoff, Å."""
    return records[~cleaning.with_isolated_atoms(records["structure"].tolist(), cutoff)]


def repeated(records: pd.DataFrame, rows: int) -> pd.DataFrame:
    """So many supercells, all of them varied."""
    generator = np.random.default_rng(0)
    chosen = records.iloc[np.arange(rows) % len(records)]
    return _with(chosen, [varied(enlarged(record, generator), generator) for record in chosen["structure"]])


def grown(records: pd.DataFrame, rows: int) -> pd.DataFrame:
    """So many rows: those of the table in random order, then varied copies of them, as symmetric as they are."""
    generator = np.random.default_rng(0)
    order = np.resize(generator.permutation(len(records)), rows)
    own, more = records.iloc[order[: len(records)]], records.iloc[order[len(records) :]]
    copies = _with(more, [varied(record, generator, symmetric=True) for record in more["structure"]])
    return pd.concat([own, copies], ignore_index=True)


def enlarged(record: Record, generator: np.random.Generator) -> Record:
    """A supercell in which some atoms are replaced and, in a part of the calls, all are displaced."""
    times = generator.choice(TIMES, 3)
    shifts = np.array(list(np.ndindex(*times)))
    own = np.array([site["abc"] for site in record["sites"]])
    places = ((own[:, None] + shifts) / times).reshape(-1, 3)
    symbols = [site["species"][0]["element"] for site in record["sites"] for _ in shifts]
    for k in np.flatnonzero(generator.random(len(symbols)) < REPLACED):
        symbols[k] = str(generator.choice(COLUMN_OF[symbols[k]]))
    matrix = np.array(record["lattice"]["matrix"]) * times[:, None]
    if generator.random() < DISPLACED:
        places += generator.normal(0, DISPLACEMENT, places.shape) @ np.linalg.inv(matrix)
    return _record(matrix, [[{"element": symbol, "occu": 1}] for symbol in symbols], places)


def varied(record: Record, generator: np.random.Generator, symmetric: bool = False) -> Record:
    """The same crystal strained, with another origin, and with elements that changed places within their columns.

    Args:
        record: the crystal.
        generator: of all that is random.
        symmetric: whether the strain is the same in all directions, which keeps the symmetry.
    """
    other: dict[str, str] = {}
    for column in COLUMNS:
        other |= dict(zip(column, generator.permutation(column).tolist(), strict=True))
    if symmetric:
        strain = np.eye(3) * (1 + generator.uniform(-STRAIN, STRAIN))
    else:
        strain = np.eye(3) + generator.uniform(-STRAIN, STRAIN, (3, 3))
    places = np.array([site["abc"] for site in record["sites"]]) + generator.random(3)
    species = [
        [{**one, "element": other.get(one["element"], one["element"])} for one in site["species"]]
        for site in record["sites"]
    ]
    return _record(np.array(record["lattice"]["matrix"]) @ strain, species, places % 1)


def _record(matrix: np.ndarray, species: list[list[dict[str, Any]]], places: np.ndarray) -> Record:
    """The dictionary of a crystal, with Cartesian coordinates too, as tables of matminer's have it.

    Args:
        matrix: lattice vectors as rows, Å.
        species: what is on each site.
        places: fractional coordinates of the sites, shape (sites, 3).
    """
    sites = [
        {"species": one, "abc": abc, "properties": {}, "label": one[0]["element"], "xyz": xyz}
        for one, abc, xyz in zip(species, places.tolist(), (places @ matrix).tolist(), strict=True)
    ]
    head = {"@module": "pymatgen.core.structure", "@class": "Structure", "charge": 0, "properties": {}}
    return {**head, "lattice": {"matrix": matrix.tolist()}, "sites": sites}


def _with(rows: pd.DataFrame, structures: list[Record]) -> pd.DataFrame:
    """The rows with other structures, and the formulas of these."""
    return rows.assign(structure=structures, formula=list(map(_formula, structures))).reset_index(drop=True)


def _formula(record: Record) -> str:
    """The reduced formula of whole numbers of atoms, of shares as they are."""
    counts: Counter[str] = Counter()
    for site in record["sites"]:
        for one in site["species"]:
            counts[one["element"]] += one["occu"]
    whole = all(count == int(count) for count in counts.values())
    divisor = gcd(*map(int, counts.values())) if whole else 1
    return "".join(f"{symbol}{count / divisor:g}" for symbol, count in counts.items())
