"""Gaps of structures in files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bandgaps.errors import InputError
from bandgaps.structure import ensemble, neighbors
from bandgaps.structure.ensemble import Model

if TYPE_CHECKING:
    from pymatgen.core import Structure


def of_files(model: Model, name: str, files: Sequence[str], fidelity: str | None = None) -> tuple[list[str], list[str]]:
    """Predict the gap of the structure in each file.

    Args:
        model: a model of structures.
        name: what to call it.
        files: structures in any format that pymatgen knows.
        fidelity: the fidelity of the predictions, the model's first by default.

    Returns:
        Lines of a table of gap ± sigma (eV), and one line for each file that cannot be predicted.

    Raises:
        InputError: the model does not know the fidelity.
    """
    read: dict[str, Structure] = {}
    wrong: dict[str, str] = {}
    for file in files:
        try:
            read[file] = read_structure(Path(file))
        except InputError as error:
            wrong[file] = str(error)
    built, faults = neighbors.build_all(list(read.values()), model.hyperparameters.cutoff)
    faults = {**ensemble.unknown_elements(built, model.hyperparameters), **faults}
    wrong |= {file: faults[row].named(row, list(read)) for row, file in enumerate(read) if row in faults}
    good = [row for row in range(len(read)) if row not in faults]
    predicted, std = model.predict(built.select(np.array(good, dtype=int)), fidelity)
    width = max(len("file"), *(len(file) for file in files))
    lines = [f"{'file':<{width}}  {'formula':<12}  {name} ({model.unit})"]
    for row, gap, sigma in zip(good, predicted, std, strict=True):
        file = list(read)[row]
        spread = "" if math.isnan(sigma) else f" ± {sigma:.3f}"
        lines.append(f"{file:<{width}}  {read[file].reduced_formula:<12}  {gap:.3f}{spread}")
    return lines if good else [], [wrong[file] for file in files if file in wrong]


def read_structure(path: Path) -> Structure:
    """Read a structure in any format that pymatgen knows.

    Raises:
        InputError: there is no such file, or pymatgen cannot read it.
    """
    from pymatgen.core import Structure

    try:
        return Structure.from_file(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # each format's parser raises what it likes
        raise InputError(f"{path}: not a structure that pymatgen reads ({error}); give a CIF or POSCAR file") from None
