"""python structure.py [--weights NAME | PATH] [--predict FILE.cif ...] [--evaluate TABLE].

Train a MEGNet, an ensemble where the table is small, on the crystal structures of the table, and score it on the
table's test rows. A training that was interrupted goes on where it stopped when the same command is run again. With
--weights, score a model there is instead: a folder of this script's, a published .hdf5 file (or a folder of such), or
one of the names under which the authors of MEGNet publish theirs, which is then downloaded.

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
from bandgaps.levels import LEVELS

if TYPE_CHECKING:
    from bandgaps.structure.ensemble import Model


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict, score or train, as asked."""
    options = parser().parse_args(arguments)
    if options.predict:
        name = model_to_use(options, options.target or "band_gap")
        from bandgaps.structure import model_files, prediction

        model = checked(model_files.load(name, options.published, options.published_url), options.fidelity)
        report(*prediction.of_files(model, Path(name).name, options.predict, options.fidelity))
        return

    from bandgaps.structure import tables  # the table is read before TensorFlow starts, which takes longer
    from bandgaps.table import columns

    path = options.evaluate or options.data
    try:
        table, target = tables.read(path, options.target, options.fidelities or ())
    except columns.MissingNumbersError as error:
        raise InputError(f"{error} with query.py --drop-missing") from None
    if options.evaluate or options.weights:
        name = model_to_use(options, target)
        from bandgaps.structure import model_files, scoring
        from bandgaps.table.account import stem

        model = checked(model_files.load(name, options.published, options.published_url), options.fidelity)
        rows = table if options.evaluate else table[table["split"] == "test"]
        written = outputs(options, f"structure-{stem(path)}" if options.evaluate else "structure")
        scoring.score(model, Path(name).name, rows, path, target, options.fidelity, *written)
        return

    from bandgaps.structure import checkpoints, figures, fitting, model_files, scoring, trainer

    output = model_folder(options, target)
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
    add("--data", type=Path, default=Path("data/bandgaps.json.gz"), help="table of query.py (%(default)s)")
    add("--target", help="column to learn, eV (default: the one the table was made for, else band_gap)")
    add("--output", type=Path, help="folder of the model (data/models/megnet-TARGET)")
    add("--weights", metavar="NAME|PATH", help="use this model instead of training one")
    add("--evaluate", type=Path, metavar="TABLE", help="score the model on all rows of another table")
    add("--predict", nargs="+", metavar="FILE", help="print gap ± sigma (eV) of structure files (CIF, POSCAR, …)")
    add("--fidelity", choices=LEVELS, help="predict gaps of this fidelity, with a model that knows several")
    columns = "learn gaps of these fidelities together, from the columns band_gap, band_gap_gllbsc, …"
    add("--fidelities", nargs="+", choices=LEVELS, help=columns)
    add("--restart", action="store_true", help="begin training anew, whatever an interrupted run has left")
    epochs = "largest number of passes over the training rows (60; 20 to 100 for small tables)"
    add("--epochs", type=types.count, help=epochs)
    add("--batch-size", type=types.count, default=64, help="number of crystals in a training step (%(default)s)")
    rate = types.number(0, 100)
    add("--learning-rate", type=rate, help="highest learning rate of Adam (0.001; 0.004 for small tables)")
    add("--patience", type=types.count, help="stop after so many epochs without progress (a third of --epochs)")
    members = "number of networks in the ensemble, whose spread is the sigma (1; 3 for small tables)"
    add("--members", type=types.count, help=members)
    add("--jobs", type=types.count, default=1, help="processes that share the members (%(default)s)")
    add("--devices", type=types.count, help="GPUs (or logical CPUs) that share each batch (all GPUs there are)")
    length = types.number(0, 100, "Å")
    add("--cutoff", type=length, default=4.0, help="atoms closer than this share a bond, Å (%(default)s)")
    add("--seed", type=types.seed, default=0, help="seed of initial weights and of the order of rows (%(default)s)")
    add("--figures", type=Path, default=Path("figures"), help="folder of the PDFs (%(default)s)")
    add("--metrics", type=Path, default=Path("data/metrics"), help="folder of the metrics (%(default)s)")
    add("--published", type=Path, default=Path("data/models/published"), help="where published models are kept")
    add("--published-url", metavar="URL", help="where to download them from, if not from their authors")
    return parser


def model_folder(options: argparse.Namespace, target: str) -> Path:
    """Where the model for this target is or will be."""
    return options.output or Path(f"data/models/megnet-{target}")


def model_to_use(options: argparse.Namespace, target: str) -> Path | str:
    """The model that --weights names, else the folder of the one trained for this target."""
    folder = model_folder(options, target)
    if not options.weights and not folder.is_dir():
        raise InputError(f"{folder}: no model there; train one with structure.py, or name another with --weights")
    return options.weights or folder


def checked(model: Model, fidelity: str | None) -> Model:
    """The model, if it knows the fidelity that is asked for."""
    try:
        model.calibration(fidelity)
    except InputError as error:
        raise InputError(f"--{error}") from None  # it begins with the word
    return model


def choices(options: argparse.Namespace) -> dict[str, Any]:
    """How to train, as `fitting.train` takes it."""
    settings = ("cutoff", "members", "epochs", "batch_size", "learning_rate", "patience", "seed")
    names = (*settings, "devices", "jobs", "restart")
    return {"fidelities": options.fidelities or (), **{name: getattr(options, name) for name in names}}


def outputs(options: argparse.Namespace, stem: str) -> tuple[Path, Path]:
    """Where scores and their figure go."""
    return options.metrics / f"{stem}.json", options.figures / f"{stem}-parity.pdf"


def report(lines: list[str], wrong: list[str]) -> None:
    """Print predictions, then an error for each file without one."""
    if lines:
        print("\n".join(lines), flush=True)
    for error in wrong[:-1]:
        print(f"error: {' '.join(error.split())}", file=sys.stderr)
    if wrong:
        raise InputError(wrong[-1])


if __name__ == "__main__":
    sys.exit(exit_code(main))
