"""The measured gaps that taught a network by way of pseudo-labels, written down in its folder.

The forests behind pseudo-labels learn from more compositions than the network has crystals of. What one of them knew,
the network may know, so that no such composition is held out from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bandgaps import model_folders
from bandgaps.composition import pseudo_labels
from bandgaps.errors import InputError
from bandgaps.formulas import left_out
from bandgaps.levels import EXPERIMENT, PSEUDO_LABEL
from bandgaps.structure import model_files
from bandgaps.structure.ensemble import Model
from bandgaps.table import measured_gaps, sources, storage
from bandgaps.table.columns import require_columns


def record(folder: Path, table: Path, measured: Sequence[Path]) -> int:
    """Write the formulas of a model's teachers into its folder.

    Args:
        folder: of the model.
        table: that it was trained on, with pseudo-labels.
        measured: the lists of measured gaps that the pseudo-labels were fitted to, in the order in which they were.

    Returns:
        How many formulas there are.

    Raises:
        InputError: one of them is missing or damaged, or the model was trained on another table.
    """
    model = model_files.load(folder)
    rows = storage.read_records(table)
    require_columns(rows, ["formula", "split"], table)
    if model.formulas is None or set(rows["formula"][rows["split"] != "test"]) != set(model.formulas):
        raise InputError(f"{table}: not the table that {folder} was trained on; name that one")
    filters = sources.Filters(leave_out=left_out(model.card.get("account", {}).get("filters", {}).get("leave_out", [])))
    lists = [sources.from_file(path, EXPERIMENT) for path in measured]
    teachers = pseudo_labels.teachers(rows, *measured_gaps.together(lists, filters)).index.to_numpy(dtype=bytes)
    arrays = {"formula": model.formulas.astype(bytes), "teachers": np.unique(teachers)}
    model_folders.update(folder, model_files.KIND, {}, {"training": arrays})
    return len(arrays["teachers"])


def are_unknown(model: Model) -> bool:
    """Whether a model has learnt pseudo-labels from compositions that its folder does not tell."""
    counts = model.card.get("account", {}).get("counts", {})
    return model.teachers is None and bool(counts.get(f"with {PSEUDO_LABEL}"))
