"""Predict the measured gap of formulas, or train forests on the table of query.py.

    python composition.py --predict GaN Al0.3Ga0.7As                 ask the bundled model about formulas
    python composition.py --predict formulas.csv --csv gaps.csv      about a file of them, into a CSV
    python composition.py                                            train on the table of query.py, and score
    python composition.py --fidelity experiment --measured gaps.csv  train a model of measured gaps

The models are forests on Magpie features of the formula. Training makes two: "combined" learns from all materials of
the table, "non-metals" from those with a gap. Both are scored on the non-metals of the test rows. With
--fidelity experiment, a forest of measured gaps is trained; a forest of the table's PBE gaps gives it further features.

Writes data/models/composition-*, data/metrics/composition*.json, and figures/composition-*.pdf.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bandgaps import arguments as types
from bandgaps.errors import InputError, exit_code

OWN = Path("data/models")
OWN_MEASURED = OWN / "own"  # not among the models that come with the project, of which it is one more


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict, evaluate or train, as asked."""
    options = parser().parse_args(arguments)
    check(options)
    if options.predict:
        types.check_outputs(options, files=["csv"])
    else:
        types.check_outputs(options, folders=["metrics"] if options.evaluate else ["metrics", "figures"])
    from bandgaps import cluster, processors
    from bandgaps.composition import evaluation, figures, measured, models, prediction
    from bandgaps.files import write_json
    from bandgaps.metrics import format_table
    from bandgaps.table import account, columns

    folder = options.models or (OWN_MEASURED if options.fidelity == "experiment" else OWN)
    if not options.predict and not options.evaluate:
        with types.naming("--models"):
            models.check_places(folder, options.fidelity)
    jobs = processors.cores() if options.jobs == -1 else options.jobs
    origin = str(options.models or "comes with the project")
    with ExitStack() as stack:
        with types.naming("--dask"):
            client = stack.enter_context(cluster.connected(options.dask))
        if options.predict:
            wrong = 0
            for number, (name, model) in enumerate(models.to_ask(options.models).items()):
                if options.csv and number:
                    break
                print(f"{name} ({model.card['target']}), {origin}", flush=True)
                if options.csv:
                    wrong = prediction.to_csv(model, name, options.predict, options.csv, client)
                else:
                    wrong = prediction.to_screen(model, options.predict, client, errors=not number)
            if wrong:
                raise InputError(f"{wrong} of the formulas could not be read; all others were answered")
            return

        every, path = options.fidelity == "experiment", options.evaluate or options.data
        try:
            table, target = models.read(path, options.target, polymorphs=every and not options.evaluate)
        except columns.MissingNumbersError as error:
            raise InputError(f"{error} with query.py --drop-missing") from None
        if options.evaluate:
            asked = models.to_score(options.models, target)
            results = models.evaluate(asked, evaluation.Rows.to_score(table, target, path))
            for name, scores in results.items():
                unseen = scores["unseen"]["all"]["n"]
                print(f"{name} ({origin}): {unseen} of {len(table)} formulas were not in its training")
            print(f"\nNon-metals of {path.name} ({target})\n{format_table(results)}")
            write_json(results, metrics := options.metrics / f"composition-{account.stem(path)}.json")
            print(f"wrote {metrics}")
            return

        if options.fidelity == "experiment":
            with types.naming("--leave-out"):
                left_out = measured.systems(options.leave_out)
            with types.naming("--measured"):
                gaps = measured.from_lists(options.measured, left_out)
            with types.naming("--data"):
                calculated = measured.from_table(table, target, left_out)
            print(f"{len(calculated.y):,} calculated gaps for the teacher, {len(gaps.y):,} measured ones", flush=True)
            model, out = measured.fit(calculated, gaps, options.seed, jobs)
            results = measured.scores(model, out)
            measured.save(model, folder, path, options.measured, left_out, results)
            figures.measured_gaps(options.figures, out.unknown.found, model.intervals, out.unknown.y)
            print(
                f"five folds over compositions (calculated: the teacher knew them, else not)\n{measured.told(results)}"
            )
            write_json(results, metrics := options.metrics / "composition-experiment.json")
            print(f"wrote {folder}/{measured.TEACHER}, {folder}/{measured.PUPIL}, {metrics}, {options.figures}")
            print(f"next: python composition.py --models {folder} --predict FORMULA")
            return

        rows = evaluation.Rows.of(table, target, path)
        if options.cv:
            with types.naming("--cv"):
                evaluation.check_folds(rows, options.cv, tuned=bool(options.tune))
        if options.tune:
            with types.naming("--tune"):
                evaluation.check_tuning(rows)
        metals, tests = int(rows.metal.sum()), int(rows.test.sum())
        print(f"{len(table):,} materials, {metals:,} of them metals; {tests:,} are for testing")
        settings = evaluation.tune(rows, options.tune, options.seed, jobs) if options.tune else {}
        if settings:
            print("tuned: " + ", ".join(f"{name} = {value}" for name, value in settings.items()))
        results = {}
        for name in evaluation.MODELS:
            model = models.fit(rows, name, options.seed, jobs, settings, target)
            results[name] = evaluation.score(model, rows)
            models.save(model, folder, path, results[name])
            models.draw(model, rows, name, options.figures)
        if options.baselines:
            results |= evaluation.baselines(rows)
        print(f"\nNon-metals of the test rows ({target})\n{format_table(results)}")
        everything = results["combined"]["all"]
        print(f"combined on all {everything['n']} test rows: MAE {everything['mae']:.4f} eV")
        if options.cv:
            found = evaluation.cross_validate(rows, options.cv, options.seed, jobs, options.tune or 0)
            results["cross-validation"] = found
            print(folds(found))
        write_json(results, metrics := options.metrics / "composition.json")
        print(f"wrote {folder}/composition-*, {metrics}, {options.figures}/composition-*.pdf")
        print("next: python explore_composition.py")


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = types.Parser(__doc__)
    add = parser.add_argument
    data = "The table to train on (default: %(default)s, which query.py writes)."
    add("--data", type=Path, default=Path("data/bandgaps.json.gz"), metavar="TABLE", help=data)
    target = "The column to learn; a gap is in eV (default: the target of query.py, else band_gap)."
    add("--target", metavar="COLUMN", help=target)
    fidelity = "Train forests of the table's gaps (pbe), or a forest of measured gaps (default: %(default)s)."
    add("--fidelity", choices=("pbe", "experiment"), default="pbe", help=fidelity)
    measured = (
        "Lists of measured gaps to learn with --fidelity experiment: CSVs with the columns formula and band_gap (eV). "
        "Where lists disagree about a composition, the later one counts."
    )
    add("--measured", nargs="+", type=Path, default=[], metavar="FILE", help=measured)
    leave_out = "With --fidelity experiment: train on no material that contains all of these elements, such as Si-Ge."
    add("--leave-out", nargs="+", default=[], metavar="ELEMENTS", help=leave_out)
    seed = "The seed of the forests, of the folds and of the random search (default: %(default)s)."
    add("--seed", type=types.seed, default=0, metavar="N", help=seed)
    jobs = "How many processor cores to use; -1 means all (default: %(default)s)."
    add("--jobs", type=types.cores, default=-1, metavar="N", help=jobs)
    dask = "Compute on the Dask cluster whose scheduler has this address, such as tcp://host:8786."
    add("--dask", metavar="ADDRESS", help=dask)
    cv = "Also score by K-fold cross-validation over all rows (eV). With --tune, each fold is tuned on its own."
    add("--cv", type=types.whole_number(2, types.MOST), metavar="K", help=cv)
    tune = "Choose hyperparameters among N random settings, by cross-validation over the training rows."
    add("--tune", type=types.count, metavar="N", help=tune)
    baselines = "Also score three baselines: the mean, ridge regression and a support vector machine."
    add("--baselines", action="store_true", help=baselines)
    instead = parser.add_mutually_exclusive_group()
    evaluate = "Train nothing; score the models on all rows of this table."
    instead.add_argument("--evaluate", type=Path, metavar="TABLE", help=evaluate)
    predict = (
        "Train nothing; predict the gaps (eV) of formulas and their intervals. A file may stand for many formulas: a "
        "CSV with a column formula, or a text file with a formula a line."
    )
    instead.add_argument("--predict", nargs="+", metavar="FORMULA|FILE", help=predict)
    table = "With --predict: write the predictions to this CSV (eV) instead of printing them."
    add("--csv", type=Path, metavar="FILE", help=table)
    models = (
        "The folder of your own models. Training writes to it (default: data/models, or data/models/own for measured "
        "gaps); --predict and --evaluate read from it (default: the bundled models)."
    )
    add("--models", type=Path, metavar="FOLDER", help=models)
    figures = "The folder to write figures to (default: %(default)s)."
    add("--figures", type=Path, default=Path("figures"), metavar="FOLDER", help=figures)
    metrics = "The folder to write scores to (default: %(default)s)."
    add("--metrics", type=Path, default=Path("data/metrics"), metavar="FOLDER", help=metrics)
    return parser


def check(options: argparse.Namespace) -> None:
    """Raise InputError where flags do not go together."""
    if options.csv and not options.predict:
        raise InputError("--csv: goes with --predict; give both")
    if (options.measured or options.leave_out) and options.fidelity != "experiment":
        raise InputError("--measured and --leave-out go with --fidelity experiment; give it too")
    if options.fidelity == "experiment" and (options.cv or options.tune or options.baselines):
        raise InputError("--cv, --tune and --baselines go with --fidelity pbe; leave them out")
    if options.fidelity == "experiment" and not (options.measured or options.predict or options.evaluate):
        raise InputError("--fidelity experiment: needs --measured FILE, a CSV of formulas and measured gaps (eV)")


def folds(scores: dict[str, Any]) -> str:
    """The scores of a cross-validation, one line a model."""
    lines = []
    for name, score in scores.items():
        tuned = ", tuned within each fold's training rows" if "hyperparameters" in score else ""
        mae = f"MAE {score['mae']:.4f} ± {score['mae_std']:.4f} eV"
        lines.append(f"{len(score['folds'])}-fold cross-validation{tuned}, {name}: {mae}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(exit_code(main))
