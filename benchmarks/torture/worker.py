"""python -m benchmarks.torture.worker, which runs attempts one after the other in one process.

It reads a line of JSON for each, {"script", "arguments", "folder", "environment"}, and answers with a line of JSON,
{"code", "output", "errors"}. The libraries are loaded once, so that hundreds of attempts take minutes.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from bandgaps.errors import exit_code
from bandgaps.table import connection

LONGEST = 3.0  # s, that an answer of the server on loopback may take
LARGEST = 20_000_000  # bytes, of such an answer
SHOWN = 4000  # characters of what was printed


def main() -> None:
    """Answer until nothing more is asked."""
    connection.LONGEST = connection.LONGEST_WAIT = LONGEST
    connection.LARGEST = LARGEST
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print past Python is no answer
    for line in sys.stdin:
        print(json.dumps(attempt(**json.loads(line))), file=channel, flush=True)


def attempt(script: str, arguments: Sequence[str], folder: str, environment: dict[str, str]) -> dict[str, Any]:
    """What a script ends in."""
    output, errors = io.StringIO(), io.StringIO()
    os.environ.update(environment)
    with contextlib.chdir(folder), contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            code: Any = exit_code(lambda: import_module(script).main(arguments))
        except SystemExit as stop:  # by argparse
            code = stop.code
        except BaseException:
            traceback.print_exc()
            code = 1
    return {"code": code, "output": output.getvalue()[-SHOWN:], "errors": errors.getvalue()[-SHOWN:]}


if __name__ == "__main__":
    main()
