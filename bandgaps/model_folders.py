"""A trained model on disk: a folder with a card, `model.json`, and arrays, `*.npz`, that cannot run code.

The card says what the model is, what it was trained on and how well it did; it holds the checksum of every array
file, so that a damaged or half-copied model is noticed before it predicts anything. A folder may come from anybody: the
card is held to a schema, and the arrays to what the card promises, by their headers, before their numbers are read.
"""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field

from bandgaps import array_files
from bandgaps.array_files import Wanted
from bandgaps.errors import InputError, quoted
from bandgaps.files import read_json, replacing_folder, restore, sha256, write_json
from bandgaps.schemas import Schema, checked

CARD = "model.json"
Arrays = Mapping[str, np.ndarray]
Content = dict[str, Any]  # of a card
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
ADVICE = "train the model again, or get it again from where it came"


def _in_folder(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError("not a name in this folder")
    return name


def _of_arrays(name: str) -> str:
    if not name.endswith(".npz"):
        raise ValueError("not the name of a file of arrays, .npz")
    return _in_folder(name)


FolderName = Annotated[str, AfterValidator(_in_folder)]  # beside the model's own
FileName = Annotated[str, AfterValidator(_of_arrays)]  # in the model's own


class Card(Schema):
    """What the card of any model has."""

    kind: str
    sha256: dict[FileName, Digest]
    name: str | None = None
    target: str | None = None
    left_out: list[str] = Field(default_factory=list)


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


def load(
    folder: Path | str,
    kind: str,
    schema: type[Card] = Card,
    wanted: Callable[[Content, str], Mapping[str, Wanted] | None] | None = None,
) -> tuple[Content, dict[str, dict[str, np.ndarray]]]:
    """Read a model folder: its card, and the arrays of each member.

    Args:
        folder: of the model.
        kind: of the model.
        schema: what the card of such a model has.
        wanted: says, given the card and the name of a member, which arrays that member has. The files are held to it by
            their headers. Without it, or where it says None, any arrays of numbers or text will do.

    Raises:
        InputError: there is no model of this kind in the folder, or it is damaged.
    """
    folder = Path(folder)
    card = read_card(folder, kind, schema)
    paths = {Path(name).stem: folder / name for name in card["sha256"]}
    for member, path in paths.items():  # all, before any is read
        _check_whole(path, card["sha256"][path.name])
        array_files.check(path, wanted(card, member) if wanted else None, ADVICE)
    return card, {member: array_files.read(path, ADVICE) for member, path in paths.items()}


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
        shutil.copytree(folder, temporary, symlinks=True, dirs_exist_ok=True)
        for name, arrays in members.items():
            np.savez_compressed(temporary / f"{name}.npz", allow_pickle=False, **arrays)
        checksums = content["sha256"] | {f"{name}.npz": sha256(temporary / f"{name}.npz") for name in members}
        write_json({**content, "sha256": checksums, **card}, temporary / CARD)


def read_card(folder: Path | str, kind: str, schema: type[Card] = Card) -> Content:
    """Read the card of a model folder.

    Raises:
        InputError: there is no model of this kind in the folder, or its card does not keep to the schema.
    """
    folder = Path(folder)
    restore(folder)
    path = folder / CARD
    if not path.is_file():
        raise InputError(f"{folder}: no model there (no {CARD}); train one first, or name another folder")
    content = read_json(path)
    found = content.get("kind", "no kind") if isinstance(content, dict) else "no card"
    if found != kind:
        raise InputError(f"{path}: found {quoted(found)}, wanted a {kind!r}; name the folder of such a model")
    checked(schema, content, path, ADVICE)
    return dict(content)


def provenance(packages: tuple[str, ...]) -> dict[str, Any]:
    """Date (UTC) and versions of the packages that a result stands on, for cards and accounts."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {package: version(package) for package in packages},
    }


def _check_whole(path: Path, digest: str) -> None:
    """Raise InputError unless there is a regular file, which is no link, with this checksum."""
    try:
        kind = path.lstat().st_mode
    except OSError:
        raise InputError(f"{path}: missing, though {CARD} names it; {ADVICE}") from None
    if not stat.S_ISREG(kind):
        raise InputError(f"{path}: not a regular file of this folder; {ADVICE}")
    if sha256(path) != digest:
        raise InputError(f"{path}: its checksum is not the one in {CARD}; the model is damaged; {ADVICE}")
