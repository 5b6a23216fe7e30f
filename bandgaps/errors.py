"""Errors a user can cause, and the exit code each ends a script with."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


class InputError(Exception):
    """Bad usage or input: the message names the file, field or flag, what was found, and what to do. Exit code 2."""


class RunError(Exception):
    """A run that failed for a reason outside the input, such as the network. Exit code 1."""


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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains once more when it ends
        return 141
    except InputError as error:
        return _report(str(error), 2)
    except RunError as error:
        return _report(str(error), 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _report(f"{where}{error.strerror or error}; check the path, its permissions and the space left", 1)
    except MemoryError:
        return _report("out of memory; use a smaller table or smaller batches", 1)
    except KeyboardInterrupt:
        return _report("interrupted", 130)
    return 0


def _report(message: str, code: int) -> int:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return code
