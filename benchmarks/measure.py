"""Timing a peer and ours in turn, and what is told of it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any, TypedDict


class Entry(TypedDict):
    """One row of the results.

    Attributes:
        what: what was done, and by which peer.
        unit: of `peer` and `ours`.
        peer: what the peer reached.
        ours: what ours reached.
        ratio: of the times, peer's to ours; above 1 where ours is faster.
        same: whether both gave the same answer.
    """

    what: str
    unit: str
    peer: float
    ours: float
    ratio: float
    same: bool


def in_turn(peer: Callable[[], Any], ours: Callable[[], Any], times: int = 2) -> tuple[float, float, Any, Any]:
    """Best wall time (s) of each over several turns, peer first, and what each returned last."""
    best = [float("inf"), float("inf")]
    results: list[Any] = [None, None]
    for _ in range(times):
        for which, run in enumerate((peer, ours)):
            results[which] = None
            seconds, results[which] = timed(run)
            best[which] = min(best[which], seconds)
    return best[0], best[1], results[0], results[1]


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Wall time (s) of a call, and what it returns.

    Objects that were there before are hidden from the garbage collector, which would go through them again and again
    while the call makes objects of its own.
    """
    gc.freeze()
    start = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - start
    gc.unfreeze()
    return seconds, result


def speed(what: str, unit: str, amount: float, peer: float, ours: float, same: bool) -> Entry:
    """An entry for two times (s) over the same amount, told as amounts a second."""
    return _entry(what, unit, amount / peer, amount / ours, peer / ours, same)


def duration(what: str, peer: float, ours: float, same: bool) -> Entry:
    """An entry for two times, told in seconds."""
    return _entry(what, "s", peer, ours, peer / ours, same)


def _entry(what: str, unit: str, peer: float, ours: float, ratio: float, same: bool) -> Entry:
    """Plain Python numbers, which JSON can hold."""
    return Entry(what=what, unit=unit, peer=float(peer), ours=float(ours), ratio=float(ratio), same=bool(same))
