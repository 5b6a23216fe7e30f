"""Orderings by way of pymatgen and enumlib, a second opinion on those that are enumerated here."""

from __future__ import annotations

import shutil
from typing import Any

from pymatgen.core import Structure

from bandgaps.alloy.orderings import Ordering, space_group, sublattice
from bandgaps.errors import InputError, RunError


def orderings_by_enumlib(parent: Structure, elements: tuple[str, str], max_atoms: int) -> list[Ordering]:
    """The same list from pymatgen's EnumerateStructureTransformation, which drives the programs of enumlib.

    Args:
        parent: as for `orderings.orderings`.
        elements: the two elements.
        max_atoms: of a cell.

    Raises:
        InputError: enumlib's programs are not on the PATH.
        RunError: they fail.
    """
    missing = [program for program in ("enum.x", "makestr.x") if not shutil.which(program)]
    if missing:
        raise InputError(
            f"{' and '.join(missing)} of enumlib not found on the PATH; compile enumlib and add its folder to the PATH "
            "or take the built-in enumerator, which gives the same list"
        )
    from pymatgen.transformations.advanced_transformations import EnumerateStructureTransformation

    first, second = elements
    found = [parent, parent.copy().replace_species({first: second})]  # enumlib has nothing to order in these
    for cells in range(1, max_atoms // len(parent) + 1):
        transformation = EnumerateStructureTransformation(cells, cells, check_ordered_symmetry=False, n_jobs=1)
        sites = cells * len(sublattice(parent, first))
        for number in range(1, sites):
            mixture: Any = {first: 1 - number / sites, second: number / sites}
            disordered = parent.copy().replace_species({first: mixture})
            try:
                ranked: Any = transformation.apply_transformation(disordered, return_ranked_list=10**6)
            except ValueError as error:
                raise RunError(
                    f"enumlib: no orderings with {number} {second} in cells of {cells * len(parent)} atoms ({error}); "
                    "take the built-in enumerator"
                ) from None
            found += [entry["structure"] for entry in ranked if len(entry["structure"]) == cells * len(parent)]
    return [Ordering(structure, multiplicity(structure, parent)) for structure in found]


def multiplicity(ordering: Structure, parent: Structure) -> int:
    """How many labelings of the parent's sites are equivalent to an ordering, given in its primitive cell.

    By the orbit-stabilizer theorem: operations of the parent, modulo the ordering's translations, over those of the
    ordering.
    """
    of_parent, of_ordering = (len(space_group(structure)["rotations"]) for structure in (parent, ordering))
    return of_parent * (len(ordering) // len(parent)) // of_ordering
