"""Structures that no gap can be predicted for, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bandgaps.errors import InputError


@dataclass(frozen=True)
class Fault:
    """What is wrong with a structure.

    Attributes:
        reason: the kind of fault, by which structures are counted.
        message: what was found in this structure, and what to do.
        contents: its atoms, such as Si2 O4, where they help to find it.
    """

    reason: str
    message: str
    contents: str = ""

    def named(self, row: int, names: Sequence[str] | None = None) -> str:
        """The message, after the name of the structure in this row."""
        if names is not None:
            return f"{names[row]}: {self.message}"
        return f"structure {row}{f' ({self.contents})' if self.contents else ''}: {self.message}"


Faults = dict[int, Fault]  # by row


def refuse(faults: Faults, names: Sequence[str] | None = None) -> None:
    """Raise InputError for the first structure with a fault, if there is one.

    Args:
        faults: of structures, by row.
        names: what to call each structure; its row where there are none.
    """
    if faults:
        row = min(faults)
        raise InputError(faults[row].named(row, names))


def counts(faults: Faults) -> dict[str, int]:
    """Number of structures for each reason."""
    reasons = [fault.reason for fault in faults.values()]
    return {reason: reasons.count(reason) for reason in sorted(set(reasons))}


def summary(faults: Faults, names: Sequence[str]) -> list[str]:
    """One line for each reason: how many structures have that fault, and the first of them by name."""
    first: dict[str, int] = {}
    for row in sorted(faults):
        first.setdefault(faults[row].reason, row)
    return [
        f"left out {count:,} with {reason}; the first is {faults[first[reason]].named(first[reason], names)}"
        for reason, count in counts(faults).items()
    ]
