"""Orderings of the alloy, with their multiplicities, against icet's, without."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence

from bandgaps.alloy import orderings, pseudobinary
from benchmarks.data import Table
from benchmarks.measure import Entry, in_turn, speed

MAX_ATOMS = 12
SYSTEM = ("Si", "Ge")


def run(_table: Table) -> list[Entry]:
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
    what = f"all orderings of {'-'.join(SYSTEM)} of up to {MAX_ATOMS} atoms with multiplicities, against icet's without"
    return [speed(what, "orderings/s", len(ours), peer_time, our_time, same)]


def counted(orderings: Iterable[Sequence[str]]) -> Counter[tuple[int, int]]:
    """How many orderings, given as the symbols of their sites, there are of each size and composition."""
    return Counter((len(symbols), symbols.count(SYSTEM[1])) for symbols in orderings)


if __name__ == "__main__":
    from benchmarks.__main__ import start

    sys.exit(start("orderings"))
