"""Crystals in, gaps out: from structure files, folders of them, and tables of any length, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bandgaps import screening
from bandgaps.formulas import composition_keys
from bandgaps.intervals import SHARES
from bandgaps.structure import crystal_files, ensemble, neighbors
from bandgaps.structure.crystal_files import Asked, asked, count
from bandgaps.structure.ensemble import Model
from bandgaps.structure.graphs import Graphs, merged

if TYPE_CHECKING:
    from distributed import Client

CHUNK = 500  # crystals that are asked about at once
ENDS = [f"band_gap_{side}_{share:.0%}".rstrip("%") for share in SHARES for side in ("low", "high")]


def to_screen(
    model: Model, items: Sequence[Path], fidelity: str | None = None, client: Client | None = None
) -> tuple[int, int]:
    """Print the predictions for all crystals under one heading, and an error for each that has none.

    Args:
        model: a model of structures.
        items: structure files, folders of them, or tables.
        fidelity: of the gaps; by default that of measurement where the model knows it, else its first.
        client: of a Dask cluster that does the work; its workers read structure files by themselves.

    Returns:
        How many crystals were predicted, and how many could not be.

    Raises:
        InputError: a table cannot be read, or the model does not know the fidelity.
        RunError: the cluster is lost.
    """
    rows = wrong = 0
    for table, errors in screening.answers(model, _question(items, fidelity), client):
        if table is not None:
            print(formatted(table, header=not rows), flush=True)
            rows += len(table)
        screening.tell(errors)
        wrong += len(errors)
    return rows, wrong


def to_csv(
    model: Model,
    name: str,
    items: Sequence[Path],
    path: Path,
    fidelity: str | None = None,
    client: Client | None = None,
) -> tuple[int, int]:
    """Write the predictions for all crystals as a CSV, and go on with one that was cut off.

    Args:
        model: a model of structures.
        name: what to call it.
        items: as for `to_screen`.
        path: the CSV.
        fidelity: as for `to_screen`.
        client: as for `to_screen`.

    Returns:
        As `to_screen`.

    Raises:
        InputError, RunError: as `to_screen`.
    """
    identity = (name, model.card.get("date"), fidelity, crystal_files.listing(items))
    rows, wrong = screening.to_csv(model, identity, _question(items, fidelity), path, client)
    if not rows:
        print(f"{path}: not written, for it would be empty")
    return rows, wrong


def _question(items: Sequence[Path], fidelity: str | None) -> screening.Question:
    def chunks(skip: int) -> Iterator[list[Asked]]:
        every = asked(items, skip)
        while chunk := list(islice(every, CHUNK)):
            yield chunk

    return screening.Question("crystals", items, chunks, lambda: count(items), partial(answered, fidelity=fidelity))


def answered(model: Model, chunk: Sequence[Asked], fidelity: str | None = None) -> screening.Answer:
    """What a model says of some crystals, and an error for each that it cannot predict.

    Returns:
        Columns name, formula, the gap, its standard deviation, the ends of both intervals (eV), the PBE gap where the
        model knows it beside a measured one (eV), and in_training: `measured`, `calculated` or `no`.
    """
    chunk = [each.read() for each in chunk]
    readable = [each for each in chunk if each.crystal is not None]
    built, faults = neighbors.build_all(
        [each.crystal for each in readable if each.crystal], model.hyperparameters.cutoff
    )
    faults = {**ensemble.unknown_elements(built, model.hyperparameters), **faults}
    names = [each.name for each in readable]
    wrong = {each.name: each.error for each in chunk if each.crystal is None}
    wrong |= {names[row]: fault.named(row, names) for row, fault in faults.items()}
    good = np.setdiff1d(np.arange(len(readable)), list(faults))
    errors = [wrong[each.name] for each in chunk if each.name in wrong]
    if not len(good):
        return None, errors
    formulas = [_formula(readable[row].crystal) for row in good.tolist()]
    table = pd.DataFrame({"name": [names[row] for row in good.tolist()], "formula": formulas})
    gaps = gaps_of(model, built.select(good), fidelity)
    return table.assign(**gaps, in_training=in_training(model, formulas)), errors


def gaps_of(model: Model, graphs: Graphs, fidelity: str | None) -> dict[str, np.ndarray]:
    """The columns of gaps (eV) that `answered` gives."""
    if model.measured is None or fidelity not in (None, "experiment"):
        gap, std = model.predict(graphs, fidelity)
        wide = model.calibration(fidelity).wide
        least = -np.inf if model.lowest is None else model.lowest
        ends = [np.maximum(gap + sign * factor * std, least) for factor in (1, wide) for sign in (-1, 1)]
        return {"band_gap": gap, "band_gap_std": std, **dict(zip(ENDS, ends, strict=True))}
    graphs = merged(graphs)
    calculated = model.calculated(graphs)
    found = model.measured_from(graphs, calculated)
    bounds = model.measured.intervals.bounds(found)
    (low, high), ends = bounds[0], [end for pair in bounds for end in pair]
    own = {"band_gap": found.median, "band_gap_std": (high - low) / 2, **dict(zip(ENDS, ends, strict=True))}
    return {**own, "band_gap_pbe": np.maximum(calculated[:, 0], 0.0)}


def in_training(model: Model, formulas: Sequence[str]) -> np.ndarray:
    """Whether a gap of each composition was `measured` or `calculated` in training, or neither (`no`)."""
    seen = np.where(model.has_seen(formulas), "calculated", "no")
    if model.measured is None:
        return seen
    return np.where(np.isin(composition_keys(formulas), model.measured.composition), "measured", seen)


def _formula(crystal: Any) -> str:
    """The reduced formula of a structure, or of the dictionary of one."""
    from pymatgen.core import Composition

    if not isinstance(crystal, dict):
        return str(crystal.composition.reduced_formula)
    atoms: dict[str, float] = {}
    for site in crystal["sites"]:
        for part in site["species"]:
            atoms[part["element"]] = atoms.get(part["element"], 0.0) + part["occu"]
    return str(Composition(atoms).reduced_formula)


def formatted(table: pd.DataFrame, header: bool) -> str:
    """Predictions as text, eV, a line a crystal."""
    width, formulas = (max(12, int(table[column].str.len().max())) for column in ("name", "formula"))
    columns = [
        "gap",
        "68 % interval",
        "95 % interval",
        *(["PBE gap"] if "band_gap_pbe" in table else []),
        "in training",
    ]
    lines = [f"{'crystal':<{width}}  {'formula':<{formulas}} " + " ".join(f"{name:>14}" for name in columns)]
    for row in table.to_dict("records"):
        cells = [f"{row['band_gap']:.2f} ± {row['band_gap_std']:.2f}"]
        cells += [f"{row[low]:.2f} – {row[high]:.2f}" for low, high in (ENDS[:2], ENDS[2:])]
        cells += [f"{row['band_gap_pbe']:.2f}"] if "band_gap_pbe" in table else []
        shown = " ".join(f"{cell:>14}" for cell in [*cells, row["in_training"]])
        lines.append(f"{row['name']:<{width}}  {row['formula']:<{formulas}} {shown}")
    return "\n".join(lines if header else lines[1:])
