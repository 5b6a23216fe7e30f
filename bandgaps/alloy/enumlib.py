"""Orderings by way of pymatgen and enumlib, a second opinion on those that are enumerated here."""

from __future__ import annotations

import shutil
from typing import Any

from pymatgen.core import Structure

from bandgaps.alloy.orderings import Ordering, space_group
from bandgaps.errors import InputError


def orderings_by_enumlib(parent: Structure, elements: tuple[str, str], max_atoms: int) -> list[Ordering]:
    """The same list from pymatgen's EnumerateStructureTransformation, which drives the programs of enumlib.

    Raises:
        InputError: enumlib's programs are not on the PATH.
    """
    missing = [program for program in ("enum.x", "makestr.x") if not shutil.which(program)]
    if missing:
        raise InputError(
            f"--enumerator pymatgen: {' and '.join(missing)} of enumlib not found on the PATH; compile enumlib and add "
            "its folder to the PATH, or leave the flag out: the built-in enumerator gives the same list"
        )
    from pymatgen.transformations.advanced_transformations import EnumerateStructureTransformation

    found = []
    for cells in range(1, max_atoms // len(parent) + 1):
        transformation = EnumerateStructureTransformation(cells, cells, check_ordered_symmetry=False)
        atoms = cells * len(parent)
        for number in range(atoms + 1):
            disordered = parent.copy()
            mixture: Any = dict(zip(elements, (1 - number / atoms, number / atoms), strict=True))
            disordered.replace_species(dict.fromkeys(parent.symbol_set, mixture))
            ranked: Any = transformation.apply_transformation(disordered, return_ranked_list=10**6)
            found += [entry["structure"] for entry in ranked if len(entry["structure"]) == atoms]
    return [Ordering(structure, multiplicity(structure, parent)) for structure in found]


def multiplicity(ordering: Structure, parent: Structure) -> int:
    """How many labelings of the parent's sites are equivalent to an ordering, given in its primitive cell.

    By the orbit-stabilizer theorem: operations of the parent, modulo the ordering's translations, over those of the
    ordering.
    """
    of_parent, of_ordering = (len(space_group(structure)["rotations"]) for structure in (parent, ordering))
    return of_parent * (len(ordering) // len(parent)) // of_ordering
