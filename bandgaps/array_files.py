"""Files of arrays, `*.npz`, from anybody: what is in them is known from their headers before any number is read."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bandgaps.errors import InputError, quoted, shortened

MOST_BYTES = 4_000_000_000  # of the arrays of a file
MOST_ARRAYS = 10_000  # in a file
DENSEST = 200  # times as large as packed; trees and weights are 2 to 20 times
SMALL = 10_000_000  # bytes; so much may be packed as densely as it will
PLAIN = "fiubSU"  # numpy's kinds of numbers, truth values and text


@dataclass(frozen=True)
class Wanted:
    """What an array must be.

    Attributes:
        kinds: numpy's kinds of type that will do: f (floating point), i (whole numbers), U (text), S (bytes).
        shape: its length along each axis; None is any.
        optional: whether it may be missing.
    """

    kinds: str
    shape: tuple[int | None, ...]
    optional: bool = False

    def fits(self, dtype: np.dtype, shape: tuple[int, ...]) -> bool:
        """Whether an array of such a type and shape will do."""
        lengths = len(shape) == len(self.shape) and all(
            wanted in (None, found) for wanted, found in zip(self.shape, shape, strict=True)
        )
        return dtype.kind in self.kinds and lengths and (dtype.kind in "SU" or dtype.itemsize <= 8)

    def __str__(self) -> str:
        names = {"f": "floating-point numbers", "i": "signed integers", "U": "text", "S": "bytes"}
        what = " or ".join(names[kind] for kind in self.kinds)
        if self.shape == (None,):
            return f"one column of {what}"
        return f"{what} of shape ({', '.join('any' if n is None else str(n) for n in self.shape)})"


def check(path: Path, wanted: Mapping[str, Wanted] | None, advice: str) -> None:
    """Raise InputError unless a file has the arrays that are wanted, by their headers.

    Args:
        path: of the file.
        wanted: by name; arrays of other names may be there too. None is any arrays of numbers or text.
        advice: what to do with a file that has not.
    """
    try:
        found = _headers(path)
    except Exception as error:  # zipfile and numpy raise of many kinds
        raise InputError(f"{path}: not readable as arrays ({shortened(error)}); {advice}") from None
    problem = _problem(found, wanted)
    if problem:
        raise InputError(f"{path}: {problem}; {advice}")


def read(path: Path, advice: str) -> dict[str, np.ndarray]:
    """The arrays of a file that was checked.

    Raises:
        InputError: it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception as error:  # likewise, and zlib
        raise InputError(f"{path}: not readable as arrays ({shortened(error)}); {advice}") from None


def _headers(path: Path) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Type and shape of each array.

    Raises:
        ValueError, among others: the file is none of arrays, or they would take too much room.
    """
    headers: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_ARRAYS or len({entry.filename for entry in entries}) < len(entries):
            raise ValueError("too many arrays, or several of one name")
        for entry in entries:
            with archive.open(entry) as file:
                read_header = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }.get(np.lib.format.read_magic(file))
                if read_header is None or not entry.filename.endswith(".npy"):
                    raise ValueError(f"{quoted(entry.filename)} is no array")
                shape, _, dtype = read_header(file)
            headers[entry.filename.removesuffix(".npy")] = dtype, shape
    size = sum(dtype.itemsize * float(np.prod(shape, dtype=float)) for dtype, shape in headers.values())
    if size > MOST_BYTES or size > max(SMALL, DENSEST * path.stat().st_size):
        raise ValueError(f"its arrays would take {size:,.0f} bytes, more than such a file can hold")
    return headers


def _problem(found: Mapping[str, tuple[np.dtype, tuple[int, ...]]], wanted: Mapping[str, Wanted] | None) -> str | None:
    for name, each in (wanted or {}).items():
        if name not in found and not each.optional:
            return f"no array {name}"
        if name in found and not each.fits(*found[name]):
            dtype, shape = found[name]
            return f"{name} is {shortened(dtype)} of shape {shape}, not {each}"
    for name, (dtype, _) in found.items():
        if dtype.kind not in PLAIN or dtype.hasobject:
            return f"{shortened(name)} is {shortened(dtype)}, neither numbers nor text"
    return None
