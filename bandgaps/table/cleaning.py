"""From rows as they came to a table that every script can use: filtered, cleaned and split."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bandgaps.errors import InputError
from bandgaps.formulas import has_together, in_system
from bandgaps.levels import EXPERIMENT
from bandgaps.table import columns, splitting
from bandgaps.table.account import Step
from bandgaps.table.columns import energy_column, keys, represents_composition
from bandgaps.table.sources import Filters, Source
from bandgaps.table.storage import no_garbage_collection

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from bandgaps.table.records import Crystal

ISOLATION_CUTOFF = 4.0  # Å
AT_ONCE = 10_000  # crystals; bounds the memory that their atoms take
MOST_STEPS = 300  # after which finding all neighbours costs less


def clean(table: pd.DataFrame, target: str, all_polymorphs: bool = False) -> tuple[pd.DataFrame, list[Step]]:
    """Keep one material of each composition, or all its polymorphs, and none with an isolated atom.

    The polymorph of lowest energy represents its composition, one of unknown energy only where there is no other. In a
    table without energies, the target is averaged over the rows of each composition, and the first spelling stays.

    Returns:
        The rows left, renumbered from 0, and the steps with their counts.
    """
    energy = energy_column(table)
    if all_polymorphs:
        steps = [Step(f"every polymorph of {keys(table).nunique():,} compositions", len(table))]
    elif energy:
        table = table[represents_composition(table)].reset_index(drop=True)
        steps = [Step(f"polymorph of lowest {energy} of each composition", len(table))]
    else:
        table = _mean_of_compositions(table, target)
        steps = [Step("mean of each composition's rows (no energy to choose by)", len(table))]
    if "structure" in table:
        table = table[~with_isolated_atoms(table["structure"].tolist())].reset_index(drop=True)
        steps.append(Step(f"no atom without a neighbour within {ISOLATION_CUTOFF:g} Å", len(table)))
    return table, steps


def _mean_of_compositions(table: pd.DataFrame, target: str) -> pd.DataFrame:
    compositions = keys(table)
    means = table[target].groupby(compositions).transform("mean")
    return table.assign(**{target: means})[~compositions.duplicated()].reset_index(drop=True)


def with_isolated_atoms(crystals: Sequence[Crystal], cutoff: float = ISOLATION_CUTOFF) -> np.ndarray:
    """Which crystals have a site without a neighbour (periodic images included) within `cutoff` Å, (crystals,)."""
    from bandgaps.table.records import structure

    found = np.zeros(len(crystals), dtype=bool)
    for start in range(0, len(crystals), AT_ONCE):
        for row in _doubtful(crystals[start : start + AT_ONCE], cutoff).tolist():
            crystal = crystals[start + row]
            found[start + row] = has_isolated_atom(structure(crystal) if isinstance(crystal, dict) else crystal, cutoff)
    return found


def has_isolated_atom(structure: Structure, cutoff: float = ISOLATION_CUTOFF) -> bool:
    """Whether a site has no neighbour (periodic images included) within `cutoff` Å, by pymatgen's search."""
    centers, _, _, _ = structure.get_neighbor_list(cutoff)
    return len(np.unique(centers)) < len(structure)


def _doubtful(crystals: Sequence[Crystal], cutoff: float) -> np.ndarray:
    """The rows of crystals in which a quick search finds no neighbour of some atom; there may be one all the same.

    A lattice vector shorter than the cutoff makes each atom a neighbour of itself. Else each atom is compared with
    the first after it in its crystal, then with the second, and so on until it has a neighbour, which most have soon.
    """
    from bandgaps.table.records import geometry

    matrices, periodic, positions = zip(*map(geometry, crystals), strict=True)
    lattices, repeats = np.array(matrices), np.array(periodic, dtype=bool)
    lengths = np.where(repeats, np.linalg.norm(lattices, axis=2), np.inf)
    sizes = np.array([len(each) for each in positions])
    crystal, begins = np.repeat(np.arange(len(sizes)), sizes), np.repeat(np.cumsum(sizes) - sizes, sizes)
    fractions = np.concatenate(positions)
    alone = np.flatnonzero(lengths.min(axis=1)[crystal] >= cutoff)
    doubtful: list[np.ndarray] = []
    for step in range(1, MOST_STEPS):
        compared = sizes[crystal[alone]] <= step
        doubtful.append(crystal[alone[compared]])
        alone = alone[~compared]
        if not len(alone):
            break
        own = crystal[alone]
        other = begins[alone] + (alone - begins[alone] + step) % sizes[own]
        apart = fractions[alone] - fractions[other]
        apart -= np.where(repeats[own], np.round(apart), 0)
        squares = (np.einsum("ij,ijk->ik", apart, lattices[own]) ** 2).sum(axis=1)
        alone = alone[squares >= cutoff**2]
    return np.unique(np.concatenate([*doubtful, crystal[alone]]))


@no_garbage_collection()
def prepare(
    source: Source, target: str, filters: Filters, seed: int, train_on: Collection[str] = (), apart: bool = False
) -> tuple[pd.DataFrame, list[Step]]:
    """Filter, clean and split by composition.

    Args:
        source: the rows.
        target: the column to predict later on; rows must have a number in it.
        filters: which rows to keep.
        seed: of the split, any non-negative integer.
        train_on: formulas whose rows are for training, whatever the seed.
        apart: whether compositions with a measured gap are a part of their own, `measured`.

    Returns:
        The table, with a column `split`, and the steps with the number of rows after each.

    Raises:
        InputError: a column that is asked for is missing, a formula cannot be read, or no row is left.
        MissingNumbersError: a row has no number in the target column.
    """
    table, steps = source.table, list(source.steps)
    if not source.filtered:
        table, filtering = _filter(table, filters, source.name)
        steps += filtering
    table, leaving_out = _leave_out(table, filters.leave_out)
    steps += leaving_out
    table, with_target = _with_target(table, target, filters, source.name)
    steps.append(with_target)
    if len(table):
        table, cleaned = clean(table, target, filters.all_polymorphs)
        steps += cleaned
    empty = next((step for step in steps if not step.rows), None)
    if empty:
        raise InputError(f"{source.name}: no rows are left after the step {empty.kept!r}; widen the filters")
    measured = table[EXPERIMENT].notna().to_numpy() if apart else None
    parts = splitting.split_compositions(table, columns.is_metal(table, target), seed, train_on, measured)
    return table.assign(split=parts), steps


def _filter(table: pd.DataFrame, filters: Filters, name: str) -> tuple[pd.DataFrame, list[Step]]:
    steps = []
    if filters.chemsys:
        kept = [any(in_system(formula, system) for system in filters.chemsys) for formula in table["formula"]]
        table = table[kept].reset_index(drop=True)
        steps.append(Step(f"chemical system {', '.join(filters.chemsys)}", len(table)))
    if filters.max_energy_above_hull is not None:
        if "energy_above_hull" not in table:
            raise InputError(
                f"{name}: no column energy_above_hull to filter by; leave this filter out, or fetch from the Materials "
                "Project"
            )
        energy = columns.numbers(table["energy_above_hull"])
        table = table[energy <= filters.max_energy_above_hull].reset_index(drop=True)
        steps.append(Step(f"at most {filters.max_energy_above_hull:g} eV/atom above the hull", len(table)))
    return table, steps


def _leave_out(table: pd.DataFrame, systems: Collection[str]) -> tuple[pd.DataFrame, list[Step]]:
    steps = []
    for system in systems:
        kept = np.array([not has_together(formula, system) for formula in table["formula"]], dtype=bool)
        table = table[kept].reset_index(drop=True)
        elements = system.split("-")
        steps.append(Step(f"without {' and '.join(elements)}{' together' * (len(elements) > 1)}", len(table)))
    return table, steps


def _with_target(table: pd.DataFrame, target: str, filters: Filters, name: str) -> tuple[pd.DataFrame, Step]:
    columns.require_columns(table, [target], name)
    if filters.drop_missing:
        values = columns.numbers(table[target]).to_numpy()
        table = table[np.isfinite(values)].reset_index(drop=True)
    table = table.assign(**{target: columns.target_values(table, target, name)})
    if "band_gap" in table:  # tells metals from non-metals whatever the target
        table["band_gap"] = columns.numbers(table["band_gap"])
    return table, Step(f"with a number in {target}", len(table))
