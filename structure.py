"""Train a MEGNet on crystal structures, score it, or ask a trained one.

    python structure.py                                       train on the table of query.py, score on its test rows
    python structure.py --predict crystal.cif folder/         ask the bundled model
    python structure.py --predict crystals.json.gz --csv gaps.csv      a table of any length, into a CSV
    python structure.py --evaluate other.json.gz              score the bundled model on another table
    python structure.py --evaluate other.json.gz --weights Bandgap_MP_2018      or a published one
    python structure.py --tune 12                             search for hyperparameters on validation rows

A training, a search or a CSV that was interrupted goes on where it stopped when the same command is run again.

Writes data/models/megnet-TARGET, data/metrics/structure.json, figures/structure-learning-curve.pdf and
figures/structure-parity.pdf.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandgaps import arguments as types
from bandgaps.errors import InputError, exit_code
from bandgaps.levels import CALCULATED, LEVELS

if TYPE_CHECKING:
    from bandgaps.structure.ensemble import Model

BUNDLED = Path(__file__).parent / "data/models/megnet-multifidelity"


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict, score, search or train, as asked."""
    options = parser().parse_args(arguments)

    types.check_outputs(options, files=["csv"], folders=["figures", "metrics"], models=["output"])
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
        model = model_files.load(options.weights or BUNDLED, options.published, options.published_url)
        name = checked(model, options)
    if options.predict:
        print(f"model: {name}", file=sys.stderr, flush=True)
        if options.csv:
            rows, wrong = prediction.to_csv(model, name, options.predict, options.csv, options.fidelity)
        else:
            rows, wrong = prediction.to_screen(model, options.predict, options.fidelity)
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, default=Path("data/bandgaps.json.gz"), help="The table of query.py (%(default)s).")
    add("--target", help="The column to learn (default: the one the table was made for, else band_gap, eV).")
    add("--output", type=Path, help="The folder of the trained model (data/models/megnet-TARGET).")
    files = "Predict gaps (eV) of structure files (CIF, POSCAR, …), folders of them, or tables."
    add("--predict", nargs="+", type=Path, metavar="FILE", help=files)
    add("--csv", type=Path, metavar="FILE", help="Write the predictions to this CSV (eV) instead of the screen.")
    add("--evaluate", type=Path, metavar="TABLE", help="Score a trained model on all rows of another table.")
    weights = "The trained model to predict with or to score (default: the bundled one)."
    add("--weights", metavar="NAME|PATH", help=weights)
    only = "Predict gaps of this fidelity (default: experiment where the model knows it, else its first)."
    add("--fidelity", choices=LEVELS, help=only)
    columns = "Learn gaps of these fidelities together, from the columns band_gap, band_gap_gllbsc, … (eV)."
    add("--fidelities", nargs="+", choices=CALCULATED, help=columns)
    trials = "Search for hyperparameters by N trials, the better half of which goes on for twice as long, and so on."
    add("--tune", type=types.count, metavar="N", help=trials)
    add("--restart", action="store_true", help="Begin training anew, whatever an interrupted run has left.")
    epochs = "Largest number of passes over the training rows (60; 20 to 100 for small tables)."
    add("--epochs", type=types.count, help=epochs)
    add("--batch-size", type=types.count, default=64, help="Number of crystals in a training step (%(default)s).")
    rate = types.number(0, 100)
    add("--learning-rate", type=rate, help="Highest learning rate of Adam (0.001; 0.004 for small tables).")
    add("--patience", type=types.count, help="Stop after so many epochs without progress (a third of --epochs).")
    add("--members", type=types.count, help="Number of networks in the ensemble (1; 3 for small tables).")
    later = "Largest number of passes for members after the first (as many as --epochs)."
    add("--later-epochs", type=types.count, help=later)
    add("--jobs", type=types.count, default=1, help="Number of processes that share the members (%(default)s).")
    add("--devices", type=types.count, help="Number of GPUs, or logical CPUs, that share each batch (all GPUs).")
    length = types.number(0, 100, "Å")
    add("--cutoff", type=length, help="Atoms closer than this share a bond, Å (5; 4 for small tables).")
    add("--seed", type=types.seed, default=0, help="Seed of initial weights and of the order of rows (%(default)s).")
    add("--figures", type=Path, default=Path("figures"), help="The folder of the PDFs (%(default)s).")
    add("--metrics", type=Path, default=Path("data/metrics"), help="The folder of the metrics (%(default)s).")
    published = Path("data/models/published")
    add("--published", type=Path, default=published, help="Where published models are kept (%(default)s).")
    add("--published-url", metavar="URL", help="Where to download them from, if not from their authors.")
    return parser


def checked(model: Model, options: argparse.Namespace) -> str:
    """The name of the model that is asked for, if it knows the fidelity that is asked for."""
    name = Path(options.weights or BUNDLED).name
    if options.fidelity and options.fidelity not in model.fidelities:
        known = ", ".join(model.fidelities) or "only one, which needs no name"
        raise InputError(f"--fidelity {options.fidelity}: {name} does not know it; it knows {known}")
    return name


def choices(options: argparse.Namespace) -> dict[str, Any]:
    """How to train, as `fitting.train` takes it."""
    settings = ("cutoff", "members", "epochs", "batch_size", "learning_rate", "patience", "later_epochs", "seed")
    names = (*settings, "devices", "jobs", "restart")
    return {"fidelities": options.fidelities or (), **{name: getattr(options, name) for name in names}}


def outputs(options: argparse.Namespace, stem: str) -> tuple[Path, Path]:
    """Where scores and their figure go."""
    return options.metrics / f"{stem}.json", options.figures / f"{stem}-parity.pdf"


if __name__ == "__main__":
    sys.exit(exit_code(main))
