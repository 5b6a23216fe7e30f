"""Errors a user can cause, and the exit code each ends a script with."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

SHOWN = 80  # characters of what an error quotes
LINE = 2000  # characters of an error as a whole


class InputError(Exception):
    """Bad usage or input: the message names the file, field or flag, what was found, and what to do. Exit code 2."""


class RunError(Exception):
    """A run that failed for a reason outside the input, such as the network. Exit code 1."""


def shortened(value: object, most: int = SHOWN) -> str:
    """The text of a value on one line, cut where it is longer than an error should quote."""
    text = " ".join(str(value)[: 4 * most].split())
    return text if len(text) <= most else f"{text[:most]}…"


def quoted(value: object) -> str:
    """A value as an error quotes it: in quotation marks if it is a text, and cut where it is long."""
    if isinstance(value, str):
        return repr(value if len(value) <= SHOWN else f"{value[:SHOWN]}…")
    return shortened(repr(value))


def exit_code(main: Callable[[], None]) -> int:
    """Run a script's main function; print what went wrong as one line and return the exit code.

    Returns:
        0 on success, 1 for a failed run, 2 for bad input, 130 when interrupted from the keyboard, 141 when nobody reads
        the output any more, as in `... | head`.
    """
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return 141
    except InputError as error:
        return _report(str(error), 2)
    except RunError as error:
        return _report(str(error), 1)
    except OSError as error:
        where = error.filename or ("standard output" if error.errno == errno.ENOSPC else "")  # which has no name
        if where == "standard output":
            _discard_output()
        where = f"{where}: " if where else ""
        return _report(f"{where}{error.strerror or error}; check the path, its permissions and the space left", 1)
    except MemoryError:
        return _report("out of memory; use a smaller table or smaller batches", 1)
    except KeyboardInterrupt:
        return _report("interrupted", 130)
    return 0


def _discard_output() -> None:
    """Discard what is left to print, or Python reports the closed pipe once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(message: str, code: int) -> int:
    print("error: " + shortened(message, LINE), file=sys.stderr)
    return code
