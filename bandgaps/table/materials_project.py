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

import json
import os
import re
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from bandgaps.errors import InputError, RunError
from bandgaps.table.account import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mp_api.client import MPRester

CHUNK = 500  # ids in one request: their URL stays under the 8 kB that proxies take
KEY_PAGE = "https://next-gen.materialsproject.org/api"
TIMEOUT = 20  # s, the client's own
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Query:
    """Which entries: those with a band-structure calculation, and of those the ones that pass the filters."""

    target: str = "band_gap"
    chemsys: tuple[str, ...] = ()
    max_energy_above_hull: float | None = None  # eV/atom


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


class Server:
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


def require_numeric_field(target: str) -> None:
    """Raise InputError if this is no number of the Materials Project's summaries."""
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
def quiet() -> Iterator[None]:
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
