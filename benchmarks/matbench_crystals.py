"""python -m benchmarks.matbench_crystals TABLE [--epochs N].

One network of crystals on the first fold of matbench's mp_gap: for orientation, since only part of the task is here.

TABLE is one of query.py with a column matbench_id. Its crystals are learnt from or scored as the fold says. A twentieth
of the compositions to learn from decides which weights are kept. Writes data/metrics/matbench-crystals.json. A run that
was stopped goes on where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandgaps import arguments
from bandgaps.errors import InputError, exit_code
from bandgaps.files import write_json
from bandgaps.formulas import composition_keys
from bandgaps.structure import checkpoints, evaluation, fitting, scoring
from bandgaps.structure.evaluation import Predictions
from bandgaps.structure.training_set import FORMATION_ENERGY
from bandgaps.table import columns, storage
from benchmarks import data
from benchmarks.matbench import errors
from benchmarks.matbench_data import official_folds

ROWS = 106_113  # of the task
IDENTITY = "matbench_id"  # row n, counted from 1, is mb-mp-gap-n
TARGET = "band_gap"
VALIDATED = 20  # one composition in so many decides which weights are kept
OUTPUT = data.ROOT / "data" / "metrics" / "matbench-crystals.json"


def of_fold(table: pd.DataFrame, number: int) -> pd.DataFrame:
    """The crystals of a fold that are in a table, their split that of the fold.

    Raises:
        InputError: none is.
    """
    test = [f"mb-mp-gap-{row + 1:06d}" for row in official_folds(ROWS)[number][1].tolist()]
    known = table[table[IDENTITY].notna()]
    if known.empty:
        raise InputError(f"column {IDENTITY}: no crystal of matbench's mp_gap; name a table that has some")
    names, index = np.unique(composition_keys(known["formula"]), return_inverse=True)
    validated = (np.random.default_rng(0).permutation(len(names)) % VALIDATED == 0)[index]
    split = np.where(known[IDENTITY].isin(test), "test", np.where(validated, "validation", "train"))
    return known.assign(split=split)


def scores(found: Predictions) -> dict[str, Any]:
    """Errors (eV) on the test rows, and on those whose composition was not learnt from."""
    every = np.ones(len(found.actual), dtype=bool)
    parts = {"all": every, "non-metals": found.actual > 0, "new compositions": ~found.seen}
    return errors(found.actual, found.predicted, parts)


def main(arguments_given: Sequence[str] | None = None) -> None:
    """Train, score and write."""
    parser = arguments.Parser(__doc__, "python -m benchmarks.matbench_crystals")
    parser.add_argument("table", type=Path, metavar="TABLE", help="The table of crystals with gaps in eV.")
    parser.add_argument("--epochs", type=arguments.count, default=16, help="Passes over the rows (%(default)s).")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE", help="Where to write (%(default)s).")
    options = parser.parse_args(arguments_given)
    table = storage.read_records(options.table)
    columns.require_columns(table, ["structure", TARGET, IDENTITY], options.table)
    table = of_fold(table.drop(columns=FORMATION_ENERGY, errors="ignore"), 0)  # which is not part of the task
    folder = options.table.parent / "matbench-crystals.checkpoints"
    model, history = fitting.train(
        table,
        options.table,
        TARGET,
        folder,
        members=1,
        epochs=options.epochs,
        patience=options.epochs,
        learning_rate=3e-3,
    )
    test, graphs, _ = scoring.usable(model, table[table["split"] == "test"], options.table)
    found = evaluation.predictions(replace(model, calibrations={}), test, graphs, {None: TARGET})[None]
    counts = {part: int((table["split"] == part).sum()) for part in ("train", "validation", "test")}
    result = {"rows": counts, "task_rows": ROWS, "epochs": len(history), **scores(found)}
    write_json(result, options.output)
    checkpoints.remove(folder)
    print(f"mean absolute error {result['all']['mae']:.3f} eV on {counts['test']:,} crystals; wrote {options.output}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
