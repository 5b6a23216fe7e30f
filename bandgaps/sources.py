"""Where rows come from: the Materials Project, the bundled sample, a file of the user's own.

Whatever the source, `prepare` makes a table of it that every script can use: filtered, cleaned and split.
"""

from __future__ import annotations

import gzip
import warnings
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from bandgaps import dataset, materials_project, names
from bandgaps.dataset import Step
from bandgaps.errors import InputError
from bandgaps.files import sha256

NO_ID = "row-"  # begins the ids of rows that came without
SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "sample.json.gz"


@dataclass(frozen=True)
class Filters:
    """Which rows to keep.

    Attributes:
        chemsys: chemical systems as the Materials Project writes them, `Ge-Si` or `Si-*`; empty keeps all.
        max_energy_above_hull: eV/atom; None keeps all.
        drop_missing: drop rows without a number in the target column instead of raising an error.
        leave_out: elements, as in `Ge-Si`; drop every material in which all of them are together.
        all_polymorphs: keep every polymorph of a formula, not only the one of lowest energy.
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
        name: what errors call the source: a path, or the Materials Project.
        table: the rows, formulas in pymatgen's spelling.
        database_version: the Materials Project's version, or the file's checksum.
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


# ------------------------------------------------------------------------------------------------------------- sources


def from_materials_project(target: str, filters: Filters, key: str, cache: Path) -> Source:
    """Entries of the Materials Project that have a band-structure calculation; see `materials_project.download`."""
    query = materials_project.Query(target, filters.chemsys, filters.max_energy_above_hull)
    download = materials_project.download(query, key, cache)
    name = "the Materials Project"
    table = _with_reduced_formulas(download.table, name)
    return Source("mp", name, table, download.database_version, download.steps, filtered=True, discard=download.discard)


def from_sample(path: Path = SAMPLE) -> Source:
    """The table that comes with the project: prototype crystals computed for it."""
    return _from_path("sample", path, dataset.read(path), "computed crystals of the sample")


def from_file(path: Path | str, target: str = "band_gap") -> Source:
    """A table in the shared format, or a CSV (`.csv`, `.csv.gz`) with a column `formula`.

    A CSV whose values stand in a column called `target`, as in matbench's files, has them in the column named here.

    Raises:
        InputError: the file is missing, damaged or empty, has no formulas, or has one that pymatgen cannot read.
    """
    path = Path(path)
    is_csv = path.name.endswith((".csv", ".csv.gz"))
    return _from_path("file", path, _read_csv(path, target) if is_csv else dataset.read(path), "rows of the file")


def _from_path(kind: str, path: Path, table: pd.DataFrame, kept: str) -> Source:
    table = _with_ids(_with_reduced_formulas(table.reset_index(drop=True), path))
    return Source(kind, str(path), table, f"sha256:{sha256(path)}", [Step(kept, len(table))])


def _read_csv(path: Path, target: str) -> pd.DataFrame:
    try:
        # The converter keeps NaN, which is sodium nitride, from being read as missing.
        table = pd.read_csv(path, encoding="utf-8-sig", converters={"formula": str}, low_memory=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; name a table or a CSV with --input") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder, not a table; name a file") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged or half-written gzip ({error}); restore it") from None
    except (UnicodeDecodeError, pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: not a CSV in UTF-8 ({error}); its first line names the columns") from None
    dataset.require_columns(table, ["formula"], path)
    if table.empty:
        raise InputError(f"{path}: the table has no rows")
    if target not in table:
        table = table.rename(columns={"target": target})
    return table.drop(columns="structure", errors="ignore")


def with_measured(source: Source, measured: Source) -> Source:
    """Add measured gaps, as the column `band_gap_experiment` (eV).

    A gap given with a material_id belongs to that crystal and no other, one without to the polymorph of lowest
    energy of its formula; of a formula that was measured several times the mean is taken. What an earlier list said of
    a formula that this one has is dropped.

    Args:
        source: the rows; those that nobody measured get NaN.
        measured: rows with the column `band_gap_experiment` or `band_gap`, eV.

    Raises:
        InputError: `measured` has neither column, or a row without a gap of 0 eV or more.
    """
    gaps = _measured_gaps(measured)
    table = source.table
    own = ~measured.table["material_id"].str.startswith(NO_ID)
    of_crystals = gaps[own].groupby(measured.table["material_id"][own]).mean()
    of_formulas = gaps[~own].groupby(measured.table["formula"][~own]).mean()
    values = table["material_id"].map(of_crystals)
    values = values.fillna(table["formula"].map(of_formulas).where(dataset.represents_formula(table)))
    if names.EXPERIMENT in table:
        values = values.fillna(table[names.EXPERIMENT].where(~table["formula"].isin(measured.table["formula"])))
    return replace(source, table=table.assign(**{names.EXPERIMENT: values}))


def _measured_gaps(measured: Source) -> pd.Series:
    """The gaps in a list of measured ones, eV, each checked to be one."""
    column = names.EXPERIMENT if names.EXPERIMENT in measured.table else "band_gap"
    dataset.require_columns(measured.table, [column], measured.name)
    gaps = pd.to_numeric(measured.table[column], errors="coerce")
    bad = np.flatnonzero(~(np.isfinite(gaps) & (gaps >= 0)))
    if bad.size:
        row, formula, found = bad[0], measured.table["formula"].iloc[bad[0]], measured.table[column].tolist()[bad[0]]
        raise InputError(
            f"{measured.name}: row {row} ({formula}): {found!r} in column {column} is no gap in eV; "
            "correct or remove the row"
        )
    return gaps


def with_measured_alloys(
    table: pd.DataFrame, measured: Collection[Source], filters: Filters
) -> tuple[pd.DataFrame, Step]:
    """Add the alloys in lists of measured gaps that `measured_alloys.rows` finds, but none that is to be left out."""
    from bandgaps import measured_alloys

    formulas, gaps = together(measured, filters)
    alloys = measured_alloys.rows(table, formulas, gaps)
    table = pd.concat([table, alloys], ignore_index=True)
    return table, Step("with measured alloys", len(table))


def with_estimates(table: pd.DataFrame, measured: Collection[Source], filters: Filters) -> pd.DataFrame:
    """Add what `estimates.column` makes of lists of measured gaps, without the formulas that are to be left out.

    Raises:
        InputError: a list has no gaps, or the table has no PBE gaps.
    """
    from bandgaps import estimates

    dataset.require_columns(table, ["band_gap"], "the table, for --estimate")
    return table.assign(**{names.ESTIMATE: estimates.column(table, *together(measured, filters))})


def together(measured: Collection[Source], filters: Filters) -> tuple[pd.Series, pd.Series]:
    """Formulas and gaps (eV) of several lists; what a later one says of a formula replaces what earlier ones say."""
    lists = [
        pd.DataFrame({"formula": each.table["formula"], "gap": _measured_gaps(each), "list": number})
        for number, each in enumerate(measured)
    ]
    joined = pd.concat(lists)
    left_out = [any(has_together(formula, system) for system in filters.leave_out) for formula in joined["formula"]]
    last = joined["list"] == joined.groupby("formula")["list"].transform("max")
    joined = joined[last & ~np.array(left_out, dtype=bool)].reset_index(drop=True)
    return joined["formula"], joined["gap"]


# ------------------------------------------------------------------------------------------------- formulas, elements


def _with_reduced_formulas(table: pd.DataFrame, name: Path | str) -> pd.DataFrame:
    def spelled(row: int, formula: object) -> str:
        try:
            return reduced_formula(formula)
        except ValueError as error:
            raise InputError(f"{name}: row {row}: formula {formula!r}: {error}; correct or remove the row") from None

    return table.assign(formula=[spelled(row, formula) for row, formula in enumerate(table["formula"])])


def _with_ids(table: pd.DataFrame) -> pd.DataFrame:
    given = table["material_id"] if "material_id" in table else pd.Series([None] * len(table))
    ids = [f"{NO_ID}{row}" if pd.isna(value) else str(value) for row, value in enumerate(given)]
    rest = table.drop(columns="material_id", errors="ignore")
    rest.insert(0, "material_id", ids)
    return rest


def reduced_formula(formula: object) -> str:
    """A formula as pymatgen spells it, reduced: `Ge2Si2` is `SiGe`.

    Raises:
        ValueError: it cannot be read, or names what is no element.
    """
    return _parsed(formula)[0]


@cache
def _parsed(formula: object) -> tuple[str, frozenset[str]]:
    """Reduced formula and elements."""
    from pymatgen.core import Composition, Element

    if not isinstance(formula, str):
        raise ValueError("not a formula")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # helium has no electronegativity
        try:
            composition = Composition(formula)
            spelling = composition.reduced_formula
        except (ValueError, ArithmeticError, KeyError, TypeError) as error:
            raise ValueError(f"not a formula ({error})") from None
    unknown = [str(part) for part in composition if not isinstance(part, Element)]
    if unknown or not spelling:
        raise ValueError(f"{', '.join(unknown)}: no such element" if unknown else "no atoms")
    return spelling, frozenset(element.symbol for element in composition)


def chemical_systems(text: str) -> tuple[str, ...]:
    """Chemical systems from a comma-separated list, elements in alphabetical order: `Si-Ge,Si` is `Ge-Si`, `Si`.

    As at the Materials Project, a system means exactly its elements, and `*` stands for one more element of any kind,
    in a system that is the only one.

    Raises:
        ValueError: an element does not exist or is named twice, or `*` stands in a list.
    """
    from pymatgen.core import Element

    systems = []
    for system in text.split(","):
        parts = [part.strip() for part in system.split("-")]
        named = [part for part in parts if part != "*"]
        unknown = [part for part in named if not Element.is_valid_symbol(part)]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no element; write Si-Ge, Si-* or Si-Ge,Si,Ge")
        if len(set(named)) < len(named):
            raise ValueError(f"{system.strip()} names an element twice")
        systems.append("-".join(sorted(named) + ["*"] * (len(parts) - len(named))))
    if len(systems) > 1 and "*" in text:
        raise ValueError("the Materials Project takes * in a single system only")
    return tuple(dict.fromkeys(systems))


def left_out(texts: Collection[str]) -> tuple[str, ...]:
    """What `Filters.leave_out` takes, from texts such as `Si-Ge`.

    Raises:
        ValueError: as `chemical_systems`, or there is a `*`.
    """
    if any("*" in text for text in texts):
        raise ValueError("name the elements; * is none")
    return tuple(dict.fromkeys(system for text in texts for system in chemical_systems(text)))


def has_together(formula: str, system: str) -> bool:
    """Whether a formula has all elements of a system, and maybe others."""
    return _parsed(formula)[1] >= set(system.split("-"))


def in_system(formula: str, system: str) -> bool:
    """Whether a formula has exactly the elements of a system, each `*` standing for one more."""
    elements, parts = _parsed(formula)[1], system.split("-")
    return len(elements) == len(parts) and elements >= set(parts) - {"*"}


# ------------------------------------------------------------------------------------------------------------- prepare


def prepare(
    source: Source, target: str, filters: Filters, seed: int, train_on: Collection[str] = ()
) -> tuple[pd.DataFrame, list[Step]]:
    """Filter, clean and split by formula; the reduced formulas `train_on` are for training, whatever the seed.

    Returns:
        The table, with a column `split`, and the steps with the number of rows after each.

    Raises:
        InputError: a column that is asked for is missing, a row has no target, or no row is left.
    """
    table, steps = source.table, list(source.steps)
    if not source.filtered:
        table, filtering = _filter(table, filters, source.name)
        steps += filtering
    table, leaving_out = _leave_out(table, filters.leave_out)
    steps += leaving_out
    table, with_target = _with_target(table, target, filters, source.name)
    steps.append(with_target)
    if len(table):
        table, cleaning = dataset.clean(table, target, filters.all_polymorphs)
        steps += cleaning
    empty = next((step for step in steps if not step.rows), None)
    if empty:
        raise InputError(f"{source.name}: no rows are left after the step {empty.kept!r}; widen the filters")
    parts = dataset.split_formulas(table, dataset.is_metal(table, target), seed, train_on)
    return table.assign(split=parts), steps


def _filter(table: pd.DataFrame, filters: Filters, name: str) -> tuple[pd.DataFrame, list[Step]]:
    steps = []
    if filters.chemsys:
        kept = [any(in_system(formula, system) for system in filters.chemsys) for formula in table["formula"]]
        table = table[kept].reset_index(drop=True)
        steps.append(Step(f"chemical system {', '.join(filters.chemsys)}", len(table)))
    if filters.max_energy_above_hull is not None:
        if "energy_above_hull" not in table:
            raise InputError(
                f"{name}: no column energy_above_hull for --max-energy-above-hull; leave that out or use --source mp"
            )
        energy = pd.to_numeric(table["energy_above_hull"], errors="coerce")
        table = table[energy <= filters.max_energy_above_hull].reset_index(drop=True)
        steps.append(Step(f"at most {filters.max_energy_above_hull:g} eV/atom above the hull", len(table)))
    return table, steps


def _leave_out(table: pd.DataFrame, systems: Collection[str]) -> tuple[pd.DataFrame, list[Step]]:
    steps = []
    for system in systems:
        kept = np.array([not has_together(formula, system) for formula in table["formula"]], dtype=bool)
        table = table[kept].reset_index(drop=True)
        elements = system.split("-")
        steps.append(Step(f"without {' and '.join(elements)}{' together' * (len(elements) > 1)}", len(table)))
    return table, steps


def _with_target(table: pd.DataFrame, target: str, filters: Filters, name: str) -> tuple[pd.DataFrame, Step]:
    dataset.require_columns(table, [target], name)
    if filters.drop_missing:
        values = pd.to_numeric(table[target], errors="coerce").to_numpy(dtype=float)
        table = table[np.isfinite(values)].reset_index(drop=True)
    table = table.assign(**{target: dataset.target_values(table, target, name)})
    if "band_gap" in table:  # tells metals from non-metals whatever the target
        table["band_gap"] = pd.to_numeric(table["band_gap"], errors="coerce")
    return table, Step(f"with a number in {target}", len(table))
