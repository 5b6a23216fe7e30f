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
import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandgaps.errors import InputError, exit_code
from bandgaps.levels import LEVELS

if TYPE_CHECKING:
    import pandas as pd
    from pymatgen.core import Structure

    from bandgaps.structure.ensemble import Model
    from bandgaps.structure.graphs import Graphs
    from bandgaps.structure.training import Training

SMALL = 5_000  # training rows; with fewer, an ensemble costs little and says how sure it is
SMALL_STEPS = 1000  # of the optimiser for each of its members, some half a minute in all
FEW_ROWS = "a model of so few rows shows trends among crystals like those it has seen; trust none of its gaps alone"
PUBLISHED = "these weights were trained on Materials Project entries, perhaps these very ones: their score is no test"


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict, evaluate, score given weights or train, as asked."""
    options = parser().parse_args(arguments)
    if options.predict:
        predict(options)
    elif options.evaluate:
        evaluate(options)
    elif options.weights:
        score_weights(options)
    else:
        train(options)


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, default=Path("data/bandgaps.json.gz"), help="table of query.py (%(default)s)")
    add("--target", help="column to learn, eV (default: the one the table was made for, else band_gap)")
    add("--output", type=Path, help="folder of the model (data/models/megnet-TARGET)")
    add("--weights", metavar="NAME|PATH", help="use this model instead of training one")
    add("--evaluate", type=Path, metavar="TABLE", help="score the model on all rows of another table")
    add("--predict", nargs="+", metavar="FILE", help="print gap ± sigma of structure files (CIF, POSCAR, …)")
    add("--fidelity", choices=LEVELS, help="level of theory to predict at, for models that know several")
    add(
        "--fidelities",
        nargs="+",
        choices=LEVELS,
        help="learn these levels of theory together (columns band_gap, …)",
    )
    add("--restart", action="store_true", help="begin training anew, whatever an interrupted run has left")
    add("--epochs", type=_natural, help="passes over the training rows, at most (60; 20 to 60 for small tables)")
    add("--batch-size", type=_natural, help="crystals a step (64; 32 for small tables)")
    add("--learning-rate", type=_positive, help="of Adam at its highest (0.001; 0.002 for small tables)")
    add("--patience", type=_natural, help="stop after so many epochs without progress (a third of --epochs)")
    add("--members", type=_natural, help="networks in the ensemble; their spread is the sigma (1; 3 for small tables)")
    add("--jobs", type=_natural, default=1, help="processes that share the members (%(default)s)")
    add("--devices", type=_natural, help="GPUs (or logical CPUs) that share each batch (all GPUs there are)")
    add("--cutoff", type=_positive, default=4.0, help="atoms closer than this share a bond, Å (%(default)s)")
    add("--seed", type=_seed, default=0, help="of initial weights and the order of rows (%(default)s)")
    add("--figures", type=Path, default=Path("figures"), help="folder of the PDFs (%(default)s)")
    add("--metrics", type=Path, default=Path("data/metrics"), help="folder of the metrics (%(default)s)")
    add("--published", type=Path, default=Path("data/models/published"), help="where published models are kept")
    add("--published-url", metavar="URL", help="where to download them from, if not from their authors")
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def _natural(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and below 100")
    return value


# ------------------------------------------------------------------------------------------------------ table and model


def read(path: Path, options: argparse.Namespace) -> tuple[pd.DataFrame, str]:
    """The table with its split, by seed 0 where it has none, and the name of the target; structures as dictionaries."""
    from bandgaps.table import account, columns, splitting, storage

    table = storage.read_records(path)
    target = options.target or account.read_meta(path).get("target", "band_gap")
    columns.require_columns(table, ["structure", target], path)
    if not options.fidelities:  # of several levels of theory, each row has some
        try:
            table = table.assign(**{target: columns.target_values(table, target, path)})
        except columns.MissingNumbersError as error:
            raise InputError(f"{error} with query.py --drop-missing") from None
    if "split" not in table:
        table = table.assign(split=splitting.split_compositions(table, columns.is_metal(table, target), seed=0))
    return table, target


def graphs_of(rows: pd.DataFrame, path: Path, cutoff: float) -> Graphs:
    """The graphs of rows, kept on disk between runs."""
    from bandgaps.structure import graph_cache

    names = [f"{path}: row {row} ({formula})" for row, formula in rows["formula"].items()]  # in errors
    return graph_cache.cached(list(rows["structure"]), cutoff, path.parent / ".cache", names)


def model_folder(options: argparse.Namespace, target: str) -> Path:
    """Where the model for this target is or will be."""
    return options.output or Path(f"data/models/megnet-{target}")


def load(options: argparse.Namespace, target: str) -> tuple[Model, str]:
    """The model that --weights names, else the one trained for this target; and its name."""
    name = options.weights or model_folder(options, target)
    if not options.weights and not name.is_dir():
        raise InputError(f"{name}: no model there; train one with structure.py, or name another with --weights")
    from bandgaps.structure import model_files, published

    return model_files.load(name, options.published, options.published_url or published.URL), Path(name).name


# ------------------------------------------------------------------------------------------------------------ training


def train(options: argparse.Namespace) -> None:
    """Fit an ensemble, calibrate it, score it on the test rows, save it, and draw how it learnt and how it does."""
    table, target = read(options.data, options)
    import numpy as np

    from bandgaps import model_folders
    from bandgaps.files import sha256
    from bandgaps.structure import evaluation, model_files, network, training, training_set
    from bandgaps.table import account, columns

    names = [LEVELS[level] for level in options.fidelities] if options.fidelities else [target]
    columns.require_columns(table, names, options.data)
    parts = {part: table[table["split"] == part] for part in ("train", "validation", "test")}
    built = {part: graphs_of(parts[part], options.data, options.cutoff) for part in ("train", "validation")}
    levels = options.fidelities or ()
    fitted, validated = (
        training_set.training_rows(parts[part], built[part], names, levels) for part in ("train", "validation")
    )
    settings, members = how_to_train(len(fitted.targets), names[0], options)
    output = model_folder(options, target)
    checkpoints = output.with_name(output.name + ".checkpoints")
    if options.restart:
        shutil.rmtree(checkpoints, ignore_errors=True)
    elif checkpoints.exists():
        print(f"going on with the interrupted training in {checkpoints}")
    count = f"{len(fitted.targets):,} {'gaps' if options.fidelities else 'rows'}"
    print(f"training {members} network(s) on {count}, {len(validated.targets):,} decide when to stop")
    architecture = network.Hyperparameters(
        cutoff=options.cutoff, last_center=options.cutoff + 1, fidelities=tuple(options.fidelities or ())
    )
    model, history = training.fit(
        fitted,
        validated,
        architecture,
        settings,
        members,
        checkpoints,
        devices=options.devices,
        jobs=options.jobs,
    )
    scored = evaluation.levels(model, table, target, None)
    calibrations = evaluation.calibrated(model, parts["validation"], built["validation"], scored)
    seen = np.unique(table.loc[table["split"] != "test", "formula"].to_numpy(dtype=str))
    card = {
        "name": output.name,
        "target": target,
        "unit": "eV",
        "trained_on": {"table": options.data.name, "sha256": sha256(options.data), "rows": len(fitted.targets)},
        "account": {key: value for key, value in account.read_meta(options.data).items() if key != "input"},
        "training": asdict(settings),
        "validation_mae": min(row["validation_mae"] for row in history),
        **model_folders.provenance(("keras", "numpy")),
    }
    model = replace(model, card=card, formulas=seen, calibrations=calibrations)
    scores = score(model, output.name, parts["test"], target, options.data, "structure", options)
    tested = {key: scores[key] for key in ("non-metals", "all", "fidelities") if key in scores}
    model_files.save(replace(model, card={**card, "test": tested}), output)
    draw_history(history, options)
    shutil.rmtree(checkpoints)
    print(f"wrote {output}\nnext: python explore_structure.py")


def how_to_train(rows: int, column: str, options: argparse.Namespace) -> tuple[Training, int]:
    """Settings and number of members for so many training rows, where the command line leaves them open."""
    from bandgaps.structure.training import Training

    small = rows < SMALL
    batch_size = options.batch_size or (32 if small else 64)
    epochs = options.epochs or (min(100, max(20, SMALL_STEPS * batch_size // max(rows, 1))) if small else 60)
    settings = Training(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=options.learning_rate or (2e-3 if small else 1e-3),
        patience=options.patience or max(epochs // 3, 1),
        loss="huber" if small else "mae",  # few rows are learnt better when the far ones count: by validation rows
        lowest=0.0 if column.startswith("band_gap") else None,
        seed=options.seed,
    )
    return settings, options.members or (3 if small else 1)


def draw_history(history: list[dict[str, float]], options: argparse.Namespace) -> None:
    """The errors after each epoch."""
    import pandas as pd

    from bandgaps.structure import figures

    frame = pd.DataFrame(history).astype({"member": int, "epoch": int})
    figures.learning_curve(options.figures / "structure-learning-curve.pdf", frame)


# ------------------------------------------------------------------------------------------------- scores, predictions


def score_weights(options: argparse.Namespace) -> None:
    """Score given weights on the test rows."""
    table, target = read(options.data, options)
    model, name = load(options, target)
    score(model, name, table[table["split"] == "test"], target, options.data, "structure", options)


def evaluate(options: argparse.Namespace) -> None:
    """Score a model on all rows of another table."""
    from bandgaps.table.account import stem

    table, target = read(options.evaluate, options)
    model, name = load(options, target)
    score(model, name, table, target, options.evaluate, f"structure-{stem(options.evaluate)}", options)


def score(
    model: Model, name: str, rows: pd.DataFrame, target: str, path: Path, stem: str, options: argparse.Namespace
) -> dict[str, Any]:
    """Score a model on rows (eV); print the table, write it as METRICS/STEM.json, draw FIGURES/STEM-parity.pdf."""
    import numpy as np

    from bandgaps import plotting
    from bandgaps.files import write_json
    from bandgaps.structure import evaluation

    if model.hyperparameters.probability:
        raise InputError(f"{name}: gives a probability, not {target}; use it with --predict")
    columns = evaluation.levels(model, rows, target, options.fidelity)
    found = evaluation.predictions(model, rows, graphs_of(rows, path, model.hyperparameters.cutoff), columns)
    scores = {level: each.scores() for level, each in found.items()}
    first = next(iter(found))
    result: dict[str, Any] = {"table": path.name, "model": name, "target": target, "fidelity": first, **scores[first]}
    if len(found) > 1:
        result["fidelities"] = scores
    if model.published:
        result["note"] = PUBLISHED
    else:
        result["mean_guess_mae"] = float(np.mean(np.abs(found[first].actual - model.mean)))
        if int(model.card.get("trained_on", {}).get("rows", SMALL)) < SMALL:
            result["note"] = FEW_ROWS
    tell(model, name, rows, path, scores, columns, result)
    write_json(result, options.metrics / f"{stem}.json")
    shown = found[first]
    plotting.parity(options.figures / f"{stem}-parity.pdf", shown.actual, shown.predicted, shown.std, f"MEGNet, {name}")
    print(f"wrote {options.metrics / stem}.json, {options.figures / stem}-parity.pdf")
    return result


def tell(
    model: Model,
    name: str,
    rows: pd.DataFrame,
    path: Path,
    scores: Mapping[str | None, Mapping[str, Any]],
    columns: Mapping[str | None, str],
    result: Mapping[str, Any],
) -> None:
    """Print scores, one table for each level of theory."""
    from bandgaps import metrics

    for level, column in columns.items():
        label = f"{column} at level {level}" if level else column
        parts = {part: scores[level][part] for part in ("non-metals", "all")}
        print(f"\n{name} on {parts['all']['n']:,} rows of {path.name} ({label})\n{metrics.format_table(parts)}")
        if "predicted-non-metals" in scores[level]:
            held = scores[level]["predicted-non-metals"]
            shares = f"{held['within_68']:.1%} and {held['within_95']:.1%}"
            print(f"intervals of 68 and 95 % hold {shares} of the {held['n']:,} rows in which it sees a gap")
    if "mean_guess_mae" in result:
        guess = result["mean_guess_mae"]
        print(f"always guessing the mean of the training rows, {model.mean:.2f} eV: MAE {guess:.4f} eV")
    if model.formulas is not None:
        unseen = int((~rows["formula"].isin(model.formulas)).sum())
        print(f"{unseen:,} of the {len(rows):,} formulas were not in its training")
    if "note" in result:
        print(f"note: {result['note']}")


def predict(options: argparse.Namespace) -> None:
    """Print gap ± sigma of structure files."""
    structures = [read_structure(Path(name)) for name in options.predict]
    from bandgaps.structure import neighbors

    model, name = load(options, options.target or "band_gap")
    built = neighbors.build(structures, model.hyperparameters.cutoff, options.predict)
    predicted, std = model.predict(built, options.fidelity)
    width = max(len("file"), *(len(file) for file in options.predict))
    print(f"{'file':<{width}}  {'formula':<12}  {name} ({model.unit})")
    for file, structure, gap, sigma in zip(options.predict, structures, predicted, std, strict=True):
        spread = "" if math.isnan(sigma) else f" ± {sigma:.3f}"
        print(f"{file:<{width}}  {structure.reduced_formula:<12}  {gap:.3f}{spread}")


def read_structure(path: Path) -> Structure:
    """Read a structure in any format that pymatgen knows."""
    from pymatgen.core import Structure

    try:
        return Structure.from_file(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # each format's parser raises what it likes
        raise InputError(f"{path}: not a structure that pymatgen reads ({error}); give a CIF or POSCAR file") from None


if __name__ == "__main__":
    sys.exit(exit_code(main))
