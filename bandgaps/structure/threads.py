"""How many threads a process starts for work on graphs and in TensorFlow."""

from __future__ import annotations

from bandgaps.processors import cores

_processes = 1


def share(processes: int) -> None:
    """Leave to this process its part of the cores, which so many processes share."""
    global _processes
    _processes = processes


def count() -> int:
    """Threads for this process, 1 or more."""
    return max(1, cores() // _processes)
