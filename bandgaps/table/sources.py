"""Where rows come from: the Materials Project, the bundled sample, or files of the user's own."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from bandgaps.errors import InputError, shortened
from bandgaps.files import DATA, sha256
from bandgaps.formulas import reduced_formula
from bandgaps.levels import EXPERIMENT
from bandgaps.table import columns, download, materials_project, storage
from bandgaps.table.account import Step

NO_ID = "row-"  # begins the ids of rows that came without
SAMPLE = DATA / "sample" / "sample.json.gz"


@dataclass(frozen=True)
class Filters:
    """Which rows to keep.

    Attributes:
        chemsys: chemical systems as the Materials Project writes them, `Ge-Si` or `Si-*`; empty keeps all.
        max_energy_above_hull: eV/atom; None keeps all.
        drop_missing: drop rows without a number in the target column instead of raising an error.
        leave_out: elements, as in `Ge-Si`; drop every material in which all of them are together.
        all_polymorphs: keep every polymorph of a composition, not only the one of lowest energy.
    """

    chemsys: tuple[str, ...] = ()
    max_energy_above_hull: float | None = None
    drop_missing: bool = False
    leave_out: tuple[str, ...] = ()
    all_polymorphs: bool = False


@dataclass(frozen=True)
class Source:
    """Rows as they came.

    Attributes:
        kind: `mp`, `sample` or `file`.
        name: what errors call the source: its paths, or the Materials Project.
        table: the rows, formulas in pymatgen's spelling, structures as dictionaries (`records.compact`).
        database_version: the Materials Project's version, or the files' checksums.
        steps: what was counted so far.
        filtered: whether the source has chosen chemical systems and energies above the hull itself.
        discard: deletes what a download left on disk; to be called once the table is written.
    """

    kind: str
    name: str
    table: pd.DataFrame
    database_version: str
    steps: list[Step]
    filtered: bool = False
    discard: Callable[[], None] = field(default=lambda: None)


def from_materials_project(target: str, filters: Filters, key: str, cache: Path) -> Source:
    """Entries of the Materials Project that have a band-structure calculation; see `download.download`."""
    query = materials_project.Query(target, filters.chemsys, filters.max_energy_above_hull)
    fetched = download.download(query, key, cache)
    name = "the Materials Project"
    table = _with_reduced_formulas(fetched.table, name)
    return Source("mp", name, table, fetched.database_version, fetched.steps, filtered=True, discard=fetched.discard)


def from_sample(path: Path = SAMPLE) -> Source:
    """The table that comes with the project: prototype crystals computed for it."""
    return _from_path("sample", path, storage.read_compact(path), "computed crystals of the sample")


def from_file(path: Path | str, target: str = "band_gap") -> Source:
    """A table in the shared format, or a CSV (`.csv`, `.csv.gz`) with a column `formula`.

    Args:
        path: the file.
        target: name of the column that matters. In a CSV it may be called `target`, as in matbench's files; measured
            gaps (`band_gap_experiment`) may be called `band_gap` as well.

    Raises:
        InputError: the file is missing, damaged or empty, has no formulas, or has one that pymatgen cannot read.
    """
    path = Path(path)
    is_csv = path.name.endswith((".csv", ".csv.gz"))
    table = _read_csv(path, target) if is_csv else storage.read_compact(path)
    return _from_path("file", path, table, "rows of the file")


def from_files(paths: Sequence[Path | str], target: str = "band_gap") -> Source:
    """Files as `from_file` reads them, as one; what a later one has of a composition replaces what earlier ones have.

    Raises:
        InputError: as `from_file`; or one of several files lacks the target, or some have structures and some not.
    """
    files = [from_file(path, target) for path in paths]
    if len(files) == 1:
        return files[0]
    for each in files:
        columns.require_columns(each.table, [target], each.name)
        if ("structure" in each.table) != ("structure" in files[0].table):
            raise InputError(f"{files[0].name}, {each.name}: only one has structures; join files of one kind")
    table = _with_ids(latest([each.table for each in files]))
    steps = [
        Step(f"rows of {len(files)} files", sum(len(each.table) for each in files)),
        Step("rows of compositions that no later file has", len(table)),
    ]
    names, versions = [each.name for each in files], [each.database_version for each in files]
    return Source("file", ", ".join(names), table, ", ".join(versions), steps)


def with_column(table: pd.DataFrame, path: Path | str, name: str) -> pd.DataFrame:
    """Add a column of numbers of another table, by `material_id`; rows that it does not have get NaN.

    Args:
        table: the rows.
        path: the other table, as `from_file` reads it.
        name: of the column.

    Raises:
        InputError: as `from_file`; or the other table lacks the column.
    """
    other = storage.read(path, structures=False)
    columns.require_columns(other, ["material_id", name], path)
    by_id = other.drop_duplicates("material_id").set_index("material_id")
    return table.assign(**{name: table["material_id"].map(pd.to_numeric(by_id[name], errors="coerce"))})


def latest(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Several tables as one; what a later one has of a composition replaces what earlier ones have.

    Raises:
        InputError: a formula cannot be read.
    """
    joined = pd.concat(tables, ignore_index=True)
    number = pd.Series(np.repeat(np.arange(len(tables)), [len(table) for table in tables]))
    last = number.groupby(columns.keys(joined)).transform("max")
    return joined[number == last].reset_index(drop=True)


@storage.no_garbage_collection()
def _from_path(kind: str, path: Path, table: pd.DataFrame, kept: str) -> Source:
    table = _with_ids(_with_reduced_formulas(table.reset_index(drop=True), path))
    return Source(kind, str(path), table, f"sha256:{sha256(path)}", [Step(kept, len(table))])


def _read_csv(path: Path, target: str) -> pd.DataFrame:
    text = storage.decompressed(path)
    if b"\0" in text:
        line = text[: text.index(b"\0")].count(b"\n") + 1
        raise InputError(f"{path}: line {line} has a NUL byte; correct or remove the line")
    read = partial(pd.read_csv, encoding="utf-8-sig", low_memory=False)
    try:
        # pandas would give the second of two columns with one name another.
        columns.check_names(read(io.BytesIO(text), header=None, nrows=1, dtype=str).iloc[0].dropna(), path)
        # The converter keeps NaN, which is sodium nitride, from being read as missing.
        table = read(io.BytesIO(text), converters={"formula": str})
    except (UnicodeDecodeError, pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: not a CSV in UTF-8 ({shortened(error)}); its first line names the columns") from None
    columns.check(table, path)
    if target not in table:
        aliases = ("target", "band_gap") if target == EXPERIMENT else ("target",)
        given = next((name for name in aliases if name in table), target)
        table = table.rename(columns={given: target})
    return table.drop(columns="structure", errors="ignore")


def _with_reduced_formulas(table: pd.DataFrame, name: Path | str) -> pd.DataFrame:
    return table.assign(formula=columns.of_formulas(reduced_formula, table, name))


def _with_ids(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `material_id` as its first column; rows without an id of their source get their number."""
    given = table["material_id"] if "material_id" in table else pd.Series([None] * len(table))
    has_own = [not pd.isna(value) and not str(value).startswith(NO_ID) for value in given]
    ids = [str(value) if own else f"{NO_ID}{row}" for row, (value, own) in enumerate(zip(given, has_own, strict=True))]
    rest = table.drop(columns="material_id", errors="ignore")
    rest.insert(0, "material_id", ids)
    return rest
