"""A trained model on disk: a folder with a card, `model.json`, and arrays, `*.npz`, that cannot run code.

The card says what the model is, what it was trained on and how well it did; it holds the checksum of every array
file, so that a damaged or half-copied model is noticed before it predicts anything.
"""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bandgaps.errors import InputError
from bandgaps.files import read_json, replacing_folder, restore, sha256, write_json

CARD = "model.json"
Arrays = Mapping[str, np.ndarray]
NO_ARRAYS = (ValueError, TypeError, OSError, EOFError, RuntimeError, MemoryError, zlib.error, zipfile.BadZipFile)


def save(folder: Path | str, card: Mapping[str, Any], members: Mapping[str, Arrays]) -> None:
    """Write a model folder, atomically.

    Args:
        folder: where to; what stands there is replaced once the new model is complete.
        card: what a reader wants to know of the model; must be JSON.
        members: named groups of arrays; each becomes NAME.npz.
    """
    with replacing_folder(folder) as temporary:
        for name, arrays in members.items():
            np.savez_compressed(temporary / f"{name}.npz", allow_pickle=False, **arrays)
        checksums = {file.name: sha256(file) for file in sorted(temporary.glob("*.npz"))}
        write_json({**card, "sha256": checksums}, temporary / CARD)


def load(folder: Path | str, kind: str) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    """Read a model folder: its card, and the arrays of each member.

    Raises:
        InputError: there is no model of this kind in the folder, or it is damaged.
    """
    folder = Path(folder)
    card = read_card(folder, kind)
    return card, {Path(name).stem: _arrays(folder / name, digest) for name, digest in card["sha256"].items()}


def update(folder: Path | str, kind: str, card: Mapping[str, Any], members: Mapping[str, Arrays]) -> None:
    """Replace entries of a model's card and groups of its arrays, atomically; all else stays as it is.

    Args:
        folder: of the model.
        kind: of the model.
        card: the entries.
        members: the groups.

    Raises:
        InputError: there is no model of this kind in the folder.
    """
    content = read_card(folder, kind)
    with replacing_folder(folder) as temporary:
        shutil.copytree(folder, temporary, dirs_exist_ok=True)
        for name, arrays in members.items():
            np.savez_compressed(temporary / f"{name}.npz", allow_pickle=False, **arrays)
        checksums = content["sha256"] | {f"{name}.npz": sha256(temporary / f"{name}.npz") for name in members}
        write_json({**content, "sha256": checksums, **card}, temporary / CARD)


def read_card(folder: Path | str, kind: str) -> dict[str, Any]:
    """Read the card of a model folder.

    Raises:
        InputError: there is no model of this kind in the folder.
    """
    folder = Path(folder)
    restore(folder)
    if not (folder / CARD).is_file():
        raise InputError(f"{folder}: no model there (no {CARD}); train one first, or name another folder")
    card = read_json(folder / CARD)
    if not isinstance(card, dict) or card.get("kind") != kind or not isinstance(card.get("sha256"), dict):
        found = card.get("kind", "no kind") if isinstance(card, dict) else "no card"
        raise InputError(f"{folder / CARD}: found {found!r}, wanted a {kind!r}; name the folder of such a model")
    return card


def provenance(packages: tuple[str, ...]) -> dict[str, Any]:
    """Date (UTC) and versions of the packages that a result stands on, for cards and accounts."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {package: version(package) for package in packages},
    }


def _arrays(path: Path, digest: str) -> dict[str, np.ndarray]:
    try:
        if sha256(path) != digest:
            raise InputError(f"{path}: its checksum is not the one in {CARD}; the model is damaged, train it again")
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        raise InputError(f"{path}: missing, though {CARD} names it; train the model again") from None
    except NO_ARRAYS as error:
        raise InputError(f"{path}: not readable as arrays ({error}); train the model again") from None
