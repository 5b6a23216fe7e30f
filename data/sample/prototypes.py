"""Which crystals the sample holds: the geometry of the prototypes, and the list of compounds put into each.

Needs numpy alone, so that both `compute.py` (GPAW) and `build.py` (pymatgen) draw the same crystals from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

IDEAL_C_OVER_A = float(np.sqrt(8 / 3))

# Primitive cells as rows of vectors, in units of the lattice constant a.
CELLS: dict[str, NDArray[np.float64]] = {
    "sc": np.eye(3),
    "fcc": np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]),
    "bcc": np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]]),
    "hexagonal": np.array([[1, 0, 0], [-0.5, np.sqrt(3) / 2, 0], [0, 0, IDEAL_C_OVER_A]]),
}


@dataclass(frozen=True)
class Prototype:
    """A structure type with one free parameter, its lattice constant.

    `sites` holds, for each atom of the primitive cell, which of the compound's elements sits there and its
    fractional coordinates. `bond` is the lattice constant over a nearest-neighbour bond length: with covalent
    radii it gives a first idea of the lattice constant.
    """

    cell: str
    sites: tuple[tuple[int, tuple[float, float, float]], ...]
    bond: float

    def lattice(self, a: float) -> NDArray[np.float64]:
        """Cell vectors (rows, Å) at lattice constant `a` (Å)."""
        return CELLS[self.cell] * a

    def positions(self) -> list[tuple[float, float, float]]:
        """Fractional coordinates of the atoms."""
        return [xyz for _, xyz in self.sites]

    def species(self, elements: list[str]) -> list[str]:
        """Element symbol of each atom."""
        return [elements[i] for i, _ in self.sites]


# along the body diagonal of the fcc cell
ORIGIN, QUARTER, HALF, THREE_QUARTERS = (0.0, 0.0, 0.0), (0.25, 0.25, 0.25), (0.5, 0.5, 0.5), (0.75, 0.75, 0.75)
FACES = ((0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5))
EDGES = ((0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.5))

PROTOTYPES: dict[str, Prototype] = {
    "fcc": Prototype("fcc", ((0, ORIGIN),), 1.414),
    "bcc": Prototype("bcc", ((0, ORIGIN),), 1.155),
    "hcp": Prototype("hexagonal", ((0, ORIGIN), (0, (1 / 3, 2 / 3, 0.5))), 1.0),
    "diamond": Prototype("fcc", ((0, ORIGIN), (0, QUARTER)), 2.309),
    "rocksalt": Prototype("fcc", ((0, ORIGIN), (1, HALF)), 2.05),
    "zincblende": Prototype("fcc", ((0, ORIGIN), (1, QUARTER)), 2.309),
    "CsCl": Prototype("sc", ((0, ORIGIN), (1, HALF)), 1.19),
    # the ideal internal coordinate u = 3/8 makes every bond equally long
    "wurtzite": Prototype(
        "hexagonal",
        ((0, ORIGIN), (1, (1 / 3, 2 / 3, 0.125)), (0, (1 / 3, 2 / 3, 0.5)), (1, (0.0, 0.0, 0.625))),
        1.633,
    ),
    "fluorite": Prototype("fcc", ((0, ORIGIN), (1, QUARTER), (1, THREE_QUARTERS)), 2.35),
    # the second element has both others as neighbours
    "half-Heusler": Prototype("fcc", ((0, ORIGIN), (1, QUARTER), (2, HALF)), 2.31),
    "BiF3": Prototype("fcc", ((0, ORIGIN), (1, QUARTER), (1, THREE_QUARTERS), (1, HALF)), 2.31),
    "Cu3Au": Prototype("sc", ((1, ORIGIN), *((0, xyz) for xyz in FACES)), 1.414),
    "ReO3": Prototype("sc", ((0, ORIGIN), *((1, xyz) for xyz in EDGES)), 2.0),
    "perovskite": Prototype("sc", ((0, ORIGIN), (1, HALF), *((2, xyz) for xyz in FACES)), 2.0),
}


@dataclass(frozen=True)
class Crystal:
    """A compound in a prototype; `ionic` where its charges balance, so that a gap is likely."""

    prototype: str
    elements: tuple[str, ...]
    ionic: bool

    @property
    def id(self) -> str:
        """Name such as zincblende-Ga-As."""
        return "-".join((self.prototype, *self.elements))


HALIDES, CHALCOGENS, PNICTOGENS = "F Cl Br I".split(), "O S Se Te".split(), "N P As Sb Bi".split()
ALKALI = "Li Na K Rb Cs".split()
METALS = (
    "Li Be Na Mg Al K Ca Sc Ti V Cu Zn Ga Rb Sr Y Zr Nb Mo Ru Rh Pd Ag Cd In Cs Ba Hf Ta W Re Os Ir Pt Au Tl Pb"
).split()


def octets() -> list[tuple[str, str]]:
    """Pairs of elements whose valences balance one to one: I-VII (hydrogen as VII too), II-VI, III-V and IV-IV."""
    pairs = list(product("Li Na K Rb Cs Cu Ag Au Tl In Ga".split(), HALIDES))
    pairs += product("Li Na K Rb Cs Cu Ag".split(), ["H"])
    pairs += product("Be Mg Ca Sr Ba Zn Cd Hg Pb Sn Ge".split(), CHALCOGENS)
    pairs += product("B Al Ga In Tl Sc Y".split(), PNICTOGENS)
    return [*pairs, ("Si", "C"), ("Ge", "C"), ("Sn", "C"), ("Si", "Ge"), ("Si", "Sn"), ("Ge", "Sn")]


def families() -> Iterator[tuple[str, bool, list[tuple[str, ...]]]]:
    """Prototype, whether its charges balance, and the elements of every compound of the family."""
    ab = octets()
    yield "diamond", True, [(x,) for x in "C Si Ge Sn Pb".split()]
    for prototype in ("zincblende", "rocksalt"):
        yield prototype, True, list(ab)
    # eight-fold coordination closes most gaps except those of the halides
    yield "CsCl", True, [(m, x) for m, x in ab if x in (*HALIDES, "H")]
    yield "CsCl", False, [(m, x) for m, x in ab if x not in (*HALIDES, "H")]
    yield "wurtzite", True, [(m, x) for m, x in ab if m in "Be Mg Zn Cd B Al Ga In Si Ge Cu Ag".split() and x != "H"]
    yield "fluorite", True, [(x, m) for m, x in product(ALKALI, CHALCOGENS)]
    yield "fluorite", True, list(product("Mg Ca Sr Ba Cd Pb Zn Be Hg".split(), [*HALIDES, "H"]))
    yield "fluorite", True, list(product("Zr Hf Ti Sn Pb Si Ge".split(), ("O", "S")))
    yield "fluorite", True, [(x, m) for m, x in product("Mg Ca Sr Be".split(), "C Si Ge Sn Pb".split())]
    # Nowotny-Juza compounds (LiZnAs) and the same with two alkali metals round a chalcogen (LiNaS)
    one_two = product("Li Na K Cu Ag".split(), PNICTOGENS, "Mg Zn Cd Be Ca".split())
    yield "half-Heusler", True, list(one_two)
    yield "half-Heusler", True, [(m, x, n) for (m, n), x in product(combinations(ALKALI, 2), CHALCOGENS)]
    # half-Heuslers of 18 valence electrons
    yield "half-Heusler", True, list(product("Ti Zr Hf".split(), "Ni Pd Pt".split(), "Sn Ge Si Pb".split()))
    yield "half-Heusler", True, list(product("Ti Zr Hf".split(), "Co Rh Ir".split(), "Sb Bi As".split()))
    yield "half-Heusler", True, list(product("V Nb Ta".split(), "Fe Ru Os".split(), "Sb As".split()))
    yield "half-Heusler", True, list(product("Sc Y".split(), "Ni Pd Pt".split(), "Sb Bi".split()))
    yield "BiF3", True, [(x, m) for m, x in product(ALKALI, PNICTOGENS)]
    yield "ReO3", True, [*product("Al Ga In Sc Y".split(), ("F", "Cl")), ("W", "O"), ("Mo", "O"), ("Re", "O")]
    yield "perovskite", True, list(product("Na K Rb Cs Tl".split(), "Mg Ca Sr Zn Cd Pb Sn Ge Hg".split(), HALIDES))
    yield "perovskite", True, list(product("Ca Sr Ba Pb Cd".split(), "Ti Zr Hf Sn Ge Si".split(), "O S Se".split()))
    yield "perovskite", True, list(product("Na K Li Rb Ag".split(), "Nb Ta".split(), "O"))
    yield "perovskite", True, [(a, b, "O") for a, b in product("Y Bi In".split(), "Al Ga In Sc".split()) if a != b]
    for prototype in ("fcc", "bcc", "hcp"):
        yield prototype, False, [(m,) for m in METALS]
    carbides = product("Ti Zr Hf V Nb Ta Sc Y".split(), "C N O S".split())
    yield "rocksalt", False, [pair for pair in carbides if pair not in ab]
    # neither balances, and an odd electron makes a metal of each
    yield "rocksalt", False, list(product("Al Ga In B".split(), CHALCOGENS))
    yield "rocksalt", False, list(product("Si Ge Sn Pb".split(), PNICTOGENS))
    late = "Ti Zr Hf Sc Y Ru Rh Pd Pt Au Ag Cu Li Ca Sr Ir Os".split()
    yield "CsCl", False, list(product("Al Ga In Mg Zn Cd Be Tl Hg Pb".split(), late))
    yield "CsCl", False, list(product("Ti Zr Hf Sc Y".split(), "Ru Rh Pd Pt Ir Os Au Ag Cu Re".split()))
    early = "Ca Sr Y Pd Pt Au Ti Zr Sc".split()
    yield "Cu3Au", False, list(product("Sn Pb In".split(), early))
    yield "Cu3Au", False, [(x, m) for m, x in product("Al Ga Mg Zn".split(), early)]


def crystals() -> list[Crystal]:
    """Every crystal of the sample, none twice."""
    found: dict[str, Crystal] = {}
    for prototype, ionic, compounds in families():
        for elements in compounds:
            crystal = Crystal(prototype, elements, ionic)
            found.setdefault(crystal.id, crystal)
    return list(found.values())
