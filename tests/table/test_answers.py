"""How much of an answer of a server the client takes."""

from __future__ import annotations

import pytest
import requests
from materials_project_server import KEY, crystals, serving

from bandgaps.errors import RunError
from bandgaps.table import connection
from bandgaps.table.materials_project import Query, Server


@pytest.mark.usefixtures("schema_made_once")
@pytest.mark.parametrize("trouble", ["bomb", "redirect with a bomb"])
def test_an_answer_that_unpacks_without_end_is_left(trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LARGEST", 5_000_000)
    with serving(crystals()[:3]) as server:
        monkeypatch.setenv("MP_API_ENDPOINT", server.endpoint)
        client = Server(KEY)
        server.trouble = lambda _: trouble
        with pytest.raises(RunError, match="sent an answer of more than 5,000,000 bytes; check MP_API_ENDPOINT"):
            client.count(Query())
        assert len(server.requests) == 1


def test_a_heartbeat_has_a_bound_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(crystals()[:3]) as server:
        assert connection.get(f"{server.endpoint}heartbeat").json()["status"] == "OK"
        monkeypatch.setattr(connection, "LARGEST", 10)
        with pytest.raises(connection.LargeAnswerError):
            connection.get(f"{server.endpoint}heartbeat")


def test_an_answer_is_as_requests_gives_it() -> None:
    with serving(crystals()[:3]) as server:
        own, plain = (get(f"{server.endpoint}heartbeat") for get in (connection.get, requests.get))
    assert (own.content, own.text, own.json()) == (plain.content, plain.text, plain.json())
