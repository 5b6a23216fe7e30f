"""The account of how a table came about, in a file beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bandgaps.files import read_json, sha256, write_json


@dataclass(frozen=True)
class Step:
    """One step of cleaning: what it kept, and how many rows were left after it."""

    kept: str
    rows: int


def meta_path(path: Path | str) -> Path:
    """Where the account of a table lies: `data/bandgaps.json.gz` has `data/bandgaps.meta.json`."""
    path = Path(path)
    return path.with_name(stem(path) + ".meta.json")


def stem(path: Path | str) -> str:
    """File name of a table without its suffixes."""
    return re.sub(r"\.(json|csv)(\.gz)?$", "", Path(path).name)


def write_meta(path: Path | str, meta: dict[str, Any]) -> None:
    """Write the account of the table at `path` (source, filters, counts, date), with its checksum, beside it."""
    write_json({**meta, "sha256": sha256(path)}, meta_path(path))


def read_meta(path: Path | str) -> dict[str, Any]:
    """The account of the table at `path`; empty where there is none or where it belongs to other contents."""
    beside = meta_path(path)
    if not beside.exists() or not Path(path).exists():
        return {}
    meta = read_json(beside)
    return meta if isinstance(meta, dict) and meta.get("sha256") == sha256(path) else {}
