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
    import pandas as pd

    from bandgaps.structure.ensemble import Model

BUNDLED = Path(__file__).parent / "data/models/megnet-multifidelity"


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict, score, search or train, as asked."""
    options = parser().parse_args(arguments)
    if options.predict:
        predict(options)
        return

    from bandgaps.structure import tables  # the table is read before TensorFlow starts, which takes longer
    from bandgaps.table import columns

    path = options.evaluate or options.data
    try:
        table, target = tables.read(path, options.target, options.fidelities or ())
    except columns.MissingNumbersError as error:
        raise InputError(f"{error} with query.py --drop-missing") from None
    if options.evaluate or options.weights:
        evaluate(options, table, path, target)
    elif options.tune:
        tune(options, table, path, target)
    else:
        train(options, table, path, target)


def predict(options: argparse.Namespace) -> None:
    """Predict the gaps of crystals, to the screen or into a CSV."""
    from bandgaps.files import sha256
    from bandgaps.resumable import ResumableCsv
    from bandgaps.structure import prediction

    model, name = loaded(options)
    print(f"model: {name}", file=sys.stderr, flush=True)
    if options.csv is None:
        prediction.predict(model, options.predict, (seen := Shown()).show, options.fidelity)
        wrong, rows = seen.wrong, seen.rows
    else:
        files = [sha256(item) if item.is_file() else "" for item in options.predict]
        asked = [*map(str, options.predict), *files, name, str(model.card.get("date")), str(options.fidelity)]
        with ResumableCsv(options.csv, " ".join(asked)) as csv:

            def add(table: pd.DataFrame | None, inputs: int, errors: list[str]) -> None:
                tell(errors)
                csv.add(table, inputs, len(errors))
                print(f"{csv.done:,} crystals", file=sys.stderr, flush=True)

            prediction.predict(model, options.predict, add, options.fidelity, csv.done)
        wrong, rows = csv.wrong, csv.rows
        print(f"wrote {options.csv}: {rows:,} crystals" if rows else f"{options.csv}: not written")
    if wrong:
        raise InputError(f"{wrong:,} of {wrong + rows:,} crystals could not be predicted; see the lines above")


class Shown:
    """Prints predictions under one heading, and counts them."""

    def __init__(self) -> None:
        self.rows = self.wrong = 0

    def show(self, table: pd.DataFrame | None, inputs: int, errors: list[str]) -> None:
        """Print rows and errors."""
        from bandgaps.structure.prediction import formatted

        if table is not None:
            print(formatted(table, header=not self.rows), flush=True)
        tell(errors)
        self.rows, self.wrong = self.rows + inputs - len(errors), self.wrong + len(errors)


def tell(errors: Sequence[str]) -> None:
    """Print what cannot be predicted, a line each."""
    for error in errors:
        print(f"error: {' '.join(error.split())}", file=sys.stderr)


def evaluate(options: argparse.Namespace, table: pd.DataFrame, path: Path, target: str) -> None:
    """Score a trained model on a table."""
    from bandgaps.structure import scoring
    from bandgaps.table.account import stem

    model, name = loaded(options)
    rows = table if options.evaluate else table[table["split"] == "test"]
    written = outputs(options, f"structure-{stem(path)}" if options.evaluate else "structure")
    scoring.score(model, name, rows, path, target, options.fidelity, *written)


def tune(options: argparse.Namespace, table: pd.DataFrame, path: Path, target: str) -> None:
    """Search for hyperparameters and print what was found."""
    from bandgaps.files import replacing
    from bandgaps.structure import tuning

    folder = options.output or Path(f"data/models/megnet-{target}")
    chosen = choices(options)
    found = tuning.search(table, path, target, options.tune, folder.with_name(folder.name + ".trials"), chosen)
    path = options.metrics / "structure-tuning.csv"
    with replacing(path) as temporary:
        found.to_csv(temporary, index=False)
    print(f"{found.to_string(index=False)}\nwrote {path}")


def train(options: argparse.Namespace, table: pd.DataFrame, path: Path, target: str) -> None:
    """Train a model, score it on test rows, and write it."""
    from bandgaps.structure import checkpoints, figures, fitting, model_files, scoring, trainer

    output = options.output or Path(f"data/models/megnet-{target}")
    kept = output.with_name(output.name + ".checkpoints")
    try:
        model, history = fitting.train(table, path, target, kept, **choices(options))
    except trainer.CheckpointError as error:
        raise InputError(f"{error} with --restart") from None
    model = replace(model, card={"name": output.name, **model.card})
    test = table[table["split"] == "test"]
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
    add("--jobs", type=types.count, default=1, help="Number of processes that share the members (%(default)s).")
    add("--devices", type=types.count, help="Number of GPUs, or logical CPUs, that share each batch (all GPUs).")
    length = types.number(0, 100, "Å")
    add("--cutoff", type=length, default=5.0, help="Atoms closer than this share a bond, Å (%(default)s).")
    add("--seed", type=types.seed, default=0, help="Seed of initial weights and of the order of rows (%(default)s).")
    add("--figures", type=Path, default=Path("figures"), help="The folder of the PDFs (%(default)s).")
    add("--metrics", type=Path, default=Path("data/metrics"), help="The folder of the metrics (%(default)s).")
    published = Path("data/models/published")
    add("--published", type=Path, default=published, help="Where published models are kept (%(default)s).")
    add("--published-url", metavar="URL", help="Where to download them from, if not from their authors.")
    return parser


def loaded(options: argparse.Namespace) -> tuple[Model, str]:
    """The model that is asked for, else the bundled one, and its name."""
    from bandgaps.structure import model_files

    which = options.weights or BUNDLED
    model = model_files.load(which, options.published, options.published_url)
    if options.fidelity and options.fidelity not in model.fidelities:
        known = ", ".join(model.fidelities) or "only one, which needs no name"
        raise InputError(f"--fidelity {options.fidelity}: {Path(which).name} does not know it; it knows {known}")
    return model, Path(which).name


def choices(options: argparse.Namespace) -> dict[str, Any]:
    """How to train, as `fitting.train` takes it."""
    settings = ("cutoff", "members", "epochs", "batch_size", "learning_rate", "patience", "seed")
    names = (*settings, "devices", "jobs", "restart")
    return {"fidelities": options.fidelities or (), **{name: getattr(options, name) for name in names}}


def outputs(options: argparse.Namespace, stem: str) -> tuple[Path, Path]:
    """Where scores and their figure go."""
    return options.metrics / f"{stem}.json", options.figures / f"{stem}-parity.pdf"


if __name__ == "__main__":
    sys.exit(exit_code(main))
