"""Numbers in the documents, written there from the metrics: python -m bandgaps.report.

A number stands between a comment that says where it comes from and an empty one, both invisible on the page:

    <!--composition.json non-metals/mae .2f-->0.53<!---->

names a file under data/metrics, the keys that lead to the number, and how it is printed. `@file` names any other JSON
file of the repository.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from bandgaps.errors import InputError, exit_code
from bandgaps.files import read_json, replacing

DOCUMENTS = ("README.md", "DISCUSSION.md", "data/models/README.md", "data/orderings/README.md")
METRICS = Path("data") / "metrics"
_NUMBER = re.compile(r"<!--(?P<file>@?[\w./-]+\.json) (?P<keys>\S+) (?P<format>\S+)-->(?P<shown>[^<]*)<!---->")


def filled(text: str, root: Path) -> str:
    """The document with every number as the metrics have it now.

    Raises:
        InputError: a file, a key or a format that the document names does not exist.
    """
    return _NUMBER.sub(lambda match: _filled(match, root), text)


def _filled(match: re.Match[str], root: Path) -> str:
    file, keys, form = match["file"], match["keys"], match["format"]
    path = root / file.removeprefix("@") if file.startswith("@") else root / METRICS / file
    try:
        shown = format(_value(read_json(path), keys), form)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no number {keys!r} to print as {form!r} ({error!r}); run `make figures`") from None
    return f"<!--{file} {keys} {form}-->{shown}<!---->"


def _value(content: Any, keys: str) -> Any:
    for key in keys.split("/"):
        content = content[int(key)] if isinstance(content, list) else content[key]
    return content


def main() -> None:
    """Fill in the documents of the repository."""
    root = Path(__file__).parents[1]
    for name in DOCUMENTS:
        old = (root / name).read_text(encoding="utf-8")
        new = filled(old, root)
        if new != old:
            with replacing(root / name) as temporary:
                temporary.write_text(new, encoding="utf-8")
        print(
            f"{name}: {len(_NUMBER.findall(new))} numbers as in {METRICS}/{'' if new == old else ', some of them new'}"
        )


if __name__ == "__main__":
    sys.exit(exit_code(main))
