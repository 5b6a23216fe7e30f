"""A connection whose answers come whole within a time, and which tells the key to no other host.

`requests` limits the time between two bytes only, and follows a redirect to any host with all headers but passwords.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter

from bandgaps.errors import RunError

Answer = TypeVar("Answer")
SILENCE = 20  # s between two bytes; the client's own
LONGEST = 60.0  # s that an answer may take as a whole
LARGEST = 500_000_000  # bytes of an answer; of 500 crystals of 400 atoms it has a tenth
PIECE = 1_000_000  # bytes that are received at once
LONGEST_WAIT = 60.0  # s that the server may ask to wait before the next request


class SlowAnswerError(RunError):
    """An answer was not whole when its time was up."""


class LargeAnswerError(RunError):
    """An answer is larger than any that was asked for."""


class RedirectError(RunError):
    """The server asks to take the key to another host."""


class TooManyRequestsError(Exception):
    """The server asks to wait.

    Attributes:
        seconds: how long, None where it did not say.
    """

    def __init__(self, seconds: float | None) -> None:
        super().__init__("too many requests")
        self.seconds = seconds


def within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """The result of a call that waits for a server.

    Raises:
        SlowAnswerError: the time is up. What the call does afterwards is not waited for, and ends with the process.
    """
    result: list[Answer] = []
    trouble: list[BaseException] = []

    def run() -> None:
        try:
            result.append(call())
        except BaseException as error:
            trouble.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if trouble:
        raise trouble[0]
    if not result:
        raise SlowAnswerError(
            f"the Materials Project sent no whole answer within {seconds:g} s; check the network, and try again later"
        )
    return result[0]


class _Bounded(HTTPAdapter):
    """Receives answers up to `LARGEST`, those included that only name another address."""

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        response = super().send(*args, **{**kwargs, "stream": True})
        received = bytearray()
        for piece in response.iter_content(PIECE):
            received += piece
            if len(received) > LARGEST:
                response.close()
                raise LargeAnswerError(
                    f"the Materials Project sent an answer of more than {LARGEST:,} bytes; check MP_API_ENDPOINT"
                )
        response._content = bytes(received)  # where `requests` keeps what it has received by itself
        return response


def get(url: str) -> requests.Response:
    """The answer to a request without the key."""
    with requests.Session() as session:
        _bound(session)
        return session.get(url, timeout=SILENCE)


def _bound(session: requests.Session) -> None:
    for beginning in ("https://", "http://"):
        session.mount(beginning, _Bounded())


class Session(requests.Session):
    """Sends the key with every request."""

    def __init__(self, key: str, program: str) -> None:
        super().__init__()
        _bound(self)
        self.headers.update({"x-api-key": key, "user-agent": program})

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request, and wait for the whole answer.

        Raises:
            SlowAnswerError: it takes longer than `LONGEST`.
            RedirectError: it names another host than the one asked.
            TooManyRequestsError: it asks to wait.
        """
        response = within(LONGEST, lambda: super(Session, self).send(request, **{"timeout": SILENCE, **kwargs}))
        if response.status_code == requests.codes.too_many_requests:
            raise TooManyRequestsError(_seconds(response.headers.get("Retry-After", "")))
        return response

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Called by `requests` before it follows a redirect; it goes no further than a password would."""
        if self.should_strip_auth(str(response.request.url), str(prepared_request.url)):
            host = str(prepared_request.url).split("/")[2]
            raise RedirectError(
                f"the Materials Project's server asks to take the request to another address, {host[:80]}, which must "
                "not learn the key; check MP_API_ENDPOINT and the network"
            )
        super().rebuild_auth(prepared_request, response)


def _seconds(text: str) -> float | None:
    """What a header Retry-After says, None for nothing or a date."""
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None
