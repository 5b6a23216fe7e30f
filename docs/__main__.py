"""Write the pages whose numbers come from JSON files: python -m docs [--check]."""

from __future__ import annotations

import argparse
import sys

from bandgaps.errors import RunError, exit_code
from bandgaps.files import replacing
from docs import examples
from docs.pages import PAGES, ROOT, render


def main() -> None:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(
        prog="python -m docs",
        description=f"Write {', '.join(PAGES)} from the templates in docs/ and the JSON files listed in docs/pages.py.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 and name the pages that differ")
    parser.add_argument("--examples", action="store_true", help="first run anew the commands that README.md shows")
    asked = parser.parse_args()
    if asked.examples:
        examples.write()
    check = asked.check
    pages = {page: render(page) for page in PAGES}
    changed = [page for page, text in pages.items() if not _stands(page, text)]
    if check and changed:
        raise RunError(f"{', '.join(changed)}: not what templates and JSON files give; run `make docs`")
    for page in changed:
        with replacing(ROOT / page) as temporary:
            temporary.write_text(pages[page], encoding="utf-8")
        print(f"wrote {page}")
    print(f"{len(pages) - len(changed)} of {len(pages)} pages were up to date")


def _stands(page: str, text: str) -> bool:
    path = ROOT / page
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(exit_code(main))
