"""Crystals from structure files, folders of them, and tables."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandgaps.errors import InputError, shortened
from bandgaps.files import read_bytes
from bandgaps.table import crystals, json_lines

if TYPE_CHECKING:
    from bandgaps.structure.neighbors import Crystal

PATTERNS = ("*.cif", "*.vasp", "*.xsf", "POSCAR*", "CONTCAR*")  # names of structure files in folders
TABLES = (".json", ".json.gz", *json_lines.SUFFIXES)
LARGEST = 5_000_000  # bytes of a structure file; one of 10,000 atoms has under a million
MOST_ATOMS = 10_000  # of a CIF, before those that symmetry operations bring to one place are one; takes half a minute
MOST_OPERATIONS = 192  # of a space group


@dataclass(frozen=True)
class Asked:
    """A crystal to predict.

    Attributes:
        name: of its file, or its id in a table.
        crystal: the crystal; None where it is still to be read, or cannot be.
        path: of the file it is still to be read from.
        error: what was wrong with that.
    """

    name: str
    crystal: Crystal | None = None
    path: Path | None = None
    error: str = ""

    def read(self) -> Asked:
        """The same with its crystal, or with what is wrong."""
        if self.path is None:
            return self
        try:
            return replace(self, crystal=read_structure(self.path), path=None)
        except InputError as error:
            message = str(error).replace(str(self.path), self.name, 1)  # the path is absolute, for other processes
            return replace(self, error=message, path=None)


def asked(items: Sequence[Path], skip: int = 0) -> Iterator[Asked]:
    """Every crystal in files, folders and tables, in order; files are not read yet.

    Args:
        items: the files, folders and tables.
        skip: how many to leave out at the beginning.

    Raises:
        InputError: a table cannot be read, a folder has no structure files.
    """
    for item in items:
        length = count([item]) if skip else 0
        if skip and skip >= length:
            skip -= length
            continue
        if item.name.endswith(TABLES) and not item.is_dir():
            yield from (Asked(name, crystal) for name, crystal in crystals.named(item, skip))
        else:
            yield from (Asked(str(file), path=file.absolute()) for file in islice(_files(item), skip, None))
        skip = 0


def count(items: Sequence[Path]) -> int:
    """How many crystals there are.

    Raises:
        InputError: as `asked`.
    """
    return sum(
        crystals.count(item) if item.name.endswith(TABLES) and not item.is_dir() else len(_files(item))
        for item in items
    )


def listing(items: Sequence[Path]) -> str:
    """A checksum of the names of all structure files in the folders among the items."""
    names = (str(file) for item in items if item.is_dir() for file in _files(item))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _files(item: Path) -> list[Path]:
    """The structure files of a folder, in order, or the file itself."""
    if not item.is_dir():
        return [item]
    files = sorted({file for pattern in PATTERNS for file in item.rglob(pattern)})
    if not files:
        raise InputError(f"{item}: no structure files in this folder ({', '.join(PATTERNS)})")
    return files


def read_structure(path: Path) -> Any:
    """Read a structure in any format that pymatgen knows.

    Raises:
        InputError: there is no such file, it is too large, or pymatgen cannot read it.
    """
    from pymatgen.core import Structure

    text = read_bytes(path, LARGEST, "correct the name")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote the file at any length
            if "cif" in path.name.lower():
                _check_cif(text.decode("utf-8", errors="replace"))
            return Structure.from_file(path)
    except Exception as error:  # each format's parser raises what it likes
        found = shortened(error, 200)
        raise InputError(f"{path}: not a structure that pymatgen reads ({found}); give a CIF or POSCAR file") from None


def _check_cif(text: str) -> None:
    """Raise ValueError where pymatgen, whose time grows with the square of the atoms, would work for minutes."""
    from pymatgen.io.cif import CifFile, CifParser

    for block in CifFile.from_str(text).data.values():
        columns = {name: len(column) for name, column in block.data.items() if isinstance(column, list)}
        sites = max([0, *(columns[name] for name in columns if name.startswith("_atom_site_"))])
        operations = max([0, *(columns[name] for name in columns if name.rstrip("_").endswith("_xyz"))])
        if not operations and sites * MOST_OPERATIONS > MOST_ATOMS:
            operations = len(CifParser.from_str(text).get_symops(block))
        if sites * operations > MOST_ATOMS:
            raise ValueError(f"{sites:,} sites times {operations:,} symmetry operations; {MOST_ATOMS:,} are the most")
