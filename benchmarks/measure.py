"""Timing a peer and ours in turn, and what is told of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
TABLE = SHARED / "mp-2019.json.gz"

Entry = dict[str, Any]


def in_turn(peer: Callable[[], Any], ours: Callable[[], Any], times: int = 2) -> tuple[float, float, Any, Any]:
    """Best wall time (s) of each over several turns, peer first, and what each returned last."""
    best = [float("inf"), float("inf")]
    results: list[Any] = [None, None]
    for _ in range(times):
        for which, run in enumerate((peer, ours)):
            results[which] = None  # two large tables at once are not part of the comparison
            start = time.perf_counter()
            results[which] = run()
            best[which] = min(best[which], time.perf_counter() - start)
    return best[0], best[1], results[0], results[1]


def speed(what: str, unit: str, amount: float, peer: float, ours: float, same: bool) -> Entry:
    """An entry for two times (s) over the same amount, told as amounts a second."""
    return entry(what, unit, amount / peer, amount / ours, peer / ours, same)


def duration(what: str, peer: float, ours: float, same: bool) -> Entry:
    """An entry for two times, told in seconds."""
    return entry(what, "s", peer, ours, peer / ours, same)


def entry(what: str, unit: str, peer: float, ours: float, ratio: float, same: bool) -> Entry:
    """One line of the results; `ratio` is above 1 where ours is faster."""
    return {
        "what": what,
        "unit": unit,
        "peer": float(peer),
        "ours": float(ours),
        "ratio": float(ratio),
        "same": bool(same),
    }
