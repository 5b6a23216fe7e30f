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
import os
import re
import shutil
import time
import warnings
import zlib
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import orjson
import pandas as pd

from bandgaps.dataset import Step, no_garbage_collection
from bandgaps.errors import InputError, RunError
from bandgaps.files import read_json, replacing, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mp_api.client import MPRester

CHUNK = 500  # ids in one request: their URL stays under the 8 kB that proxies take
FIELDS = ("material_id", "formula_pretty", "structure", "energy_above_hull", "band_gap")
KEY_PAGE = "https://next-gen.materialsproject.org/api"
TIMEOUT = 20  # s, the client's own

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Query:
    """Which entries: those with a band-structure calculation, and of those the ones that pass the filters."""

    target: str = "band_gap"
    chemsys: tuple[str, ...] = ()
    max_energy_above_hull: float | None = None  # eV/atom


@dataclass(frozen=True)
class Download:
    """What came: one row an entry in the order of the ids, and the folder to delete once the rows are safe."""

    table: pd.DataFrame
    database_version: str
    steps: list[Step]
    folder: Path

    def discard(self) -> None:
        """Delete the chunks on disk."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.parent.is_dir() and not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()


def find_key() -> str | None:
    """The API key in MP_API_KEY or in pymatgen's settings (PMG_MAPI_KEY, ~/.config/.pmgrc.yaml); None without one."""
    key = os.environ.get("MP_API_KEY") or _pymatgen_settings().get("PMG_MAPI_KEY") or ""
    return str(key).strip() or None


def _pymatgen_settings() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on a broken file they quote the line, which may hold the key
        try:
            from pymatgen.core import SETTINGS
        except (AttributeError, TypeError):
            raise InputError("pymatgen's settings (.pmgrc.yaml) are not a list of NAME: VALUE; correct them") from None
    return SETTINGS


def download(query: Query, key: str, cache: Path) -> Download:
    """Fetch the summary documents that match, from where the last run of the same query stopped.

    Columns: `material_id`, `formula`, `structure`, `energy_above_hull` (eV/atom), `band_gap` (eV) and the target.

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
    with _quiet():
        _require_numeric_field(query.target)
        server = _Server(key)
        version = server.version
        steps = server.count(query)
        folder = _open_folder(cache, query, version, server.endpoint)
        ids = _ids(folder, server, query, expected=steps[-1].rows)
        _fetch_chunks(folder, server, query, ids)
        if server.database_version() != version:
            shutil.rmtree(folder)
            raise RunError(
                f"the Materials Project changed its database from {version} to another version during the download; "
                "run the same command again to fetch all of it from the new one"
            )
        return Download(_table(folder, query, ids), version, steps, folder)


# ---------------------------------------------------------------------------------------------------------- the server


class _Server:
    """The official client, with words for what goes wrong and patience for what may pass."""

    def __init__(self, key: str) -> None:
        try:
            from mp_api.client import MPRester
            from mp_api.client.core.settings import MAPI_CLIENT_SETTINGS
            from mp_api.client.core.utils import validate_endpoint
        except ValueError as error:
            raise InputError(f"the client's settings, variables MPRESTER_...: {error}; correct them") from None

        self.key = key
        self.retries: int = MAPI_CLIENT_SETTINGS.MAX_RETRIES
        # The client itself tries 429, 502 and 504 again within a second; what still fails then needs longer.
        self.wait: float = 10 * MAPI_CLIENT_SETTINGS.BACKOFF_FACTOR
        self.endpoint: str = validate_endpoint(os.environ.get("MP_API_ENDPOINT"))
        self.version = self.database_version()

        def client(mute_progress_bars: bool) -> MPRester:
            return MPRester(
                api_key=key,
                endpoint=self.endpoint,
                use_document_model=False,
                mute_progress_bars=mute_progress_bars,
            )

        mute = MAPI_CLIENT_SETTINGS.MUTE_PROGRESS_BARS
        self._listing = self.ask(lambda: client(mute))
        self._fetching = self.ask(lambda: client(True))  # its bar would fill once a chunk; one over all chunks is shown
        self.mute_progress_bars: bool = mute

    def ask(self, request: Callable[[], Answer]) -> Answer:
        """The answer to a request, tried again while the trouble may pass; RunError when it does not."""
        for attempt in range(self.retries + 1):
            try:
                return request()
            except Exception as error:  # the client lets through whatever requests, urllib3 and orjson raise
                trouble, may_pass = _explain(error)
            if not may_pass:
                break
            if attempt < self.retries:
                time.sleep(self.wait * 2**attempt)
        raise RunError(trouble.replace(self.key, "[key]"))

    def database_version(self) -> str:
        """The version of the database now; the client asks only once a process."""
        import requests

        def heartbeat() -> str:
            response = requests.get(f"{self.endpoint}heartbeat", timeout=TIMEOUT)
            if not response.ok:
                raise ConnectionError(f"{response.text[:200]}: heartbeat answered {response.status_code}")
            return str(response.json()["db_version"])

        return self.ask(heartbeat)

    def count(self, query: Query) -> list[Step]:
        """How many entries match, filter by filter."""
        criteria: dict[str, Any] = {"has_props": "bandstructure"}
        stages = [("entries with a band-structure calculation", dict(criteria))]
        if query.chemsys:
            criteria["chemsys"] = ",".join(query.chemsys)
            stages.append((f"chemical system {', '.join(query.chemsys)}", dict(criteria)))
        if query.max_energy_above_hull is not None:
            criteria["energy_above_hull_max"] = query.max_energy_above_hull
            stages.append((f"at most {query.max_energy_above_hull:g} eV/atom above the hull", dict(criteria)))
        steps = [Step(kept, self.ask(partial(self._count, stage))) for kept, stage in stages]
        if not steps[-1].rows:
            raise InputError(
                f"the Materials Project has no {' / '.join(step.kept for step in steps)}; widen --chemsys or "
                "--max-energy-above-hull"
            )
        return steps

    def _count(self, criteria: dict[str, Any]) -> int:
        return int(self._fetching.materials.summary.count({**criteria, "_fields": "material_id", "_limit": 1}))

    def list_ids(self, query: Query) -> set[str]:
        """The ids of all matching entries, in as many pages as the client makes of them."""
        filters: dict[str, Any] = {"has_props": ["bandstructure"]}
        if query.chemsys:
            filters["chemsys"] = list(query.chemsys)
        if query.max_energy_above_hull is not None:
            filters["energy_above_hull"] = (None, query.max_energy_above_hull)

        def search() -> set[str]:
            # Sorted, because pages of an unsorted list may overlap.
            documents = self._listing.materials.summary.search(
                **filters, fields=["material_id"], _sort_fields="material_id"
            )
            return {str(document["material_id"]) for document in documents}

        return self.ask(search)

    def fetch(self, ids: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The documents of some ids, by id; those that the server leaves out are left out."""

        def search() -> dict[str, dict[str, Any]]:
            documents = self._fetching.materials.summary.search(
                material_ids=list(ids), fields=list(fields), chunk_size=CHUNK
            )
            return {
                str(document["material_id"]): {field: document.get(field) for field in fields} for document in documents
            }

        found = self.ask(search)
        return {material_id: found[material_id] for material_id in ids if material_id in found}


def _explain(error: Exception) -> tuple[str, bool]:
    """What went wrong, in a line, and whether it may pass by waiting."""
    text = re.sub(r"\?\S+", "", str(error))  # the addresses hold hundreds of ids
    status = re.search(r"status code (\d{3})|too many (\d{3}) error", text)
    code = int(status.group(1) or status.group(2)) if status else None
    message = text.partition("with message:")[2].strip() or text
    brief = message if len(message) <= 200 else f"{message[:200]} ..."
    if "no Route matched" in text:
        return f"the Materials Project no longer answers this version of its client (404, {brief}); {_upgrade()}", False
    if code in (401, 403):
        return (
            f"the Materials Project refused the key ({code}); copy yours from {KEY_PAGE} into MP_API_KEY or "
            "PMG_MAPI_KEY in pymatgen's settings",
            False,
        )
    if code == 429:
        return "the Materials Project answers that there were too many requests (429); wait some minutes", True
    if code is not None and code >= 500:
        return f"the Materials Project's server failed ({code}: {brief}); try again later", True
    if code is not None:
        return f"the Materials Project refused the query ({code}: {brief}); check the filters, or {_upgrade()}", False
    if "does not support the request" in text:  # the client's words for 400; it drops the server's
        return f"the Materials Project refused the query (400); check the filters, or {_upgrade()}", False
    if isinstance(error, json.JSONDecodeError | KeyError | TypeError):
        return f"the Materials Project's answer was cut short or is not as expected ({brief}); try again later", True
    cause = message.rpartition(": ")[2].strip("\"')")
    return f"the connection to the Materials Project failed ({cause[:200]}); check the network", True


def _upgrade() -> str:
    from importlib.metadata import version

    return f"upgrade the client (mp-api {version('mp-api')}): pip install --upgrade mp-api emmet-core"


def _require_numeric_field(target: str) -> None:
    from emmet.core.summary import SummaryDoc

    def numeric(annotation: Any) -> bool:
        kinds = set(get_args(annotation) or (annotation,)) - {type(None)}
        return kinds <= {int, float}

    fields = sorted(name for name, field in SummaryDoc.model_fields.items() if numeric(field.annotation))
    if target not in fields:
        close = get_close_matches(target, fields)
        raise InputError(
            f"--target {target}: not a numeric field of the Materials Project's summaries; "
            + (f"did you mean {' or '.join(close)}?" if close else f"choose from {', '.join(fields)}")
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the libraries' notices on versions, deprecations and elements; progress bars stay."""
    import logging

    retries = logging.getLogger("urllib3")
    level = retries.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        retries.setLevel(logging.ERROR)
        try:
            yield
        finally:
            retries.setLevel(level)


# ------------------------------------------------------------------------------------------------------ chunks on disk


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


def _ids(folder: Path, server: _Server, query: Query, expected: int) -> list[str]:
    """All matching ids in natural order, as kept on disk or else as the server lists them."""
    path = folder / "ids.json"
    try:
        return [str(material_id) for material_id in read_json(path)]
    except InputError:
        pass  # not listed yet, or damaged
    found: set[str] = set()
    for _ in range(server.retries + 1):
        found |= server.list_ids(query)  # a page sent twice hides another, which the next listing may bring
        if len(found) >= expected:
            break
    else:
        raise RunError(
            f"the Materials Project lists {len(found):,} different ids where {expected:,} entries match; "
            "try again later"
        )
    ids = sorted(found, key=lambda material_id: (len(material_id), material_id))
    write_json(ids, path)
    return ids


def _fetch_chunks(folder: Path, server: _Server, query: Query, ids: list[str]) -> None:
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
                raise RunError(
                    f"{error}; {progress.n:,} of {len(ids):,} documents are kept, run the same command again to go on "
                    "from there"
                ) from None
            progress.update(len(part))


def _complete(server: _Server, query: Query, ids: list[str]) -> list[dict[str, Any]]:
    """The documents of all `ids`, in their order; those that an answer left out are asked for again."""
    found: dict[str, dict[str, Any]] = {}
    for _ in range(server.retries + 1):
        found |= server.fetch([material_id for material_id in ids if material_id not in found], _fields(query))
        if len(found) == len(ids):
            return [found[material_id] for material_id in ids]
    missing = [material_id for material_id in ids if material_id not in found]
    raise RunError(
        f"the Materials Project lists {', '.join(missing[:3])}{' ...' if missing[3:] else ''} but does not send "
        f"{'them' if missing[1:] else 'it'}; try again later"
    )


def _chunks(folder: Path, ids: list[str]) -> list[tuple[Path, list[str]]]:
    starts = range(0, len(ids), CHUNK)
    return [(folder / f"chunk-{number:04}.json.gz", ids[start : start + CHUNK]) for number, start in enumerate(starts)]


def _write_chunk(path: Path, documents: list[dict[str, Any]]) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(orjson.dumps(documents), compresslevel=6, mtime=0))


def _read_chunk(path: Path, ids: list[str]) -> list[dict[str, Any]] | None:
    """A chunk, or None where it is not on disk, is damaged or holds other documents than `ids`."""
    try:
        documents = orjson.loads(gzip.decompress(path.read_bytes()))
        return documents if [document["material_id"] for document in documents] == ids else None
    except (FileNotFoundError, EOFError, gzip.BadGzipFile, zlib.error, ValueError, KeyError, TypeError):
        return None


def _table(folder: Path, query: Query, ids: list[str]) -> pd.DataFrame:
    from pymatgen.core import Structure

    def build(document: dict[str, Any]) -> dict[str, Any]:
        try:
            return document | {"structure": Structure.from_dict(document["structure"])}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            name = document["material_id"]
            raise RunError(
                f"the Materials Project's structure of {name} is not one of pymatgen's ({error!r})"
            ) from None

    with no_garbage_collection():
        rows = [build(one) for path, part in _chunks(folder, ids) for one in _read_chunk(path, part) or []]
    if len(rows) != len(ids):
        raise RunError(f"{folder}: chunks went missing while they were read; run the same command again")
    return pd.DataFrame(rows, columns=_fields(query)).rename(columns={"formula_pretty": "formula"})
