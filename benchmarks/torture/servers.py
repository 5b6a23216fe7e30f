"""A Materials Project on loopback whose answers are changed at random."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.torture.inputs import Random, mutated
from benchmarks.torture.runs import ROOT, Attempt

sys.path.insert(0, str(ROOT / "tests"))
from materials_project_server import KEY, Server, crystals, serving

WHAT = "server answers"
TROUBLES = [
    "too many requests", "server error", "bad gateway", "cut", "truncated", "page repeats", "documents repeat",
    "no ids", "no data", "a list", "no route", "redirect", "asks to wait", "drip", "unauthorized", "bad request",
    "bomb", "redirect with a bomb",
]  # fmt: skip


@contextmanager
def troubled(random: Random) -> Iterator[Attempt]:
    """Within it, a server answers a query as the attempt says."""
    documents = crystals()[:40]
    with serving(documents) as elsewhere, serving(documents) as server:
        server.elsewhere = elsewhere.endpoint
        note = _misbehave(random, server)
        environment = {"MP_API_ENDPOINT": server.endpoint, "MP_API_KEY": KEY}
        yield Attempt(WHAT, "query", ["--source", "mp", "--output", "out.json.gz"], note, environment)


def told_to_others(folder: Path, output: str) -> bool:
    """Whether the key is in what was printed or written."""
    written = (path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return KEY in output or any(KEY.encode() in content for content in written)


def _misbehave(random: Random, server: Server) -> str:
    """Choose what goes wrong; in words."""
    if random.random() < 0.5:
        count = int(random.integers(1, 6))
        for _ in range(count):
            place = int(random.integers(len(server.documents)))
            own = server.documents[place]
            server.documents[place] = _searchable(own, mutated(random, own))
        return f"{count} damaged documents"
    trouble = TROUBLES[random.integers(len(TROUBLES))]
    times = int(random.integers(1, 9))
    begin = int(random.integers(0, 4))

    def happen(_: dict[str, str]) -> str | None:
        return trouble if begin <= len(server.requests) - 1 < begin + times else None

    server.trouble = happen
    return f"{trouble}, requests {begin} to {begin + times}"


def _searchable(sound: dict[str, Any], changed: Any) -> dict[str, Any]:
    """A changed document that the server itself can still search and sort."""
    own = changed if isinstance(changed, dict) else {}
    needed = ("material_id", "has_props", "energy_above_hull", "elements")
    return {**{key: value for key, value in own.items() if isinstance(key, str)}, **{key: sound[key] for key in needed}}
