"""A download from a server that fails, for a while or for good."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from downloads import contents, happening, is_listing, is_second_chunk, is_second_page
from materials_project_server import KEY, Documents, Server, serving

from bandgaps.errors import InputError, RunError
from bandgaps.table import connection, download, materials_project
from bandgaps.table.materials_project import Query


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("too many requests", is_second_page),
        ("server error", is_second_chunk),
        ("bad gateway", is_second_page),
        ("cut", is_second_page),
        ("cut", is_second_chunk),
        ("truncated", is_second_page),
        ("truncated", is_second_chunk),
        ("page repeats", is_second_page),
        ("documents repeat", is_second_page),
        ("documents repeat", is_second_chunk),
        ("no ids", is_second_page),
        ("no ids", is_second_chunk),
        ("no data", is_listing),
        ("no data", is_second_chunk),
        ("a list", is_second_chunk),
    ],
)
def test_trouble_that_passes_leaves_no_trace(
    server: Server,
    cache: Path,
    undisturbed: list[dict[str, Any]],
    name: str,
    when: Callable[[dict[str, str]], bool],
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.trouble = happening(name, when, times=2)
    assert contents(download.download(Query(), KEY, cache)) == undisturbed
    assert sum(map(when, server.requests)) >= 3
    assert KEY not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unauthorized", r"refused the key \(401\).*MP_API_KEY"),
        ("forbidden", r"refused the key \(403\).*MP_API_KEY"),
        ("too many requests", r"too many requests \(429\)"),
        ("server error", r"server failed \(500: Internal Server Error while serving \[key\]\)"),
        ("bad gateway", "502"),
        ("bad request", r"refused the query \(400"),
        ("cut", "connection to the Materials Project failed"),
        ("truncated", "cut short"),
        ("no ids", r"cut short or is not as expected \(documents without an id\); try again later"),
        ("no data", "cut short or is not as expected"),
        ("a list", "cut short or is not as expected"),
        ("no route", r"no longer answers this version.*no Route matched.*mp-api 0\..*pip install --upgrade mp-api"),
    ],
)
def test_trouble_that_stays_is_told(
    server: Server, cache: Path, name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.trouble = happening(name, is_listing)
    with pytest.raises(RunError, match=message) as caught:
        download.download(Query(), KEY, cache)
    assert KEY not in str(caught.value) + "".join(capsys.readouterr())
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("name", "message"),
    [("page repeats", "lists 1,000 different ids where 1,264"), ("documents repeat", "lists 1,001 different ids")],
)
def test_ids_that_a_repeated_page_hides_are_missed(server: Server, cache: Path, name: str, message: str) -> None:
    server.trouble = happening(name, is_second_page)
    with pytest.raises(RunError, match=message):
        download.download(Query(), KEY, cache)


def test_documents_that_never_come_are_named(server: Server, cache: Path) -> None:
    server.trouble = happening("documents repeat", is_second_chunk)
    with pytest.raises(RunError, match=r"lists mp-20\d+, mp-20\d+, mp-20\d+ \.\.\. but does not send them"):
        download.download(Query(), KEY, cache)


@pytest.mark.parametrize(
    ("status", "message"),
    [(403, r"connection to the Materials Project failed \(heartbeat answered 403\)"), (404, "no Route matched")],
)
def test_heartbeat_that_is_refused(server: Server, cache: Path, status: int, message: str) -> None:
    server.heartbeat_status = status
    with pytest.raises(RunError, match=message):
        download.download(Query(), KEY, cache)


@pytest.mark.parametrize("name", ["drip", "asks to wait"])
def test_a_server_that_takes_its_time_is_left_and_what_came_is_kept(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(connection, "LONGEST", 1.0)
    server.trouble = happening(name, is_second_chunk)
    message = {
        "drip": "no whole answer within 1 s; check the network",
        "asks to wait": r"\(429\) and asks to wait 86,400 s",
    }[name]
    begun = time.monotonic()
    with pytest.raises(RunError, match=f"{message}.*; 500 of 1,264 documents are kept"):
        download.download(Query(), KEY, cache)
    assert time.monotonic() - begun < 10


def test_a_short_wait_that_the_server_asks_for_is_told_and_waited_for(
    server: Server, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.retry_after = 1
    server.trouble = happening("asks to wait", is_listing, times=1)
    begun = time.monotonic()
    assert len(download.download(Query(chemsys=("Ge-Si",)), KEY, cache).table) == 8
    assert time.monotonic() - begun >= 1
    assert "asks to wait 1 s; asking again in 1 s" in capsys.readouterr().err


@pytest.mark.parametrize("heartbeats", [0, 1])
def test_a_heartbeat_that_does_not_come_is_not_waited_for_for_ever(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch, heartbeats: int
) -> None:
    from mp_api.client.core.client import _Rester

    monkeypatch.setattr(connection, "LONGEST", 0.3)
    # Known since an earlier test in this process, the client does not ask for its own.
    monkeypatch.setattr(_Rester, "_get_heartbeat_info", staticmethod(_Rester._get_heartbeat_info.__wrapped__))
    server.heartbeats = heartbeats
    with pytest.raises(RunError, match=r"no whole answer within 0\.3 s"):
        download.download(Query(), KEY, cache)


@pytest.mark.parametrize("total", [10**9, 10**12])
def test_a_list_without_end_is_not_begun(server: Server, cache: Path, total: int) -> None:
    server.total = total
    with pytest.raises(RunError, match=r"not as expected \(no number of entries from 0 to 10,000,000\)"):
        download.download(Query(), KEY, cache)
    assert len(server.requests) == 4


def test_no_more_pages_are_asked_for_than_the_entries_fill(server: Server, cache: Path) -> None:
    def grow(parameters: dict[str, str]) -> str | None:
        server.total = 10**9 if is_listing(parameters) else None
        return "page repeats" if is_second_page(parameters) else None

    server.trouble = grow
    with pytest.raises(RunError, match="lists 1,000 different ids where 1,264 entries match"):
        download.download(Query(), KEY, cache)
    assert sum(map(is_listing, server.requests)) == 2 * 4


@pytest.mark.parametrize(("name", "value"), [("MAX_RETRIES", -1), ("BACKOFF_FACTOR", -0.5), ("BACKOFF_FACTOR", np.nan)])
def test_settings_of_the_client_that_make_no_sense_are_named(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    from mp_api.client.core.settings import MAPI_CLIENT_SETTINGS

    monkeypatch.setattr(MAPI_CLIENT_SETTINGS, name, value)
    with pytest.raises(InputError, match=f"setting MPRESTER_{name} is {value}; set it to 0 or more"):
        download.download(Query(), KEY, cache)


def test_heartbeat_that_says_nothing(server: Server, cache: Path) -> None:
    server.database_version = None
    with pytest.raises(RunError, match=r"not as expected \(no version of the database\)"):
        download.download(Query(), KEY, cache)


@pytest.mark.parametrize("error", [KeyError("mistake"), TypeError("mistake"), AttributeError("mistake")])
def test_a_mistake_in_reading_an_answer_is_not_taken_for_the_servers(server: Server, error: Exception) -> None:
    answers = []

    def read(answer: Any) -> str:
        answers.append(answer)
        raise error

    client = materials_project.Server(KEY)
    with pytest.raises(type(error), match="mistake"):
        client.ask(partial(requests.get, f"{client.endpoint}heartbeat"), read)
    assert len(answers) == 1


def test_a_call_that_the_client_does_not_know_is_not_tried_again(server: Server) -> None:
    client = materials_project.Server(KEY)
    with pytest.raises(TypeError, match="unexpected keyword"):
        client.ask(partial(client._client.count, nonsense=1), int)  # type: ignore[call-arg]
    assert not server.requests


def test_nobody_answers(cache: Path, monkeypatch: pytest.MonkeyPatch, documents: Documents) -> None:
    with serving(documents[:1]) as gone:
        monkeypatch.setenv("MP_API_ENDPOINT", gone.endpoint)
    with pytest.raises(RunError, match=r"connection to the Materials Project failed .*refused.*check the network"):
        download.download(Query(), KEY, cache)
