"""The account of how a table came about, in a file beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from bandgaps.files import read_json, sha256, write_json
from bandgaps.model_folders import provenance
from bandgaps.schemas import Schema, checked
from bandgaps.table import columns

PACKAGES = ("pymatgen", "pandas", "numpy", "mp-api")


@dataclass(frozen=True)
class Step:
    """One step of cleaning: what it kept, and how many rows were left after it."""

    kept: str
    rows: int


class _Filters(Schema):
    leave_out: list[str] = Field(default_factory=list)


class _Account(Schema):
    """What is read from an account; the rest is for people."""

    target: str = "band_gap"
    source: str | None = None
    filters: _Filters = _Filters()


def meta_path(path: Path | str) -> Path:
    """Where the account of a table lies: `data/bandgaps.json.gz` has `data/bandgaps.meta.json`."""
    path = Path(path)
    return path.with_name(stem(path) + ".meta.json")


def stem(path: Path | str) -> str:
    """File name of a table without its suffixes."""
    return re.sub(r"\.(json|csv)(\.gz)?$", "", Path(path).name)


def write_meta(path: Path | str, meta: dict[str, Any]) -> None:
    """Write the account of the table at `path` beside it, with date, versions of packages and the table's checksum."""
    write_json({**meta, **provenance(PACKAGES), "sha256": sha256(path)}, meta_path(path))


def read_meta(path: Path | str) -> dict[str, Any]:
    """The account of the table at `path`; empty where there is none or where it belongs to other contents.

    Raises:
        InputError: it is damaged.
    """
    beside = meta_path(path)
    if not beside.exists() or not Path(path).exists():
        return {}
    meta = read_json(beside)
    if not isinstance(meta, dict) or meta.get("sha256") != sha256(path):
        return {}
    checked(_Account, meta, beside, "write the table again with query.py, or delete this file")
    return meta


def outcome(table: pd.DataFrame, target: str, steps: Sequence[Step]) -> dict[str, Any]:
    """What the steps left, and how many rows each part of the finished table has."""
    return {
        "steps": [{"kept": step.kept, "rows": step.rows} for step in steps],
        "counts": columns.counts(table, target),
    }


def in_words(meta: dict[str, Any]) -> str:
    """The steps of an account with their counts, as a table, and the counts of the parts."""
    steps = [(f"{step['rows']:,}", step["kept"]) for step in meta["steps"]]
    width = max(len(rows) for rows, _ in [("rows", ""), *steps])
    lines = [f"{rows:>{width}}  {kept}" for rows, kept in [("rows", "kept"), *steps]]
    lines += ["", ", ".join(f"{count:,} {name}" for name, count in meta["counts"].items())]
    if measured := meta["measured"]:
        lines.append(
            f"{measured['matched']:,} of the {measured['formulas']:,} formulas in {measured['input']} are in the table"
        )
    return "\n".join(lines)
