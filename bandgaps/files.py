"""Files that are either whole or not there: atomic writing, checksums, JSON."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import math
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from bandgaps.errors import InputError, quoted

DATA = Path(__file__).parents[1] / "data"  # what comes with the project


HALF = ".half-written"  # ends the names of the folders in which files are written
LARGEST_JSON = 200e6  # bytes
MOST_UNPACKED = 4_000_000_000  # bytes; the tables of a million crystals have that many
PIECE = 4_000_000  # bytes that are unpacked at once


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
        with _naming(path):
            yield temporary
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)


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
        with _naming(path):
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


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Within it, an OSError that names no file, as that of a full disk, names this one."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


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
    """Yield a temporary folder beside `path`; those that killed processes have left there are deleted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".*{HALF}"):
        _delete_unless_in_use(left)
    folder, lock = _locked_folder(path.parent, f".{path.name}.")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new temporary folder and its lock, which the system releases when the process ends, however it ends."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=HALF, dir=parent))
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
        if claimed(lock):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def claimed(opened: int | IO[Any]) -> bool:
    """Keep an open file or folder to this process until it is closed or the process ends; False if another has it."""
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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


def read_bytes(path: Path | str, most: float = math.inf, advice: str = "name another") -> bytes:
    """The contents of a file.

    Args:
        path: of a regular file; others may have no end.
        most: bytes that it may have.
        advice: what to do where there is no such file.

    Raises:
        InputError: there is no such file, it cannot be read, or it is no regular file or a larger one.
    """
    with reading(path, advice):
        size = Path(path).stat().st_size
        if size > most:
            raise InputError(f"{path}: {size:,} bytes, more than such a file has; name another")
        return Path(path).read_bytes()


def unpacked(packed: bytes, path: Path | str) -> bytes:
    """The contents of a gzipped file.

    Args:
        packed: the file as it is.
        path: what an error calls it.

    Raises:
        InputError: it unpacks to more than `MOST_UNPACKED`, or than half of the memory that is free.
        EOFError, gzip.BadGzipFile, zlib.error: it is damaged.
    """
    most, text = min(MOST_UNPACKED, _free_memory() // 2), io.BytesIO()
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        while piece := file.read(PIECE):
            if text.tell() + len(piece) > most:
                raise InputError(f"{path}: unpacks to more than {most / 1e9:.1f} GB; split it, or name another")
            text.write(piece)
    return text.getvalue()


def _free_memory() -> int:
    """Memory that is free, bytes; more than any file where the system does not tell."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 2 * MOST_UNPACKED


@contextmanager
def reading(path: Path | str, advice: str = "name another") -> Iterator[None]:
    """Within it, a regular file is read; others may have no end.

    Raises:
        InputError: there is no such file, it is no regular one, or it cannot be read.
    """
    try:
        kind = Path(path).stat().st_mode
        if stat.S_ISDIR(kind):
            raise InputError(f"{path}: a folder; name a file")
        if not stat.S_ISREG(kind):
            raise InputError(f"{path}: not a regular file; name another")
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {advice}") from None
    except UnicodeDecodeError:
        raise  # of what was read
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{quoted(str(path))}: not readable ({why}); check the name and its permissions") from None


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        InputError: there is no such file, or it is not JSON.
    """
    try:
        return json.loads(read_bytes(path, LARGEST_JSON).decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(
            f"{path}: not valid JSON ({error}); restore it or run the script that writes it again"
        ) from None
