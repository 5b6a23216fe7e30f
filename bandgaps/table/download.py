"""A download from the Materials Project that goes on where it stopped.

Asking for 100,000 documents in one go loses everything when one page fails (materialsproject/api, issue 616). Here the
matching ids are listed first, then the documents are fetched some hundred ids at a time, each chunk kept on disk as it
arrives:

    .bandgaps.download/VERSION-DIGEST/query.json        database version, address, filters and fields: what DIGEST is of
                                      ids.json          every matching id
                                      chunk-0000.json.gz ...

The next run with the same query and the same database goes on from there; another database version starts afresh.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from bandgaps.errors import InputError, RunError, shortened
from bandgaps.files import read_json, replacing, write_json
from bandgaps.formulas import reduced_formula
from bandgaps.table.account import Step
from bandgaps.table.columns import LARGEST_GAP
from bandgaps.table.materials_project import CHUNK, KEY_PAGE, Query, Server, quiet, require_numeric_field
from bandgaps.table.storage import no_garbage_collection, packed

FIELDS = (
    "material_id", "formula_pretty", "structure", "energy_above_hull", "formation_energy_per_atom", "band_gap",
)  # fmt: skip


UPDATES = 3  # of the database during one download, after which it is given up
NAMED = 3  # damaged documents that are named, of those left out
FAULTS = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, IndexError)  # of damaged documents


class IncompleteError(RunError):
    """The server lists other entries than it counts or sends, as it does when it was updated meanwhile."""


@dataclass(frozen=True)
class Download:
    """What came: one row an entry, in the order of the ids, and the folder to delete once the rows are safe."""

    table: pd.DataFrame
    database_version: str
    steps: list[Step]
    folder: Path

    def discard(self) -> None:
        """Delete the chunks on disk."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.parent.is_dir() and not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()


def download(query: Query, key: str, cache: Path) -> Download:
    """Fetch the summary documents that match, from where the last run of the same query stopped.

    Columns: `material_id`, `formula`, `structure`, `energy_above_hull` (eV/atom), `formation_energy_per_atom` (eV/atom,
    missing in some entries), `band_gap` (eV) and the target.

    Args:
        query: target and filters.
        key: API key, 32 letters and digits.
        cache: folder that keeps the chunks between runs.

    Raises:
        InputError: the target is no numeric summary field, or nothing matches.
        RunError: the Materials Project refused, failed or answered wrongly more often than the client's setting
            MPRESTER_MAX_RETRIES allows. What had arrived is kept in `cache`.
        OSError: `cache` cannot be written to.
    """
    if not re.fullmatch(r"[A-Za-z0-9]{32}", key):
        raise RunError(
            f"the key in MP_API_KEY or pymatgen's settings is not one of the Materials Project's: it has {len(key)} "
            f"characters where 32 letters and digits are due (old keys no longer work); copy yours from {KEY_PAGE}"
        )
    with quiet():
        require_numeric_field(query.target)
        server = Server(key)
        version = server.version
        for _ in range(UPDATES):
            try:
                found = _download(server, version, query, cache)
                trouble = None
            except IncompleteError as error:
                trouble = error
            before, version = version, server.database_version()
            if version != before:
                print(f"the Materials Project was updated from {before} to {version} meanwhile; starting again")
            elif trouble:
                raise trouble
            else:
                return found
    raise RunError(f"the Materials Project was updated {UPDATES} times during the download; try again later")


def _download(server: Server, version: str, query: Query, cache: Path) -> Download:
    """What there is while the database has this version."""
    steps = server.count(query)
    folder = _open_folder(cache, query, version, server.endpoint)
    ids = _ids(folder, server, query, expected=steps[-1].rows)
    _fetch_chunks(folder, server, query, ids)
    table = _table(folder, query, ids)
    if len(table) < len(ids):
        steps.append(Step("with a formula and a crystal that can be read", len(table)))
    return Download(table, version, steps, folder)


def _open_folder(cache: Path, query: Query, version: str, endpoint: str) -> Path:
    """The folder of this query's chunks. Those of another database version are deleted: nothing can use them again."""
    plan = {"database_version": version, "endpoint": endpoint, "fields": _fields(query), **asdict(query)}
    digest = hashlib.sha256(json.dumps(plan).encode()).hexdigest()[:12]
    prefix = re.sub(r"[^\w.]", "_", version) + "-"
    cache.mkdir(parents=True, exist_ok=True)
    for other in cache.iterdir():
        if other.is_dir() and not other.name.startswith(prefix):
            print(
                f"the database is now {version}: starting afresh, without the chunks of {other.name.rpartition('-')[0]}"
            )
            shutil.rmtree(other)
    folder = cache / (prefix + digest)
    write_json(plan, folder / "query.json")
    return folder


def _fields(query: Query) -> list[str]:
    return list(dict.fromkeys([*FIELDS, query.target]))


def _ids(folder: Path, server: Server, query: Query, expected: int) -> list[str]:
    """All matching ids in natural order, as kept on disk or else as the server lists them."""
    path = folder / "ids.json"
    try:
        return [str(material_id) for material_id in read_json(path)]
    except InputError:
        pass  # not listed yet, or damaged
    found: set[str] = set()
    for _ in range(server.retries + 1):
        found |= server.list_ids(query, expected)  # a page sent twice hides another, which the next listing may bring
        if len(found) >= expected:
            break
    else:
        raise IncompleteError(
            f"the Materials Project lists {len(found):,} different ids where {expected:,} entries match; "
            "try again later"
        )
    ids = sorted(found, key=lambda material_id: (len(material_id), material_id))
    write_json(ids, path)
    return ids


def _fetch_chunks(folder: Path, server: Server, query: Query, ids: list[str]) -> None:
    """Bring every chunk to disk that is not there yet."""
    from tqdm.auto import tqdm

    missing = [(path, part) for path, part in _chunks(folder, ids) if _read_chunk(path, part) is None]
    have = len(ids) - sum(len(part) for _, part in missing)
    if have:
        print(f"{have:,} of {len(ids):,} documents are here from an earlier run")
    with tqdm(total=len(ids), initial=have, desc="Fetching documents", disable=server.mute_progress_bars) as progress:
        for path, part in missing:
            try:
                _write_chunk(path, _complete(server, query, part))
            except RunError as error:
                raise type(error)(
                    f"{error}; {progress.n:,} of {len(ids):,} documents are kept, run the same command again to go on "
                    "from there"
                ) from None
            progress.update(len(part))


def _complete(server: Server, query: Query, ids: list[str]) -> list[dict[str, Any]]:
    """The documents of all `ids`, in their order; those that an answer left out are asked for again."""
    found: dict[str, dict[str, Any]] = {}
    for _ in range(server.retries + 1):
        found |= server.fetch([material_id for material_id in ids if material_id not in found], _fields(query))
        if len(found) == len(ids):
            return [found[material_id] for material_id in ids]
    missing = [material_id for material_id in ids if material_id not in found]
    raise IncompleteError(
        f"the Materials Project lists {', '.join(missing[:3])}{' ...' if missing[3:] else ''} but does not send "
        f"{'them' if missing[1:] else 'it'}; try again later"
    )


def _chunks(folder: Path, ids: list[str]) -> list[tuple[Path, list[str]]]:
    starts = range(0, len(ids), CHUNK)
    return [(folder / f"chunk-{number:04}.json.gz", ids[start : start + CHUNK]) for number, start in enumerate(starts)]


def _write_chunk(path: Path, documents: list[dict[str, Any]]) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(packed(orjson.dumps(documents)))


def _read_chunk(path: Path, ids: list[str]) -> list[dict[str, Any]] | None:
    """A chunk, or None where it is not on disk, is damaged or holds other documents than `ids`."""
    try:
        documents = orjson.loads(gzip.decompress(path.read_bytes()))
        return documents if [document["material_id"] for document in documents] == ids else None
    except (FileNotFoundError, EOFError, gzip.BadGzipFile, zlib.error, ValueError, KeyError, TypeError):
        return None


def _table(folder: Path, query: Query, ids: list[str]) -> pd.DataFrame:
    """The documents on disk; those that are not what they should be are named and left out.

    Raises:
        RunError: a chunk is gone, or no document is left.
    """
    from bandgaps.table import records

    rows, wrong = [], []
    with no_garbage_collection():
        for path, part in _chunks(folder, ids):
            documents = _read_chunk(path, part)
            if documents is None:
                raise RunError(f"{path}: went missing while it was read; run the same command again")
            for document in documents:
                try:
                    rows.append(_row(document))
                except FAULTS as error:
                    wrong.append(f"{document['material_id']} ({shortened(error)})")
    faults = records.faults([row["structure"] for row in rows])
    wrong += [f"{rows[row]['material_id']} ({fault})" for row, fault in faults.items()]
    rows = [row for number, row in enumerate(rows) if number not in faults]
    if wrong:
        more = f" and {len(wrong) - NAMED:,} more" if len(wrong) > NAMED else ""
        print(f"left out, since the Materials Project's documents are damaged: {', '.join(wrong[:NAMED])}{more}")
    if not rows:
        raise RunError("none of the Materials Project's documents can be read; try again later")
    return pd.DataFrame(rows, columns=_fields(query)).rename(columns={"formula_pretty": "formula"})


def _row(document: dict[str, Any]) -> dict[str, Any]:
    """A document with its formula reduced, and its gap and structure checked.

    Raises:
        ValueError, among others: one of them is damaged.
    """
    from bandgaps.table import records

    formula, gap = reduced_formula(document["formula_pretty"]), document.get("band_gap")
    if isinstance(gap, int | float) and abs(gap) > LARGEST_GAP:
        raise ValueError(f"band_gap is {gap:g}, more than {LARGEST_GAP:g} eV")
    return document | {"formula_pretty": formula, "structure": records.compact(document["structure"])}
