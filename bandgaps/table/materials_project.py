"""The Materials Project's server, asked through its official client: the key, the requests, and what goes wrong."""

from __future__ import annotations

import json
import math
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from bandgaps.errors import InputError, RunError
from bandgaps.table import connection
from bandgaps.table.account import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mp_api.client.routes.materials.summary import SummaryRester

CHUNK = 500  # ids in one request: their URL stays under the 8 kB that proxies take
PAGE = 1000  # ids in one answer, the most that the server sends
MOST = 10_000_000  # entries; 50 times as many as there are
KEY_PAGE = "https://next-gen.materialsproject.org/api"
UNEXPECTED = "the Materials Project's answer was cut short or is not as expected"
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


class UnexpectedAnswerError(Exception):
    """The server answered something else than it was asked for."""


class Server:
    """The official client, with words for what goes wrong and patience for what may pass."""

    def __init__(self, key: str) -> None:
        try:
            from mp_api.client.core.settings import MAPI_CLIENT_SETTINGS as SETTINGS
            from mp_api.client.core.utils import validate_endpoint
            from mp_api.client.routes.materials.summary import SummaryRester
        except ValueError as error:
            raise InputError(f"the client's settings, variables MPRESTER_...: {error}; correct them") from None

        self.key = key
        self.retries: int = _not_negative("MPRESTER_MAX_RETRIES", SETTINGS.MAX_RETRIES)
        self.wait = 10 * _not_negative("MPRESTER_BACKOFF_FACTOR", SETTINGS.BACKOFF_FACTOR)  # s, after the first trouble
        self.mute_progress_bars: bool = SETTINGS.MUTE_PROGRESS_BARS
        self.endpoint: str = validate_endpoint(os.environ.get("MP_API_ENDPOINT"))
        self.version = self.database_version()
        start = partial(
            SummaryRester,
            api_key=key,
            endpoint=self.endpoint,
            use_document_model=False,
            mute_progress_bars=True,
            session=connection.Session(key, f"mp-api/{version('mp-api')}"),
        )
        # It asks for a heartbeat by itself, without a limit on the time.
        self._client: SummaryRester = self.ask(partial(connection.within, connection.LONGEST, start), lambda made: made)

    def ask(self, request: Callable[[], Any], read: Callable[[Any], Answer]) -> Answer:
        """Send a request and return what `read` makes of its answer; trouble that may pass is tried again.

        Our own mistakes are never tried again: a call that the client's function does not take, and whatever `read`
        raises but an UnexpectedAnswerError.

        Args:
            request: a call of the client, and nothing else; what the client raises is taken for the server's trouble.
            read: makes something of the answer, or raises UnexpectedAnswerError.

        Raises:
            RunError: the trouble stays, or will not pass by waiting.
        """
        for attempt in range(self.retries + 1):
            wait = min(self.wait * 2 ** min(attempt, 20), connection.LONGEST_WAIT)
            try:
                answer = request()
            except Exception as error:  # the client lets through whatever requests, urllib3 and orjson raise
                if error.__traceback__ and error.__traceback__.tb_next is None:
                    raise  # by the call itself: no line of the client ran
                trouble, may_pass = _explain(error)
                if isinstance(error, connection.TooManyRequestsError):
                    wait = max(wait, error.seconds or 0.0)
            else:
                try:
                    return read(answer)
                except UnexpectedAnswerError as error:
                    trouble, may_pass = f"{UNEXPECTED} ({error}); try again later", True
            trouble = trouble.replace(self.key, "[key]")
            if not may_pass or attempt == self.retries:
                break
            print(f"note: {trouble}; asking again in {wait:g} s", file=sys.stderr, flush=True)
            time.sleep(wait)
        raise RunError(trouble)

    def database_version(self) -> str:
        """The version of the database now; the client asks only once a process."""
        return self.ask(partial(connection.within, connection.LONGEST, partial(_heartbeat, self.endpoint)), _version)

    def count(self, query: Query) -> list[Step]:
        """How many entries match, filter by filter."""
        stages = _stages(query)
        alone = {"_fields": "material_id", "_limit": 1}
        steps = [
            Step(kept, self.ask(partial(self._client.count, {**stage, **alone}), _number)) for kept, stage in stages
        ]
        if not steps[-1].rows:
            raise InputError(
                f"the Materials Project has no {' / '.join(step.kept for step in steps)}; widen the filters"
            )
        return steps

    def list_ids(self, query: Query, entries: int) -> set[str]:
        """The ids of all matching entries, page by page.

        Args:
            query: which entries.
            entries: how many match; no more pages are asked for than these fill.

        Raises:
            RunError: as `ask`.
        """
        from tqdm.auto import tqdm

        _, criteria = _stages(query)[-1]
        # Sorted, because pages of an unsorted list may overlap. Left to itself the client turns pages without end.
        criteria |= {"_sort_fields": "material_id"}
        page = partial(self._client._search, num_chunks=1, chunk_size=PAGE, fields=["material_id"], **criteria)
        found: set[str] = set()
        with tqdm(total=entries, desc="Listing entries", disable=self.mute_progress_bars) as progress:
            for skip in range(0, entries, PAGE):
                listed = self.ask(partial(page, _skip=skip), _by_id)
                if not listed:
                    break
                found |= set(listed)
                progress.update(len(listed))
        return found

    def fetch(self, ids: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The documents of some ids, by id; those that the server leaves out are left out."""
        search = partial(
            self._client.search, material_ids=list(ids), fields=list(fields), num_chunks=1, chunk_size=CHUNK
        )
        found = self.ask(search, _by_id)
        return {
            material_id: {field: found[material_id].get(field) for field in fields}
            for material_id in ids
            if material_id in found
        }


def _stages(query: Query) -> list[tuple[str, dict[str, Any]]]:
    """The filters one by one: in words, and with all before it as parameters of a request."""
    criteria: dict[str, Any] = {"has_props": "bandstructure"}
    stages = [("entries with a band-structure calculation", dict(criteria))]
    if query.chemsys:
        criteria["chemsys"] = ",".join(query.chemsys)
        stages.append((f"chemical system {', '.join(query.chemsys)}", dict(criteria)))
    if query.max_energy_above_hull is not None:
        criteria["energy_above_hull_max"] = query.max_energy_above_hull
        stages.append((f"at most {query.max_energy_above_hull:g} eV/atom above the hull", dict(criteria)))
    return stages


def _not_negative(name: str, value: Any) -> Any:
    if not 0 <= value < math.inf:
        raise InputError(f"the client's setting {name} is {value}; set it to 0 or more")
    return value


def _heartbeat(endpoint: str) -> Any:
    """What the server says of itself, as JSON; ConnectionError where it refuses."""
    response = connection.get(f"{endpoint}heartbeat")
    if not response.ok:
        raise ConnectionError(f"{response.text[:200]}: heartbeat answered {response.status_code}")
    return response.json()


def _version(heartbeat: Any) -> str:
    if not isinstance(heartbeat, dict) or "db_version" not in heartbeat:
        raise UnexpectedAnswerError("no version of the database")
    return str(heartbeat["db_version"])


def _number(count: Any) -> int:
    if not isinstance(count, int) or not 0 <= count <= MOST:
        raise UnexpectedAnswerError(f"no number of entries from 0 to {MOST:,}")
    return count


def _by_id(documents: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(documents, list) or not all(isinstance(d, dict) and "material_id" in d for d in documents):
        raise UnexpectedAnswerError("documents without an id")
    return {str(document["material_id"]): document for document in documents}


def _explain(error: Exception) -> tuple[str, bool]:
    """What went wrong, in a line, and whether it may pass by waiting."""
    if isinstance(error, RunError):
        return str(error), False
    if isinstance(error, connection.TooManyRequestsError):
        asked = "" if error.seconds is None else f" and asks to wait {error.seconds:,.0f} s"
        may_pass = (error.seconds or 0) <= connection.LONGEST_WAIT
        return f"the Materials Project answers that there were too many requests (429){asked}", may_pass
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
    if code is not None and code >= 500:
        return f"the Materials Project's server failed ({code}: {brief}); try again later", True
    if code is not None:
        return f"the Materials Project refused the query ({code}: {brief}); check the filters, or {_upgrade()}", False
    if "does not support the request" in text:  # the client's words for 400; it drops the server's
        return f"the Materials Project refused the query (400); check the filters, or {_upgrade()}", False
    if isinstance(error, json.JSONDecodeError | KeyError | TypeError | AttributeError):
        return f"{UNEXPECTED} ({brief}); try again later", True
    cause = message.rpartition(": ")[2].strip("\"')")
    return f"the connection to the Materials Project failed ({cause[:200]}); check the network", True


def _upgrade() -> str:
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
            f"target {target}: not a numeric field of the Materials Project's summaries; "
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
