"""Where results go, checked before the work begins, so that none is done in vain."""

from __future__ import annotations

import os
from pathlib import Path

from bandgaps.errors import InputError, quoted, shortened
from bandgaps.model_folders import CARD


def check_file(path: Path) -> None:
    """Raise InputError if a file cannot be written there."""
    _check_name(path)
    if path.is_dir():
        raise InputError(f"{quoted(str(path))} is a folder; name a file in it")
    _check_writable(path.parent)


def check_folder(path: Path) -> None:
    """Raise InputError if there can be no folder there to write files to."""
    _check_name(path)
    _check_writable(path)


def check_model_folder(path: Path) -> None:
    """Raise InputError if there can be no model folder, or something else that the model would take the place of."""
    _check_name(path)
    here = Path.cwd()
    if path.resolve() in (here, *here.parents):
        raise InputError(f"{quoted(str(path))} is this folder or one above it; name a folder for the model alone")
    if path.is_dir() and any(path.iterdir()) and not (path / CARD).exists():
        raise InputError(f"{quoted(str(path))} holds other files than a model's, which would be lost; name another")
    _check_writable(path)
    _check_writable(path.parent)


def _check_name(path: Path) -> None:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass  # to be made, or found below
    except (OSError, ValueError) as error:  # ValueError: a NUL
        raise InputError(f"{quoted(str(path))} is no name for a file ({shortened(error)}); name another") from None


def _check_writable(folder: Path) -> None:
    """Raise InputError if files cannot be written to a folder, which need not be there yet."""
    existing = next(each for each in (folder, *folder.absolute().parents) if each.exists() or each.is_symlink())
    if not existing.is_dir():
        raise InputError(f"{quoted(str(existing))} is no folder; name another place, or move it away")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{quoted(str(existing))}: no permission to write there; name another place")
