"""Measured lattice constants of the ends of alloys, and how alloys of them depart from Vegard's law.

The tables are in `data/alloys`; its README.md says where their numbers come from.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pymatgen.core import Lattice, Structure

from bandgaps.files import DATA
from bandgaps.formulas import System, composition_key

FOLDER = DATA / "alloys"
FACE_CENTRED = {"diamond", "zincblende", "rocksalt", "fluorite"}  # whose primitive cell is a quarter of the cube
Constants = tuple[float, float]  # a and c, Å; c = a in cubic crystals


@cache
def _ends() -> dict[tuple[str, str], Constants]:
    table = pd.read_csv(FOLDER / "lattice_constants.csv")
    return {
        (composition_key(formula), structure): (a, a if np.isnan(c) else c)
        for formula, structure, a, c in table[["formula", "structure", "a", "c"]].itertuples(index=False)
    }


@cache
def _bowings() -> dict[tuple[frozenset[str], str], float]:
    table = pd.read_csv(FOLDER / "lattice_bowing.csv")
    rows = table[["end_0", "end_1", "structure", "bowing"]].itertuples(index=False)
    return {(frozenset(map(composition_key, ends)), structure): bowing for *ends, structure, bowing in rows}


def measured(formula: str, structure: str) -> Constants | None:
    """Lattice constants a and c of a compound, Å; None where they are not known.

    Args:
        formula: of the compound.
        structure: its prototype, such as zincblende; of cubic ones c is a.
    """
    return _ends().get((composition_key(formula), structure))


def with_measured(crystal: Structure, structure: str) -> Structure:
    """A crystal with its measured lattice constants where they are known, its sites in the same places.

    Args:
        crystal: a primitive cell, of a hexagonal crystal with the third vector along c.
        structure: its prototype, such as zincblende.
    """
    constants = measured(crystal.composition.reduced_formula, structure)
    if constants is None:
        return crystal
    a, c = constants
    lattice = crystal.lattice
    if not lattice.is_hexagonal():
        return crystal.copy().scale_lattice(a**3 / (4 if structure in FACE_CENTRED else 1))
    matrix = lattice.matrix * (np.array([a, a, c]) / lattice.abc)[:, None]
    return Structure(Lattice(matrix), crystal.species, crystal.frac_coords)


def bowing(system: System, structure: str) -> float:
    """The b of a(x) = (1 - x) a0 + x a1 - b x (1 - x), Å; 0, which is Vegard's law, where none is known."""
    return _bowings().get((frozenset(map(composition_key, system)), structure), 0.0)


def diamond(system: System, x: ArrayLike) -> np.ndarray:
    """Cubic lattice constant of the diamond alloy A(1-x)B(x) in Å, shape of `x`; NaN where an element's is not known.

    Measured where it was (Si-Ge: Dismukes et al.), else Vegard's law (Z. Phys. 5, 17) between the elements.
    """
    x = np.asarray(x, dtype=float)
    first, last = (measured(element, "diamond") or (np.nan, np.nan) for element in system)
    return (1 - x) * first[0] + x * last[0] - bowing(system, "diamond") * x * (1 - x)


def diamonds() -> list[str]:
    """The elements whose diamond lattice constant is known."""
    table = pd.read_csv(FOLDER / "lattice_constants.csv")
    return table["formula"][table["structure"] == "diamond"].tolist()
