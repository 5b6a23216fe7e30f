"""Time left of a training, and of long lists of predictions."""

from __future__ import annotations

import sys
import time

LINE_EVERY = 5.0  # s, between lines of progress


class Clock:
    """Time left, from the epochs done in this process; the first, which compiles the network, is left out."""

    def __init__(self, epochs: int) -> None:
        self.remaining, self.done, self.start = epochs, -1, time.monotonic()
        self.last_printed = self.start

    def tick(self) -> None:
        """One more epoch is done."""
        self.done, self.remaining = self.done + 1, self.remaining - 1
        if self.done == 0:
            self.start = time.monotonic()

    def skip(self, epochs: int) -> None:
        """So many epochs need not be done."""
        self.remaining -= epochs

    def due(self) -> bool:
        """Whether a line of progress is due, which it is once in a while however short epochs are."""
        now = time.monotonic()
        if now - self.last_printed < LINE_EVERY:
            return False
        self.last_printed = now
        return True

    def left(self) -> str:
        """The time left, as the end of a line of progress."""
        if self.done < 1:
            return ""
        return f"  at most {clock((time.monotonic() - self.start) / self.done * self.remaining)} left"


class Line:
    """Lines on stderr, once in a while, of how many of a long list are done."""

    def __init__(self, what: str, total: int, done: int) -> None:
        """Begin.

        Args:
            what: the list is of.
            total: its length.
            done: how many of it an earlier run has done.
        """
        self.what, self.total, self.first = what, total, done
        self.start = self.last_printed = time.monotonic()
        if done:
            print(f"going on after {done:,} of {total:,} {what}", file=sys.stderr, flush=True)

    def tell(self, done: int) -> None:
        """So many are done now."""
        now = time.monotonic()
        if now - self.last_printed < LINE_EVERY or done >= self.total:
            return
        self.last_printed = now
        left = (now - self.start) / (done - self.first) * (self.total - done)
        print(f"{done:,} of {self.total:,} {self.what}  {clock(left)} left", file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """A time as a clock shows it, `4:07` or `1:02:33`."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
