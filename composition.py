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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandgaps.errors import InputError, exit_code

if TYPE_CHECKING:
    import pandas as pd

    from bandgaps.composition.evaluation import Rows

MODELS = ("non-metals", "combined")


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict, evaluate or train, as asked."""
    options = parser().parse_args(arguments)
    from bandgaps.composition import cluster

    with cluster.cluster(options.dask):
        if options.predict:
            predict(options)
        elif options.evaluate:
            evaluate(options)
        else:
            train(options)


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, default=Path("data/bandgaps.json.gz"), help="table of query.py (%(default)s)")
    add("--target", help="column to learn, eV (default: the one the table was made for, else band_gap)")
    add("--seed", type=_natural, default=0, help="of the forests (%(default)s)")
    add("--jobs", type=int, default=-1, help="processor cores to use, -1 for all (%(default)s)")
    add("--dask", metavar="ADDRESS", help="compute on the Dask cluster of this scheduler, tcp://host:8786 say")
    add("--cv", type=_several, metavar="K", help="also score by K-fold cross-validation over all rows")
    add("--tune", type=_positive, metavar="N", help="choose hyperparameters among N random ones, by training rows")
    add("--baselines", action="store_true", help="also score the mean, ridge regression and a support vector machine")
    add("--evaluate", type=Path, metavar="TABLE", help="score the saved models on another table")
    add("--predict", nargs="+", metavar="FORMULA", help="print gap ± sigma (eV) of formulas by the saved models")
    add("--models", type=Path, default=Path("data/models"), help="folder of the models (%(default)s)")
    add("--figures", type=Path, default=Path("figures"), help="folder of the PDFs (%(default)s)")
    add("--metrics", type=Path, default=Path("data/metrics"), help="folder of the metrics (%(default)s)")
    return parser


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def _positive(text: str) -> int:
    return _at_least(1, text)


def _several(text: str) -> int:
    return _at_least(2, text)


def _at_least(least: int, text: str) -> int:
    if _natural(text) < least:
        raise argparse.ArgumentTypeError(f"{text} is less than {least}")
    return int(text)


# ------------------------------------------------------------------------------------------------------------ training


def train(options: argparse.Namespace) -> None:
    """Fit both forests, score them on the test rows, save them and draw what they are worth."""
    from bandgaps.composition import evaluation
    from bandgaps.files import write_json

    table, target = read(options)
    rows = evaluation.Rows.of(table, target, options.data, options.seed)
    print(
        f"{len(table):,} materials, {int(rows.metal.sum()):,} of them metals; {int(rows.test.sum()):,} are for testing"
    )
    settings = evaluation.tune(rows, options.tune, options.seed, options.jobs) if options.tune else {}
    if settings:
        print("tuned: " + ", ".join(f"{name} = {value}" for name, value in settings.items()))
    results: dict[str, Any] = {name: fit(name, rows, target, settings, options) for name in MODELS}
    if options.baselines:
        results |= evaluation.baselines(rows)
    report(results, f"Non-metals of the test rows ({target})")
    print(
        f"combined on all {results['combined']['all']['n']} test rows: MAE {results['combined']['all']['mae']:.4f} eV"
    )
    if options.cv:
        folds = evaluation.cross_validate(rows, options.cv, options.seed, options.jobs, settings)
        for name, fold in folds.items():
            print(f"{options.cv}-fold cross-validation, {name}: MAE {fold['mae']:.4f} ± {fold['mae_std']:.4f} eV")
        results["cross-validation"] = folds
    write_json(results, options.metrics / "composition.json")
    print(
        f"wrote {options.models}/composition-*, {options.metrics}/composition.json, {options.figures}/composition-*.pdf"
    )
    print("next: python explore_composition.py")


def fit(name: str, rows: Rows, target: str, settings: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Fit, save and draw one of the two models, and return its scores."""
    from bandgaps.composition import evaluation, forest, magpie
    from bandgaps.files import sha256
    from bandgaps.model_folders import provenance
    from bandgaps.table import account

    part = rows.train & ~rows.metal if name == "non-metals" else rows.train
    for purpose, needed in (("training", part), ("test", rows.test & ~rows.metal)):
        if not needed.any():
            raise InputError(f"{options.data}: no {purpose} rows for the model {name!r}; query a larger table")
    model = forest.new(options.seed, options.jobs).set_params(**settings).fit(rows.X[part], rows.y[part])
    scores = evaluation.score(model, rows)
    meta = account.read_meta(options.data)
    card = {
        "name": f"composition-{name}",
        "target": target,
        "unit": "eV",
        "trained_on": {"table": options.data.name, "sha256": sha256(options.data), "rows": int(part.sum())},
        "source": meta.get("source"),
        "left_out": meta.get("filters", {}).get("leave_out", []),
        "scores": scores,
        **provenance(("scikit-learn", "numpy")),
    }
    training = {"formula": rows.formula[part].astype(str), "target": rows.y[part]}
    forest.save(model, options.models / f"composition-{name}", card, magpie.LABELS, training)
    draw(model, rows, name, options.figures)
    return scores


def report(results: dict[str, Any], title: str) -> None:
    """Print the table of scores."""
    from bandgaps.metrics import format_table

    print(f"\n{title}\n{format_table(results)}")


def read(options: argparse.Namespace) -> tuple[pd.DataFrame, str]:
    """The table, one row a formula, and the name of its target."""
    from bandgaps.table import account, columns, storage

    path = options.evaluate or options.data
    table = storage.read(path, structures=False)
    table = table[columns.represents_composition(table)].reset_index(drop=True)
    target = options.target or account.read_meta(path).get("target", "band_gap")
    try:
        columns.target_values(table, target, path)
    except columns.MissingNumbersError as error:
        raise InputError(f"{error} with query.py --drop-missing") from None
    return table, target


def draw(model: Any, rows: Rows, name: str, folder: Path) -> None:
    """Parity, calibration and importances of a model on the test rows that are no metals."""
    from bandgaps import plotting
    from bandgaps.composition import evaluation, figures, magpie

    part = rows.test & ~rows.metal
    predicted, std = model.predict(rows.X[part], return_std=True)
    label = f"forest, {name}"
    plotting.parity(folder / f"composition-parity-{name}.pdf", rows.y[part], predicted, std, label)
    figures.calibration(folder / f"composition-calibration-{name}.pdf", rows.y[part], predicted, std, label)
    costliest = evaluation.importances(model, rows.X[part], rows.y[part], magpie.LABELS).head(10)
    figures.importances(folder / f"composition-importances-{name}.pdf", costliest, label)


# ------------------------------------------------------------------------------------------------ using trained models


def predict(options: argparse.Namespace) -> None:
    """Print gap ± sigma of formulas."""
    from bandgaps.composition import forest, magpie

    X = magpie.features(options.predict)
    columns = []
    for name in MODELS:
        model, _, _ = forest.load(options.models / f"composition-{name}", magpie.LABELS)
        columns.append(
            [f"{gap:.3f} ± {sigma:.3f}" for gap, sigma in zip(*model.predict(X, return_std=True), strict=True)]
        )
    width = max(8, *(len(formula) for formula in options.predict))
    print(f"{'formula':>{width}} " + " ".join(f"{name + ' (eV)':>16}" for name in MODELS))
    for formula, *gaps in zip(options.predict, *columns, strict=True):
        print(f"{formula:>{width}} " + " ".join(f"{gap:>16}" for gap in gaps))


def evaluate(options: argparse.Namespace) -> None:
    """Score the saved models on another table."""
    from bandgaps.composition import evaluation, forest, magpie
    from bandgaps.files import write_json
    from bandgaps.table import account

    table, target = read(options)
    rows = evaluation.Rows.to_score(table, target, options.evaluate)
    results: dict[str, Any] = {}
    for name in MODELS:
        model, _, training = forest.load(options.models / f"composition-{name}", magpie.LABELS)
        results[name] = evaluation.score(model, rows)
        unseen = rows.without(training["formula"])
        results[name]["unseen"] = evaluation.score(model, unseen)
        print(f"{name}: {int(unseen.test.sum())} of {len(table)} formulas were not in its training")
    report(results, f"Non-metals of {options.evaluate.name} ({target})")
    path = options.metrics / f"composition-{account.stem(options.evaluate)}.json"
    write_json(results, path)
    print(f"wrote {path}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
