"""python -m benchmarks.matbench [--data FOLDER] [--parts PART ...].

How well gaps are predicted from compositions alone, on both gap tasks of matbench and their official five folds.

Every variant of the model says which data beyond the fold's training rows it uses. Settings were fixed beforehand on
inner validation rows, a fifth of each fold's training rows. Tried were a third or 0.6 of the features at a split, and
2, 3 or 4 rows in the smallest group that is split. So were 100 or 300 trees, features with and without element
fractions and electron counts, and teachers of 12 or 60 trees. Known PBE gaps as further features brought nothing. Test
rows chose nothing; they were scored anew whenever features or recipe had changed.

The parts besides the two tasks: `alloys` and `textbook`, as benchmarks/matbench_checks.py says. Prints tables in
Markdown and writes data/metrics/matbench.json after each fold, so that a run that is stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bandgaps import magpie, metrics, processors
from bandgaps.arguments import Parser
from bandgaps.composition import forest, measured
from bandgaps.composition.gap_model import with_answers
from bandgaps.composition.measured import Lessons
from bandgaps.errors import InputError, exit_code
from bandgaps.files import read_json, write_json
from bandgaps.intervals import Distribution
from benchmarks import data, matbench_checks
from benchmarks.matbench_data import EXPT, MP, SEED, Fold, Tasks, answers_of
from benchmarks.matbench_leaderboard import DATE, markdown, table

OUTPUT = data.ROOT / "data" / "metrics" / "matbench.json"
PARTS = (EXPT, "alloys", "textbook", MP)
TREES = 50  # of mp_gap's forests
ORIENTATION_TREES = 500
MAGPIE = slice(0, len(magpie.LABELS))
NOTHING = "nothing"
Scores = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """A way to predict.

    Attributes:
        what: for a reader.
        beyond: which data beyond the fold's training rows it uses.
        score: how it does on a fold.
    """

    what: str
    beyond: str
    score: Callable[[Tasks, Fold], Scores]


# ------------------------------------------------------------------------------------------------------- measured gaps


def orientation(tasks: Tasks, fold: Fold) -> Scores:
    """scikit-learn's random forest."""
    from sklearn.ensemble import RandomForestRegressor

    (train, test), gaps = fold, tasks.expt
    grown = RandomForestRegressor(ORIENTATION_TREES, random_state=SEED, n_jobs=tasks.jobs).fit(
        gaps.X[train, MAGPIE], gaps.y[train]
    )
    return errors(gaps.y[test], grown.predict(gaps.X[test, MAGPIE]), groups(tasks, test))


def on_magpie(take: Callable[[Distribution], np.ndarray]) -> Callable[[Tasks, Fold], Scores]:
    """Our trees on Magpie's features alone; what is taken of them is their mean or median."""

    def score(tasks: Tasks, fold: Fold) -> Scores:
        (train, test), gaps = fold, tasks.expt
        grown = forest.new(SEED, tasks.jobs).fit(gaps.X[train, MAGPIE], gaps.y[train])
        found = Distribution(*grown.distribution(gaps.X[test, MAGPIE]))
        return errors(gaps.y[test], take(found), groups(tasks, test))

    return score


def with_intervals(lesson: Callable[[Tasks, Fold], tuple[Lessons, np.ndarray]]) -> Callable[[Tasks, Fold], Scores]:
    """Our trees as the bundled model has them, with intervals fitted within the training rows.

    Args:
        lesson: what they learn from and the features of the test rows.
    """

    def score(tasks: Tasks, fold: Fold) -> Scores:
        taught, asked = lesson(tasks, fold)
        model, _ = measured.fit_pupil(taught, None, SEED, tasks.jobs)
        found, actual = model.distribution(asked), tasks.expt.y[fold[1]]
        told = measured.scores(model, measured.OutOfFold(found, actual, np.zeros(len(actual), dtype=bool)))
        kinds = {name: part for name, part in groups(tasks, fold[1]).items() if "calculated" in name}
        return told | errors(actual, found.median, kinds)

    return score


def fold_only(tasks: Tasks, fold: Fold) -> tuple[Lessons, np.ndarray]:
    """Our features."""
    gaps = tasks.expt.where(fold[0])
    return Lessons(gaps.X, gaps.y, gaps.hashes, np.zeros(len(gaps.y), dtype=bool)), tasks.expt.X[fold[1]]


def never_calculated(tasks: Tasks, fold: Fold) -> tuple[Lessons, np.ndarray]:
    """With a teacher that has no PBE gap of a test composition, as for a material that nobody has calculated."""
    train, test = (tasks.expt.where(rows) for rows in fold)
    known = tasks.mp.where(~np.isin(tasks.mp.hashes, test.hashes))
    told = answers_of(known, tasks.expt, tasks.jobs)
    guessed = measured.answers_without(known, train, SEED, tasks.jobs)
    return Lessons.of(train, guessed, told[fold[0]], known), with_answers(test.X, told[fold[1]])


def recipe(tasks: Tasks, fold: Fold) -> tuple[Lessons, np.ndarray]:
    """As the bundled model (`measured.fit`), whose teacher knows PBE gaps of what it is asked."""
    (train, test), gaps = fold, tasks.expt
    taught = Lessons.of(gaps.where(train), tasks.guessed[train], tasks.told[train], tasks.mp)
    return taught, with_answers(gaps.X[test], tasks.told[test])


# ------------------------------------------------------------------------------------------------------------ PBE gaps


def on_pbe(columns: slice, trees: int) -> Callable[[Tasks, Fold], Scores]:
    """Our trees for PBE gaps, on some columns of the features."""

    def score(tasks: Tasks, fold: Fold) -> Scores:
        (train, test), gaps = fold, tasks.mp
        grown = forest.new(SEED, tasks.jobs).set_params(n_estimators=trees, max_features=0.6, min_samples_split=4)
        grown.fit(np.ascontiguousarray(gaps.X[train, columns]), gaps.y[train])
        found = Distribution(*grown.distribution(np.ascontiguousarray(gaps.X[test, columns])))
        metal, known = gaps.y[test] <= 0, np.isin(gaps.hashes[test], gaps.hashes[train])
        every = np.ones(len(test), dtype=bool)
        return errors(
            gaps.y[test],
            found.median,
            {"all": every, "non-metals": ~metal, "metals": metal, "new compositions": ~known},
        )

    return score


def variants(trees: int) -> dict[str, dict[str, Variant]]:
    """Of each task, by a short name."""
    of_others, all_pbe = "PBE gaps of other compositions", "PBE gaps, also of test compositions"
    ours = "our features, median"
    return {
        EXPT: {
            "orientation": Variant("random forest of 500 trees, Magpie, mean", NOTHING, orientation),
            "magpie_mean": Variant("our trees, Magpie, mean", NOTHING, on_magpie(lambda found: found.mean)),
            "magpie": Variant("our trees, Magpie, median", NOTHING, on_magpie(lambda found: found.median)),
            "fold_only": Variant(f"our trees, {ours}", NOTHING, with_intervals(fold_only)),
            "never_calculated": Variant(
                f"our trees, {ours}, with a teacher", of_others, with_intervals(never_calculated)
            ),
            "recipe": Variant(f"our trees, {ours}, as the bundled model", all_pbe, with_intervals(recipe)),
        },
        MP: {
            "magpie": Variant(f"{trees} of our trees, Magpie, median", NOTHING, on_pbe(MAGPIE, trees)),
            "ours": Variant(f"{trees} of our trees, {ours}", NOTHING, on_pbe(slice(None), trees)),
        },
    }


# -------------------------------------------------------------------------------------------------------------- scores


def groups(tasks: Tasks, test: np.ndarray) -> dict[str, np.ndarray]:
    """Kinds of test rows of the measured gaps, as masks."""
    metal, calculated = tasks.expt.y[test] <= 0, tasks.calculated[test]
    every = np.ones(len(test), dtype=bool)
    return {
        "all": every,
        "non-metals": ~metal,
        "metals": metal,
        "calculated": calculated,
        "not calculated": ~calculated,
    }


def errors(actual: np.ndarray, predicted: np.ndarray, parts: dict[str, np.ndarray]) -> Scores:
    """Scores (eV) of each kind of rows."""
    return {name: dict(metrics.scores(actual[part], predicted[part])) for name, part in parts.items()}


def finite(scores: Scores) -> Scores:
    """Scores without those that no row, or rows of one gap, cannot have."""
    inner = {key: finite(value) if isinstance(value, dict) else value for key, value in scores.items()}
    return {key: value for key, value in inner.items() if isinstance(value, dict) or np.isfinite(value)}


def mean_of(folds: Sequence[Scores]) -> Scores:
    """The mean over folds of every score, and how many rows there are in all of them."""
    result: Scores = {}
    for key in dict.fromkeys(key for fold in folds for key in fold):
        values = [fold[key] for fold in folds if key in fold]
        if isinstance(values[0], dict):
            result[key] = mean_of(values)
        else:
            result[key] = int(np.sum(values)) if key == "n" else float(np.mean(values))
    return result


# ---------------------------------------------------------------------------------------------------- the command line


def main(arguments: Sequence[str] | None = None) -> None:
    """Compute what is missing, print and write."""
    options = parser().parse_args(arguments)
    tasks = Tasks.read(options.data, options.jobs)
    settings = {"rows": {EXPT: len(tasks.expt.y), MP: len(tasks.mp.y)}, "trees": options.trees}
    results = earlier(options.output, settings)
    every = variants(options.trees)
    for part in options.parts or PARTS:
        if part in every:
            complete(results, part, every[part], tasks, options.output)
        elif part not in results:
            results[part] = matbench_checks.CHECKS[part](tasks)
            write_json(results, options.output)
    results["leaderboard"] = {"date": DATE, "tables": {part: table(results, part) for part in every if part in results}}
    write_json(results, options.output)
    for part, rows in results["leaderboard"]["tables"].items():
        print(f"\n{part}\n\n{markdown(rows)}")


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = Parser(__doc__, "python -m benchmarks.matbench")
    add = parser.add_argument
    files = "expt-gap.csv, matbench-mp-gap.csv (formula and gap in eV) and, to check folds, matbench-folds.json.gz"
    add("--data", type=Path, metavar="FOLDER", help=f"folder of {files}; by default matminer downloads the tasks")
    add("--parts", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}; all")
    add("--trees", type=int, metavar="N", default=TREES, help="of the forests of mp_gap (%(default)s)")
    add("--jobs", type=int, metavar="N", default=processors.cores(), help="processor cores (%(default)s)")
    add("--output", type=Path, metavar="FILE", default=OUTPUT, help="where to write (data/metrics/matbench.json)")
    return parser


def earlier(output: Path, settings: Scores) -> Scores:
    """What an earlier run has written.

    Raises:
        InputError: it had other rows or trees.
    """
    results = read_json(output) if output.exists() else {"settings": settings}
    if results.get("settings") != settings:
        raise InputError(f"{output}: of a run with other settings than {settings}; take another --output")
    return dict(results)


def complete(results: Scores, part: str, some: dict[str, Variant], tasks: Tasks, output: Path) -> None:
    """Score every variant of a task on every fold that is not among the results yet, and write each at once."""
    for name, variant in some.items():
        found = results.setdefault(part, {}).setdefault(name, {"folds": []})
        found.update(what=variant.what, beyond=variant.beyond)
        for number, fold in [*enumerate(tasks.folds[part])][len(found["folds"]) :]:
            found["folds"].append(finite(variant.score(tasks, fold)))
            maes = [each["all"]["mae"] for each in found["folds"]]
            found.update(mean=mean_of(found["folds"]), mae_std=float(np.std(maes)))
            print(f"{part}, {name}, fold {number}: MAE {maes[-1]:.4f} eV", flush=True)
            write_json(results, output)


if __name__ == "__main__":
    sys.exit(exit_code(main))
