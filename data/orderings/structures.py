"""List the symmetry-distinct orderings of Si and Ge on up to eight diamond sites, for compute.py.

    python data/orderings/structures.py

Writes `structures.json`: the orderings in the order in which they are worth computing. Lengths are whole numbers of
quarters of the cubic lattice constant, since every diamond site lies on such a point.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from bandgaps.alloy import lattice_constants  # noqa: E402
from bandgaps.alloy.orderings import Ordering, orderings  # noqa: E402
from bandgaps.alloy.pseudobinary import diamond  # noqa: E402

SYSTEM = ("Si", "Ge")
MAX_ATOMS = 8


def record(number: int, ordering: Ordering) -> dict[str, Any]:
    """An ordering of a crystal whose cubic lattice constant is 4, with what the table says about it."""
    structure, x = ordering.structure, ordering.structure.composition.get_atomic_fraction(SYSTEM[1])
    return {
        "id": f"{structure.formula.replace(' ', '')}-{number}",
        "x_Ge": round(x, 6),
        "n_atoms": len(structure),
        "multiplicity": ordering.multiplicity,
        "lattice_constant": round(float(lattice_constants.diamond(SYSTEM, x)), 6),
        "symbols": [site.specie.symbol for site in structure],
        "cell": np.round(structure.lattice.matrix).astype(int).tolist(),
        "positions": np.round(structure.cart_coords).astype(int).tolist(),
    }


def records() -> list[dict[str, Any]]:
    """All orderings. Cells below `MAX_ATOMS` come first; then each composition's most frequent, by turns.

    So the table is useful wherever it ends.
    """
    listed = [record(n, ordering) for n, ordering in enumerate(orderings(diamond("Si", 4.0), SYSTEM, MAX_ATOMS))]
    small = [row for row in listed if row["n_atoms"] < MAX_ATOMS]
    large = sorted((row for row in listed if row["n_atoms"] == MAX_ATOMS), key=lambda row: -row["multiplicity"])
    turns: dict[float, int] = {}
    for row in large:
        turns[row["x_Ge"]] = row["turn"] = turns.get(row["x_Ge"], -1) + 1
    large.sort(key=lambda row: (row.pop("turn"), row["x_Ge"]))
    return small + large


def main() -> None:
    """Write the list, one ordering a line."""
    lines = ",\n".join(json.dumps(row) for row in records())
    (HERE / "structures.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
