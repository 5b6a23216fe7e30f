"""The shared table on disk: its columns, how it is read and written.

The table is a pandas DataFrame with one row a material:

| column | meaning |
|---|---|
| `material_id` | `mp-149`, or the source's own id |
| `formula` | reduced formula in pymatgen's spelling |
| `structure` | pymatgen Structure (absent where only compositions are known) |
| `energy_above_hull` | eV/atom; lowest in the polymorph that represents its composition |
| `formation_energy_per_atom`, `energy_per_atom` | eV/atom; the same where there is no energy above the hull |
| `band_gap` | eV, PBE; 0 is a metal. Other numeric columns can be targets as well |
| `band_gap_gllbsc`, `band_gap_hse`, `band_gap_hse_snumat` | eV, calculated at other levels; often missing |
| `band_gap_experiment`, `band_gap_experiment_std` | eV, measured, and its standard deviation; often missing |
| `split` | `train`, `validation`, `calibration`, `test`, or `measured`, from which no network learns |

On disk it has the format of `matminer.utils.io.store_dataframe_as_json` (orient "split"), gzipped.
"""

from __future__ import annotations

import gc
import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pandas as pd

from bandgaps import processors
from bandgaps.errors import InputError, shortened
from bandgaps.files import MOST_UNPACKED, read_bytes, replacing, unpacked
from bandgaps.table import json_lines
from bandgaps.table.columns import check

if TYPE_CHECKING:
    from bandgaps.table.records import Crystal, Record

MEMBER = 2**24  # bytes of text that are compressed at once

_NOT_JSON = {word: re.compile(word + rb"(?=[,\]} ])") for word in (b"-Infinity", b"Infinity", b"NaN")}


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep the cyclic garbage collector away from millions of new containers, during the block and after it.

    All that is alive at the end is frozen: counted references still free it, but cycles among it are never collected.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.freeze()  # else it would go through them as soon as it is enabled
            gc.enable()


def read(path: Path | str, structures: bool = True) -> pd.DataFrame:
    """Read a table.

    Args:
        path: a file in the shared format, gzipped or not.
        structures: whether to build pymatgen Structures. Without them reading is much faster: the column `structure` is
            left out, and other objects are None.

    Raises:
        InputError: the file is missing, damaged, empty or not in the shared format.
    """
    if not structures:
        text = decompressed(Path(path))
        try:
            table = _table(_without_objects(text), path)
        except InputError:  # damaged, or with braces in names: the whole text tells which
            table = _table(text, path)
        return table.drop(columns="structure", errors="ignore")
    from bandgaps.table import records

    return _with_crystals(path, records.structure)


def read_compact(path: Path | str) -> pd.DataFrame:
    """As `read`, but with the dictionaries that `write` makes of structures, which takes a third of time and memory."""
    from bandgaps.table import records

    return _with_crystals(path, records.compact)


@no_garbage_collection()
def _with_crystals(path: Path | str, crystal: Callable[[Record], Crystal]) -> pd.DataFrame:
    """A table, its structures as the function makes them of dictionaries, all of them checked."""
    from bandgaps.table import records

    table = read_records(path)
    if "structure" in table:
        crystals = table["structure"].tolist()
        table["structure"] = None  # so that each dictionary goes when it has been read
        for row, record in enumerate(crystals):
            crystals[row] = _crystal(crystal, record, path, row)
        table["structure"] = crystals
        for row, fault in records.faults(table["structure"]).items():
            raise InputError(f"{path}: row {row} ({shortened(table['formula'].iloc[row])}): {fault}")
    return table


def read_records(path: Path | str) -> pd.DataFrame:
    """Read a table, its structures left as the dictionaries that `bandgaps.table.records` turns into Structures.

    Raises:
        InputError: as `read`, but for what is wrong with a structure.
    """
    return _table(decompressed(Path(path)), path)


@no_garbage_collection()
def _table(text: bytes, path: Path | str) -> pd.DataFrame:
    try:
        if Path(path).name.endswith(json_lines.SUFFIXES):
            table = json_lines.table(text.splitlines(), path)
        else:
            content = _parse(text, path)
            table = pd.DataFrame(content["data"], columns=content["columns"], index=content["index"])
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        found = shortened(error)
        raise InputError(f"{path}: not a table in the shared format ({found}); write it with query.py") from None
    check(table, path)
    empty = table.columns[table.isna().all()]
    return table.astype(dict.fromkeys(empty, float))  # no number is a missing number, also where there is no other


@no_garbage_collection()
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
    text = orjson.dumps(content, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
    if Path(path).suffix == ".gz":
        text = packed(text)
    with replacing(path) as temporary:
        temporary.write_bytes(text)


def packed(text: bytes) -> bytes:
    """A text, gzipped in members of `MEMBER` bytes that all cores compress at once; equal texts give equal bytes."""
    view = memoryview(text)
    members = [view[start : start + MEMBER] for start in range(0, len(text) or 1, MEMBER)]
    with ThreadPoolExecutor(processors.cores()) as pool:
        return b"".join(pool.map(partial(gzip.compress, compresslevel=6, mtime=0), members))


def decompressed(path: Path) -> bytes:
    """The contents of a file, unpacked if they are gzipped.

    Raises:
        InputError: the file cannot be read, is damaged, or unpacks to more than memory holds.
    """
    raw = read_bytes(path, MOST_UNPACKED, "write it with query.py or name another table")
    try:
        return unpacked(raw, path) if raw[:2] == b"\x1f\x8b" else raw
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged or half-written gzip ({error}); write it again with query.py") from None


def _parse(text: bytes, path: Path | str) -> dict[str, Any]:
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


def _crystal(crystal: Callable[[Record], Crystal], record: Any, path: Path | str, row: int) -> Crystal:
    try:
        return crystal(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: row {row}: column structure is not a pymatgen Structure ({shortened(repr(error))})"
        ) from None


def _plain(value: Any) -> Any:
    """What orjson cannot write, as something it can."""
    from pymatgen.core import Structure

    if isinstance(value, Structure):
        from bandgaps.table import records

        return records.record(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if hasattr(value, "as_dict"):
        return value.as_dict()
    raise TypeError(f"cannot store a {type(value).__name__}")
