"""The shared table: its columns, reading, writing, cleaning and splitting.

The table is a pandas DataFrame with one row a material:

| column | meaning |
|---|---|
| `material_id` | `mp-149`, or the source's own id |
| `formula` | reduced formula in pymatgen's spelling |
| `structure` | pymatgen Structure (absent where only compositions are known) |
| `energy_above_hull`, `formation_energy_per_atom` or `energy_per_atom` | eV/atom; picks the lowest-energy polymorph |
| `band_gap` | eV; 0 is a metal. Other numeric columns can be targets as well |
| `band_gap_gllbsc`, `band_gap_hse`, `band_gap_experiment` | eV, at other levels of theory and measured; often missing |
| `band_gap_experiment_estimate` | eV, guessed from the composition of a training row that nobody has measured |
| `split` | `train`, `validation` or `test` |

On disk it has the format of `matminer.utils.io.store_dataframe_as_json` (orient "split"), gzipped.
"""

from __future__ import annotations

import gc
import gzip
import re
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pandas as pd

from bandgaps.errors import InputError
from bandgaps.files import read_json, replacing, sha256, write_json

if TYPE_CHECKING:
    from pymatgen.core import Structure

ENERGIES = ("energy_above_hull", "formation_energy_per_atom", "energy_per_atom")
PARTS = ("train", "validation", "test")
ISOLATION_CUTOFF = 4.0  # Å
TEST_FRACTION = 0.2
VALIDATION_FRACTION = 0.1  # of what is not test

_NOT_JSON = {word: re.compile(word + rb"(?=[,\]} ])") for word in (b"-Infinity", b"Infinity", b"NaN")}


@dataclass(frozen=True)
class Step:
    """One step of cleaning: what it kept, and how many rows were left after it."""

    kept: str
    rows: int


# ---------------------------------------------------------------------------------------------------- reading, writing


def read(path: Path | str, structures: bool = True) -> pd.DataFrame:
    """Read a table.

    Args:
        path: a file in the shared format, gzipped or not.
        structures: whether to build pymatgen Structures; without, which is much faster, the column `structure` is left
            out, and other objects are None.

    Raises:
        InputError: the file is missing, damaged, empty or not in the shared format.
    """
    if not structures:
        text = _decompress(Path(path))
        try:
            table = _table(_without_objects(text), path)
        except InputError:  # damaged, or with braces in names: the whole text tells which
            table = _table(text, path)
        return table.drop(columns="structure", errors="ignore")
    table = read_records(path)
    if "structure" in table:
        with no_garbage_collection():
            table["structure"] = [_structure(record, path, row) for row, record in enumerate(table["structure"])]
    return table


def read_records(path: Path | str) -> pd.DataFrame:
    """Read a table, its structures left as the dictionaries that `bandgaps.records` turns into Structures.

    Raises:
        InputError: as `read`, but for what is wrong with a structure.
    """
    return _table(_decompress(Path(path)), path)


def _table(text: bytes, path: Path | str) -> pd.DataFrame:
    content = _parse(text, path)
    try:
        table = pd.DataFrame(content["data"], columns=content["columns"], index=content["index"])
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise InputError(f"{path}: not a table in the shared format ({error}); write it with query.py") from None
    require_columns(table, ["formula"], path)
    if table.empty:
        raise InputError(f"{path}: the table has no rows; query again with wider filters")
    empty = table.columns[table.isna().all()]
    return table.astype(dict.fromkeys(empty, float))  # no number is a missing number, also where there is no other


def write(table: pd.DataFrame, path: Path | str) -> None:
    """Write a table, atomically; equal tables give equal bytes.

    Raises:
        OSError: the folder cannot be written to or is full; a table already at `path` stays.
    """
    content = {
        "index": table.index.tolist(),
        "columns": table.columns.tolist(),
        "data": list(zip(*(table[column].tolist() for column in table), strict=True)),
    }
    with no_garbage_collection():
        text = orjson.dumps(content, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
    if Path(path).suffix == ".gz":
        text = gzip.compress(text, compresslevel=6, mtime=0)
    with replacing(path) as temporary:
        temporary.write_bytes(text)


def meta_path(path: Path | str) -> Path:
    """Where the account of a table lies: `data/bandgaps.json.gz` has `data/bandgaps.meta.json`."""
    path = Path(path)
    return path.with_name(stem(path) + ".meta.json")


def stem(path: Path | str) -> str:
    """File name of a table without its suffixes."""
    return re.sub(r"\.(json|csv)(\.gz)?$", "", Path(path).name)


def write_meta(path: Path | str, meta: dict[str, Any]) -> None:
    """Write the account of the table at `path` (source, filters, counts, date), with its checksum, beside it."""
    write_json({**meta, "sha256": sha256(path)}, meta_path(path))


def read_meta(path: Path | str) -> dict[str, Any]:
    """The account of the table at `path`; empty where there is none or where it belongs to other contents."""
    beside = meta_path(path)
    if not beside.exists() or not Path(path).exists():
        return {}
    meta = read_json(beside)
    return meta if isinstance(meta, dict) and meta.get("sha256") == sha256(path) else {}


def _decompress(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; write it with query.py or name another table") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder, not a table; name a file") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged or half-written gzip ({error}); write it again with query.py") from None


def _parse(text: bytes, path: Path | str) -> dict[str, Any]:
    with no_garbage_collection():
        try:
            content = orjson.loads(_without_nan(text))
        except orjson.JSONDecodeError as error:
            raise InputError(f"{path}: damaged or half-written JSON ({error}); write it again with query.py") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a table in the shared format (no columns and data); write it with query.py")
    return content


def _without_objects(text: bytes) -> bytes:
    """The JSON of a table with null for every object in its rows, which are most of it and need not be parsed then.

    Objects are found by their braces. Where a brace may be part of a name, the text is returned as it is.
    """
    letters = np.frombuffer(text, dtype=np.uint8)
    braces = np.flatnonzero((letters == ord("{")) | (letters == ord("}")))
    steps = np.where(letters[braces] == ord("{"), 1, -1)
    depth = np.cumsum(steps)
    starts = braces[(depth == 2) & (steps == 1)].tolist()
    ends = braces[(depth == 1) & (steps == -1)].tolist()
    if len(starts) != len(ends) or not starts:
        return text
    kept = [text[after:before] for after, before in zip([0, *(end + 1 for end in ends)], [*starts, None], strict=True)]
    in_name = any(part.count(b'"') % 2 or b"\\" in part for part in kept)
    return text if in_name else b"null".join(kept)


def _without_nan(text: bytes) -> bytes:
    """JSON in which matminer's NaN and Infinity, which JSON does not have, are null."""
    for word, bare in _NOT_JSON.items():
        if word in text:
            text = bare.sub(_null_outside_names, text)
    return text


def _null_outside_names(found: re.Match[bytes]) -> bytes:
    return b"null" if found.string[found.start() - 1] in b"[,: " else found.group()


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Millions of new containers that all stay alive make the cyclic collector run for nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _structure(record: Any, path: Path | str, row: int) -> Structure:
    from bandgaps import records

    try:
        return records.structure(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: row {row}: column structure is not a pymatgen Structure ({error!r})") from None


def _plain(value: Any) -> Any:
    """What orjson cannot write, as something it can."""
    from pymatgen.core import Structure

    if isinstance(value, Structure):
        from bandgaps import records

        return records.record(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if hasattr(value, "as_dict"):
        return value.as_dict()
    raise TypeError(f"cannot store a {type(value).__name__}")


# ------------------------------------------------------------------------------------------------------------ checking


def require_columns(table: pd.DataFrame, columns: Sequence[str], path: Path | str) -> None:
    """Raise InputError if `table` (read from `path`) lacks one of `columns`."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}")


def target_values(table: pd.DataFrame, target: str, path: Path | str) -> np.ndarray:
    """The target column as float64, shape (rows,).

    Raises:
        InputError: there is no such column, or a value is missing, infinite or not a number.
    """
    require_columns(table, [target], path)
    values = pd.to_numeric(table[target], errors="coerce").to_numpy(dtype=float)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        formula, found = table["formula"].iloc[bad[0]], table[target].tolist()[bad[0]]
        raise InputError(
            f"{path}: {bad.size} of {len(table)} rows have no number in column {target}, "
            f"first row {bad[0]} ({formula}: {found!r}); drop them with query.py --drop-missing"
        )
    return values


def is_metal(table: pd.DataFrame, target: str = "band_gap") -> np.ndarray:
    """Which rows are metals (gap exactly 0 eV), by the target if it is a gap, else by `band_gap`; shape (rows,)."""
    other_property = "band_gap" in table and not target.startswith("band_gap")
    return table["band_gap" if other_property else target].to_numpy(dtype=float) == 0


def counts(table: pd.DataFrame, target: str) -> dict[str, int]:
    """Rows of each part, of metals and of others, and those with a gap at a further level of theory."""
    metal = is_metal(table, target)
    further = [column for column in map(str, table) if column.startswith("band_gap_") and column != target]
    return {
        **{part: int((table["split"] == part).sum()) for part in PARTS},
        "metals": int(metal.sum()),
        "non-metals": int((~metal).sum()),
        **{f"with {column}": int(table[column].notna().sum()) for column in further},
    }


# ------------------------------------------------------------------------------------------------------------ cleaning


def clean(table: pd.DataFrame, target: str, all_polymorphs: bool = False) -> tuple[pd.DataFrame, list[Step]]:
    """Keep one material a formula, or all its polymorphs, and none that comes apart.

    The polymorph of lowest energy represents its formula, one of unknown energy only where it is the only one; where
    no energy is known at all, a formula's rows are averaged.

    Returns:
        The rows left, renumbered from 0, and the steps with their counts.
    """
    energy = energy_column(table)
    if all_polymorphs:
        steps = [Step(f"every polymorph of {table['formula'].nunique():,} formulas", len(table))]
    elif energy:
        table = table[represents_formula(table)].reset_index(drop=True)
        steps = [Step(f"polymorph of lowest {energy} of each formula", len(table))]
    else:
        table = _mean_of_formulas(table, target)
        steps = [Step("mean of each formula's rows (no energy to choose by)", len(table))]
    if "structure" in table:
        table = table[[not has_isolated_atom(structure) for structure in table["structure"]]].reset_index(drop=True)
        steps.append(Step(f"no atom without a neighbour within {ISOLATION_CUTOFF:g} Å", len(table)))
    return table, steps


def represents_formula(table: pd.DataFrame) -> np.ndarray:
    """Which row of each formula is its polymorph of lowest energy, or where none is known its first; shape (rows,)."""
    energy = energy_column(table)
    rows = np.arange(len(table))
    if energy:
        rows = np.argsort(pd.to_numeric(table[energy], errors="coerce").to_numpy(dtype=float), kind="stable")
    first = ~table["formula"].iloc[rows].duplicated().to_numpy()
    return np.isin(np.arange(len(table)), rows[first])


def energy_column(table: pd.DataFrame) -> str | None:
    """The column that tells which polymorph is lowest in energy, None where there is none."""
    return next((column for column in ENERGIES if column in table and table[column].notna().any()), None)


def _mean_of_formulas(table: pd.DataFrame, target: str) -> pd.DataFrame:
    first = table.drop_duplicates("formula").reset_index(drop=True)
    means = table.groupby("formula")[target].mean()
    return first.assign(**{target: first["formula"].map(means)})


def has_isolated_atom(structure: Structure, cutoff: float = ISOLATION_CUTOFF) -> bool:
    """Whether some site has no neighbour (periodic images of itself included) within `cutoff` Å."""
    centers, _, _, _ = structure.get_neighbor_list(cutoff)
    return len(np.unique(centers)) < len(structure)


def split(metal: np.ndarray, seed: int, pinned: np.ndarray | None = None) -> np.ndarray:
    """Assign rows to `train`, `validation` and `test`, metals and non-metals each in the same proportions.

    A fifth is test; a tenth of the rest is validation, for models that stop early and part of the training rows
    for those that do not.

    Args:
        metal: which rows are metals, shape (rows,).
        seed: any non-negative integer; the same seed gives the same split.
        pinned: which rows are `train` whatever the seed, shape (rows,); by default none.
    """
    generator = np.random.default_rng(seed)
    parts = np.full(len(metal), "train", dtype=object)
    free = np.ones(len(metal), dtype=bool) if pinned is None else ~pinned
    for stratum in (metal, ~metal):
        rows = generator.permutation(np.flatnonzero(stratum & free))
        tests = min(round(TEST_FRACTION * stratum.sum()), len(rows))
        validations = round(VALIDATION_FRACTION * (stratum.sum() - tests))
        parts[rows[:tests]] = "test"
        parts[rows[tests : tests + validations]] = "validation"
    return parts


def split_formulas(table: pd.DataFrame, metal: np.ndarray, seed: int, train_on: Collection[str] = ()) -> np.ndarray:
    """`split` by formula: where the polymorph of lowest energy goes, all others of its formula go.

    Args:
        table: with the columns `formula` and, to tell polymorphs by, an energy.
        metal: which rows are metals, shape (rows,); a formula is one if its polymorph of lowest energy is.
        seed: any non-negative integer.
        train_on: formulas that are `train` whatever the seed.
    """
    represents = represents_formula(table)
    formulas = table["formula"][represents]
    parts = split(metal[represents], seed, formulas.isin(train_on).to_numpy())
    return table["formula"].map(dict(zip(formulas, parts, strict=True))).to_numpy()
