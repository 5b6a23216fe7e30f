"""Time left of a training."""

from __future__ import annotations

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
        seconds = round((time.monotonic() - self.start) / self.done * self.remaining)
        hours, minutes = seconds // 3600, seconds // 60 % 60
        clock = f"{hours}:{minutes:02d}:{seconds % 60:02d}" if hours else f"{minutes}:{seconds % 60:02d}"
        return f"  at most {clock} left"
