"""Which alloys are held out from a network, and what it predicts of them.

An alloy is held out if neither the network nor what taught it by pseudo-labels has seen a compound of exactly its
elements, be it in whole or in fractional amounts. The ends may be known: ZnS and CdS of Zn-Cd-S.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pymatgen.core import Structure

from bandgaps.alloy import teachers
from bandgaps.alloy.pseudobinary import RANDOM_SITES, PseudobinaryAlloy
from bandgaps.errors import InputError
from bandgaps.formulas import elements
from bandgaps.structure import neighbors
from bandgaps.structure.ensemble import Model

DRAWS = 8  # random cells of one composition
Composition = tuple[PseudobinaryAlloy, float]  # and the x of it


def systems_seen(model: Model) -> set[frozenset[str]]:
    """The sets of elements of all compounds that a model or its teachers have seen.

    Raises:
        InputError: the model does not tell.
    """
    name, seen = model.card.get("name", "the model"), model.seen(including_teachers=True)
    if seen is None:
        raise InputError(f"{name}: does not tell what it was trained on, so that no alloy is known to be held out")
    if teachers.are_unknown(model):
        raise InputError(
            f"{name}: does not tell what its pseudo-labels stem from, so that no alloy is known to be held out; "
            "write it down with python -m bandgaps.alloy.bowing"
        )
    return {elements(formula) for formula in seen}


def is_held_out(alloy: PseudobinaryAlloy, systems: set[frozenset[str]]) -> bool:
    """Whether an alloy's elements are none of the sets `systems`."""
    return frozenset(element.symbol for element in alloy.composition(0.5)) not in systems


def shared_site_gaps(model: Model, alloys: Sequence[Composition]) -> np.ndarray:
    """Measured gaps as predicted of virtual crystals, eV, shape (alloys,)."""
    return predicted(model, [alloy.shared_site(x) for alloy, x in alloys])


def ordered_gaps(model: Model, alloys: Sequence[Composition]) -> np.ndarray:
    """Measured gaps as predicted of random ordered cells, eV, shape (alloys,).

    Each is the mean over eight cells, on a straight line between the nearest compositions that eight sites can have.
    """
    generator = np.random.default_rng(0)
    wanted = [round(RANDOM_SITES * x, 6) for _, x in alloys]
    counts = [(int(np.floor(count)), int(np.ceil(count))) for count in wanted]
    cells = [
        alloy.random_cell(count, generator)
        for (alloy, _), pair in zip(alloys, counts, strict=True)
        for count in sorted(set(pair))
        for _ in range(DRAWS)
    ]
    means = iter(predicted(model, cells).reshape(-1, DRAWS).mean(axis=1))
    found = []
    for count, (low, high) in zip(wanted, counts, strict=True):
        below = next(means)
        above = below if low == high else next(means)
        found.append(below + (count - low) * (above - below))
    return np.array(found)


def predicted(model: Model, crystals: Sequence[Structure]) -> np.ndarray:
    """Measured gaps as a model predicts them, eV, shape (crystals,)."""
    return model.predict(neighbors.build(list(crystals), model.hyperparameters.cutoff), "experiment")[0]
