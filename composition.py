"""python composition.py [--data data/bandgaps.json.gz] [--predict FORMULA ...] [--evaluate TABLE].

Train random forests on the Magpie features of formulas, with leaf-impurity uncertainty: "combined" on all materials of
the table, "non-metals" on those with a gap. Both are scored on the non-metals of the table's test rows.

Writes data/models/composition-combined and composition-non-metals, data/metrics/composition.json, and figures of
parity, calibration and the costliest features as figures/composition-*.pdf.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandgaps import arguments as types
from bandgaps.errors import InputError, exit_code

if TYPE_CHECKING:
    import numpy as np


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict, evaluate or train, as asked."""
    options = parser().parse_args(arguments)
    from bandgaps import processors
    from bandgaps.composition import cluster, evaluation, models
    from bandgaps.files import write_json
    from bandgaps.metrics import format_table
    from bandgaps.table import columns
    from bandgaps.table.account import stem

    jobs = processors.cores() if options.jobs == -1 else options.jobs
    with ExitStack() as stack:
        with types.naming("--dask"):
            stack.enter_context(cluster.cluster(options.dask))
        if options.predict:
            print(predictions(options.predict, models.predict(options.models, options.predict)))
            return

        path = options.evaluate or options.data
        try:
            table, target = models.read(path, options.target)
        except columns.MissingNumbersError as error:
            raise InputError(f"{error} with query.py --drop-missing") from None
        if options.evaluate:
            metrics = options.metrics / f"composition-{stem(path)}.json"
            results = models.evaluate(options.models, evaluation.Rows.to_score(table, target, path))
            for name, scores in results.items():
                print(f"{name}: {scores['unseen']['all']['n']} of {len(table)} formulas were not in its training")
            print(f"\nNon-metals of {path.name} ({target})\n{format_table(results)}")
            write_json(results, metrics)
            print(f"wrote {metrics}")
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
            model = models.fit(rows, name, options.seed, jobs, settings)
            results[name] = evaluation.score(model, rows)
            models.save(model, rows, name, options.models, path, target, results[name])
            models.draw(model, rows, name, options.figures)
        if options.baselines:
            results |= evaluation.baselines(rows)
        print(f"\nNon-metals of the test rows ({target})\n{format_table(results)}")
        everything = results["combined"]["all"]
        print(f"combined on all {everything['n']} test rows: MAE {everything['mae']:.4f} eV")
        if options.cv:
            results["cross-validation"] = evaluation.cross_validate(
                rows, options.cv, options.seed, jobs, options.tune or 0
            )
            print(folds(results["cross-validation"]))
        metrics = options.metrics / "composition.json"
        write_json(results, metrics)
        print(f"wrote {options.models}/composition-*, {metrics}, {options.figures}/composition-*.pdf")
        print("next: python explore_composition.py")


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    data = "The table of query.py to train on (default: %(default)s)."
    add("--data", type=Path, default=Path("data/bandgaps.json.gz"), metavar="TABLE", help=data)
    target = "The column to learn, eV (default: the one that the table was made for, else band_gap)."
    add("--target", metavar="COLUMN", help=target)
    seed = "The seed of the forests, of the folds and of the hyperparameters tried (default: %(default)s)."
    add("--seed", type=types.seed, default=0, metavar="N", help=seed)
    jobs = "How many processor cores work; -1 takes all that this process may use (default: %(default)s)."
    add("--jobs", type=types.cores, default=-1, metavar="N", help=jobs)
    dask = "Compute on the Dask cluster whose scheduler listens at this address, such as tcp://host:8786."
    add("--dask", metavar="ADDRESS", help=dask)
    cv = "Also score by K-fold cross-validation over all rows (MAE, eV). With --tune, each fold is tuned by itself."
    add("--cv", type=types.whole_number(2), metavar="K", help=cv)
    tune = "Choose the hyperparameters among N random ones, by cross-validation over the training rows."
    add("--tune", type=types.count, metavar="N", help=tune)
    baselines = "Also score the mean, ridge regression and a support vector machine."
    add("--baselines", action="store_true", help=baselines)
    instead = parser.add_mutually_exclusive_group()
    evaluate = "Train nothing; score the saved models on all rows of another table."
    instead.add_argument("--evaluate", type=Path, metavar="TABLE", help=evaluate)
    predict = "Train nothing; print the gap ± sigma (eV) of these formulas by the saved models."
    instead.add_argument("--predict", nargs="+", metavar="FORMULA", help=predict)
    models = "The folder of the models (default: %(default)s)."
    add("--models", type=Path, default=Path("data/models"), metavar="FOLDER", help=models)
    figures = "The folder that the figures are written to (default: %(default)s)."
    add("--figures", type=Path, default=Path("figures"), metavar="FOLDER", help=figures)
    metrics = "The folder that the scores are written to (default: %(default)s)."
    add("--metrics", type=Path, default=Path("data/metrics"), metavar="FOLDER", help=metrics)
    return parser


def predictions(formulas: Sequence[str], predicted: dict[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """Gap ± sigma (eV) of formulas as a table, one column a model."""
    width = max(8, *(len(formula) for formula in formulas))
    lines = [f"{'formula':>{width}} " + " ".join(f"{name + ' (eV)':>16}" for name in predicted)]
    for row, formula in enumerate(formulas):
        gaps = (f"{gap[row]:.3f} ± {sigma[row]:.3f}" for gap, sigma in predicted.values())
        lines.append(f"{formula:>{width}} " + " ".join(f"{gap:>16}" for gap in gaps))
    return "\n".join(lines)


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
