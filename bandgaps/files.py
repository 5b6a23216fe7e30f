"""Files that are either whole or not there: atomic writing, checksums, JSON."""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bandgaps.errors import InputError

DATA = Path(__file__).parents[1] / "data"  # what comes with the project


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path that takes the place of `path` only if the block ends without an error.

    The temporary name ends as `path` does, so that writers that look at the suffix do the same thing. The new content
    is on the disk before it takes its place.

    Raises:
        OSError: the folder cannot be written to or is full; what stood at `path` is untouched.
    """
    path = Path(path)
    with _scratch_folder(path) as folder:
        temporary = folder / path.name
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)
        except OSError as error:
            error.filename = error.filename or str(path)  # a full disk does not say which file it was
            raise


@contextmanager
def replacing_folder(path: Path | str) -> Iterator[Path]:
    """Yield an empty temporary folder that replaces the folder `path` only if the block ends without an error.

    Two renames do it: the old folder steps aside, the new one takes its place. Whatever interrupts them, one of the two
    is there afterwards: at once, or, if the process was killed, as soon as `restore` is called.

    Raises:
        OSError: as `replacing`.
    """
    path = Path(path)
    restore(path)
    with _scratch_folder(path) as folder:
        new = folder / path.name
        new.mkdir()
        yield new
        for written in (*new.rglob("*"), new):
            _sync(written)
        old = _aside(path)
        shutil.rmtree(old, ignore_errors=True)
        try:
            if path.exists():
                path.replace(old)
            new.replace(path)
        finally:
            restore(path)
        _sync(path.parent)
        shutil.rmtree(old, ignore_errors=True)


def restore(path: Path | str) -> None:
    """Put back the folder that a killed process had moved aside to replace it."""
    old = _aside(Path(path))
    if old.exists() and not Path(path).exists():
        old.replace(path)


def _aside(path: Path) -> Path:
    """Where a folder stands while another takes its place."""
    return path.with_name(f".{path.name}.replaced")


@contextmanager
def _scratch_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; those that killed processes have left for the same path are deleted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}."
    for left in path.parent.glob(f"{glob.escape(prefix)}*.part"):
        _delete_unless_in_use(left)
    folder, lock = _locked_folder(path.parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new temporary folder and its lock, which the system releases when the process ends, however it ends."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=".part", dir=parent))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():  # else another process took it for one that was left
            return folder, lock
        os.close(lock)


def _delete_unless_in_use(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY)
    except OSError:  # gone already
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(lock)


def _sync(path: Path) -> None:
    """Wait until a file or a folder's list of files is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path | str) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(content: Any, path: Path | str) -> None:
    """Write JSON that a person can read, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        InputError: there is no such file, or it is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path}: not valid JSON ({error}); restore it or run the script that writes it again"
        ) from None
