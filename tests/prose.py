"""Sentences of a Markdown page as a reader counts them, and examples that are as they were."""

from __future__ import annotations

import re

import pytest

ABBREVIATED = r"\b(?:al|Nat|Phys|Rev|Mater|Chem|Lett|Comput|Theory|Sci|Appl|Cryst|Ref|Inf|Proc|Struct|[A-Z])\."
END = re.compile(r"(?<=[.!?])[*)_]*\s+(?=[A-ZÅσ*`\[(_])")


def sentences(page: str) -> list[str]:
    """Sentences of paragraphs, list items, headings and cells of tables; code that stands by itself is left out."""
    found = []
    for block in _blocks(page):
        text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", block)
        text = re.sub(ABBREVIATED, lambda match: match[0][:-1], text)
        found += [sentence for sentence in END.split(text) if words(sentence)]
    return found


def words(text: str) -> list[str]:
    """What has a letter or a digit, code as one word."""
    return [word for word in re.sub(r"`[^`]*`", "code", text).split() if re.search(r"\w", word)]


def cells(page: str) -> list[str]:
    """The cells of all tables."""
    rows = [line for line in page.splitlines() if line.startswith("|")]
    return [cell.strip() for row in rows for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def _blocks(page: str) -> list[str]:
    """Paragraphs and list items with their lines joined, headings, and cells of tables."""
    found: list[str] = []
    fresh = True
    for line in re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL).splitlines():
        if line.startswith("|"):
            fresh = True
        elif not line.strip() or line.startswith(("    ", "#", "!")):
            fresh = True
            found += [line.lstrip("# ")] if line.startswith("#") else []
        elif fresh or re.match(r"\s*(?:[-*]|\d+\.)\s", line):
            found.append(line.strip())
            fresh = False
        else:
            found[-1] += " " + line.strip()
    return found + cells(page)


def assert_alike(now: dict[str, str], kept: dict[str, str]) -> None:
    """The same words and, within 0.02, the same numbers in two runs of an example of `docs.examples`."""
    assert now.keys() == kept.keys()
    for key in now:
        told, before = (re.sub(r"\s+", " ", re.sub(r"\d+(?:\.\d+)?", "#", each[key])) for each in (now, kept))
        assert told == before
        numbers = ([float(number) for number in re.findall(r"\d+\.\d+", each[key])] for each in (now, kept))
        assert next(numbers) == pytest.approx(next(numbers), abs=0.02)
