"""Predict the gap of crystals, or train a MEGNet on the table of query.py.

    python structure.py --predict crystal.cif folder/                  ask the bundled model about crystals
    python structure.py --predict crystals.json.gz --csv gaps.csv      about a table of any length, into a CSV
    python structure.py                                                train on the table of query.py, and score
    python structure.py --evaluate other.json.gz                       score the bundled model on another table
    python structure.py --evaluate other.json.gz --weights Bandgap_MP_2018      or a published one
    python structure.py --tune 12                                      search for hyperparameters

A training, a search or a CSV that was interrupted goes on where it stopped when the same command is run again.

Writes data/models/megnet-TARGET, data/metrics/structure.json, figures/structure-learning-curve.pdf and
figures/structure-parity.pdf.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandgaps import arguments as types
from bandgaps.errors import InputError, exit_code
from bandgaps.levels import CALCULATED, LEVELS

if TYPE_CHECKING:
    from bandgaps.structure.ensemble import Model


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict, score, search or train, as asked."""
    options = parser().parse_args(arguments)

    types.check_outputs(options, files=["csv"], folders=["figures", "metrics"], models=["output"])
    from bandgaps import cluster
    from bandgaps.files import replacing
    from bandgaps.structure import (
        checkpoints,
        figures,
        fitting,
        model_files,
        prediction,
        scoring,
        tables,
        trainer,
        tuning,
    )
    from bandgaps.table import account, columns

    if options.predict or options.evaluate or options.weights:
        weights = options.weights or model_files.BUNDLED
        model = model_files.load(weights, options.published, options.published_url)
        name = Path(weights).name
        check_fidelity(model, name, options.fidelity)
    if options.predict:
        print(f"model: {name}", file=sys.stderr, flush=True)
        with ExitStack() as stack:
            with types.naming("--dask"):
                client = stack.enter_context(cluster.connected(options.dask))
            if options.csv:
                rows, wrong = prediction.to_csv(model, name, options.predict, options.csv, options.fidelity, client)
            else:
                rows, wrong = prediction.to_screen(model, options.predict, options.fidelity, client)
        if wrong:
            raise InputError(f"{wrong:,} of {wrong + rows:,} crystals could not be predicted; see the lines above")
        return

    path = options.evaluate or options.data
    try:
        table, target = tables.read(path, options.target, options.fidelities or ())
    except columns.MissingNumbersError as error:
        raise InputError(f"{error} with query.py --drop-missing") from None
    test = table[table["split"] == "test"]
    if not options.evaluate and not len(test):
        raise InputError(f"{path}: no row has the split test, so nothing could be scored; write it with query.py")
    if options.evaluate or options.weights:
        rows, stem = (table, f"structure-{account.stem(path)}") if options.evaluate else (test, "structure")
        scoring.score(model, name, rows, path, target, options.fidelity, *outputs(options, stem))
        return

    output = options.output or Path(f"data/models/megnet-{target}")
    types.check_outputs(argparse.Namespace(output=output), models=["output"])
    if options.tune:
        trials = output.with_name(output.name + ".trials")
        found = tuning.search(table, path, target, options.tune, trials, choices(options))
        with replacing(options.metrics / "structure-tuning.csv") as temporary:
            found.to_csv(temporary, index=False)
        print(f"{found.to_string(index=False)}\nwrote {options.metrics / 'structure-tuning.csv'}")
        return

    kept = output.with_name(output.name + ".checkpoints")
    try:
        model, history = fitting.train(table, path, target, kept, **choices(options))
    except trainer.CheckpointError as error:
        raise InputError(f"{error} with --restart") from None
    model = replace(model, card={"name": output.name, **model.card})
    result = scoring.score(model, output.name, test, path, target, None, *outputs(options, "structure"))
    model_files.save(replace(model, card={**model.card, **scoring.for_card(result)}), output)
    figures.learning_curve(options.figures / "structure-learning-curve.pdf", history)
    checkpoints.remove(kept)
    print(f"wrote {output}\nnext: python explore_structure.py")


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = types.Parser(__doc__)
    add = parser.add_argument
    data = "The table to train on (default: %(default)s, which query.py writes)."
    add("--data", type=Path, default=Path("data/bandgaps.json.gz"), metavar="TABLE", help=data)
    target = "The column to learn; a gap is in eV (default: the target of query.py, else band_gap)."
    add("--target", metavar="COLUMN", help=target)
    output = "The folder to write the trained model to (default: data/models/megnet-TARGET)."
    add("--output", type=Path, metavar="FOLDER", help=output)
    files = (
        "Train nothing; predict the gaps (eV) of crystals and their intervals. Give structure files (CIF, POSCAR), "
        "folders of them, or tables."
    )
    add("--predict", nargs="+", type=Path, metavar="FILE", help=files)
    add("--csv", type=Path, metavar="FILE", help="With --predict: write the predictions to this CSV (eV) instead.")
    dask = "With --predict: compute on the Dask cluster whose scheduler listens at this address (tcp://host:8786)."
    add("--dask", metavar="ADDRESS", help=dask)
    evaluate = "Train nothing; score a trained model on all rows of this table."
    add("--evaluate", type=Path, metavar="TABLE", help=evaluate)
    weights = (
        "The trained model that predicts or is scored: a folder, an .hdf5 file with its .json, or the name of a "
        "published MEGNet such as Bandgap_MP_2018, which is downloaded (default: the bundled model)."
    )
    add("--weights", metavar="NAME|PATH", help=weights)
    only = "The kind of gap to predict (default: experiment, the measured gap, where the model knows it)."
    add("--fidelity", choices=LEVELS, help=only)
    columns = (
        "Learn these kinds of calculated gaps together, from the columns band_gap (PBE), band_gap_gllbsc, band_gap_hse "
        "and band_gap_hse_snumat (eV). Measured gaps of the table are then learnt on top of them."
    )
    add("--fidelities", nargs="+", choices=CALCULATED, help=columns)
    trials = "Search for hyperparameters by N trials, scored on validation rows; the better half goes on for longer."
    add("--tune", type=types.count, metavar="N", help=trials)
    restart = "Begin the training anew, even if an interrupted one could go on."
    add("--restart", action="store_true", help=restart)
    epochs = "The most passes over the training rows (default: 60; 20 to 100 for small tables)."
    add("--epochs", type=types.count, metavar="N", help=epochs)
    batch = "The number of crystals in a training step (default: %(default)s)."
    add("--batch-size", type=types.count, default=64, metavar="N", help=batch)
    rate = "The highest learning rate of the optimiser Adam (default: 0.001; 0.004 for small tables)."
    add("--learning-rate", type=types.number(0, 100), metavar="RATE", help=rate)
    patience = "Stop after N epochs without a lower validation error (default: a third of --epochs)."
    add("--patience", type=types.count, metavar="N", help=patience)
    members = "The number of networks in the ensemble (default: 1; 3 for small tables)."
    add("--members", type=types.count, metavar="N", help=members)
    snapshots = "After each network that starts from random weights, train N that go on from it (default: %(default)s)."
    add("--snapshots", type=types.whole_number(0), default=0, metavar="N", help=snapshots)
    jobs = "The number of processes that train networks of the ensemble side by side (default: %(default)s)."
    add("--jobs", type=types.whole_number(1, types.MOST_CORES), default=1, metavar="N", help=jobs)
    devices = "The number of GPUs, or of logical CPUs, that share each batch (default: all GPUs)."
    add("--devices", type=types.count, metavar="N", help=devices)
    cutoff = "Atoms nearer than this length are bonded in the graph, Å (default: 5; 4 for small tables)."
    add("--cutoff", type=types.number(0, 100, "Å"), metavar="LENGTH", help=cutoff)
    seed = "The seed of the initial weights and of the order of rows (default: %(default)s)."
    add("--seed", type=types.seed, default=0, metavar="N", help=seed)
    figures = "The folder to write figures to (default: %(default)s)."
    add("--figures", type=Path, default=Path("figures"), metavar="FOLDER", help=figures)
    metrics = "The folder to write scores to (default: %(default)s)."
    add("--metrics", type=Path, default=Path("data/metrics"), metavar="FOLDER", help=metrics)
    published = "The folder that keeps downloaded models (default: %(default)s)."
    add("--published", type=Path, default=Path("data/models/published"), metavar="FOLDER", help=published)
    address = "Where to download published models from (default: their authors' repository)."
    add("--published-url", metavar="URL", help=address)
    return parser


def check_fidelity(model: Model, name: str, fidelity: str | None) -> None:
    """Raise InputError if a model does not know the fidelity that is asked for."""
    if fidelity and fidelity not in model.fidelities:
        known = ", ".join(model.fidelities) or "only one, which needs no name"
        raise InputError(f"--fidelity {fidelity}: {name} does not know it; it knows {known}")


def choices(options: argparse.Namespace) -> dict[str, Any]:
    """How to train, as `fitting.train` takes it."""
    settings = ("cutoff", "members", "epochs", "batch_size", "learning_rate", "patience", "snapshots", "seed")
    names = (*settings, "devices", "jobs", "restart")
    return {"fidelities": options.fidelities or (), **{name: getattr(options, name) for name in names}}


def outputs(options: argparse.Namespace, stem: str) -> tuple[Path, Path]:
    """Where scores and their figure go."""
    return options.metrics / f"{stem}.json", options.figures / f"{stem}-parity.pdf"


if __name__ == "__main__":
    sys.exit(exit_code(main))
