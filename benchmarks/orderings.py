"""Orderings of the alloy, with their multiplicities, against icet's, without."""

from __future__ import annotations

from collections import Counter
from typing import Any

from bandgaps.alloy import orderings, pseudobinary
from benchmarks.measure import Entry, in_turn, speed

MAX_ATOMS = 12
SYSTEM = ("Si", "Ge")


def run() -> list[Entry]:
    """Every ordering of Si and Ge in cells of up to 12 atoms."""
    from icet.tools import enumerate_structures
    from pymatgen.io.ase import AseAtomsAdaptor

    parent = pseudobinary.diamond("Si", 5.431)
    atoms = AseAtomsAdaptor.get_atoms(parent, msonable=False)
    sizes = range(1, MAX_ATOMS // 2 + 1)
    peer_time, our_time, theirs, ours = in_turn(
        lambda: list(enumerate_structures(atoms, sizes, list(SYSTEM))),
        lambda: orderings.orderings(parent, SYSTEM, MAX_ATOMS),
    )
    same = counted(each.get_chemical_symbols() for each in theirs) == counted(
        [site.specie.symbol for site in each.structure] for each in ours
    )
    return [speed("enumerate", "orderings/s", len(ours), peer_time, our_time, same)]


def counted(orderings: Any) -> Counter[tuple[int, int]]:
    """How many orderings there are of each size and composition."""
    return Counter((len(symbols), symbols.count(SYSTEM[1])) for symbols in orderings)
