"""Two closer looks at the model of measured gaps, each at compounds that its forest was grown without.

`alloys`: of compositions with fractional amounts, which mean over trees is nearest to what was measured?
`textbook`: what does it say of twenty well-known semiconductors?
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Composition

from bandgaps.composition import forest, gap_model
from bandgaps.composition.gap_model import GapModel, with_answers
from bandgaps.composition.measured import OF_PUPIL, Gaps, Lessons
from bandgaps.intervals import Distribution
from bandgaps.levels import EXPERIMENT
from benchmarks import data
from benchmarks.matbench_data import SEED, Tasks, answers_of

GROUPS = 8  # of alloys, by their sets of elements
FRACTIONAL = re.compile(r"\d*\.\d*[1-9]")
CENTRES: dict[str, Callable[[Distribution], np.ndarray]] = {
    "mean": lambda found: found.mean,
    "median": lambda found: found.median,
    "interquartile mean": lambda found: found.interquartile_mean,
}
KNOWN = data.ROOT / "data" / "semiconductors.csv"
TEXTBOOK = {  # measured gap, eV (Madelung, Semiconductors: Data Handbook, 2004), where `KNOWN` has none
    **dict.fromkeys(("Si", "Ge", "GaAs", "GaN", "GaP", "InP", "InAs", "InSb", "AlN", "AlAs", "ZnO", "ZnS", "ZnSe")),
    **dict.fromkeys(("CdS", "CdTe", "SiC", "MgO", "Cu2O")),
    "PbS": 0.41,
    "TiO2": None,
}


def alloys(tasks: Tasks) -> dict[str, Any]:
    """Errors of `CENTRES` on alloys, each by forests without any material of its elements; how many are metals."""
    gaps = tasks.expt
    X = with_answers(gaps.X, tasks.guessed)
    taught = Lessons.of(gaps, tasks.guessed, tasks.told, tasks.mp)
    group = dict(zip(gaps.hashes.tolist(), groups_of_elements(gaps.formulas).tolist(), strict=True))
    of_lessons, of_rows = (np.array([group[key] for key in each.tolist()]) for each in (taught.hashes, gaps.hashes))
    fractional = np.array([bool(FRACTIONAL.search(formula)) for formula in gaps.formulas])
    predicted = np.full((len(CENTRES), len(gaps.y)), np.nan)
    for number in range(GROUPS):
        learnt, asked = of_lessons != number, (of_rows == number) & fractional
        if asked.any() and learnt.any():
            grown = _new(tasks.jobs).fit(taught.X[learnt], taught.y[learnt])
            found = Distribution(*grown.distribution(X[asked]))
            predicted[:, asked] = [centre(found) for centre in CENTRES.values()]
    judged = np.isfinite(predicted[0])
    metals = int((judged & (gaps.y <= 0)).sum())
    return {"metals": metals, **compared(np.abs(predicted[:, judged] - gaps.y[judged]))}


def compared(errors: np.ndarray) -> dict[str, Any]:
    """Mean absolute errors (eV), how much nearer others are than the mean, and the paired standard error of that.

    Args:
        errors: of each of `CENTRES`, shape (centres, rows).
    """
    result: dict[str, Any] = {"n": errors.shape[1]}
    for name, own in zip(CENTRES, errors, strict=True):
        nearer = errors[0] - own
        standard_error = float(nearer.std(ddof=1) / np.sqrt(len(nearer)))
        result[name] = {"mae": float(own.mean()), "nearer": float(nearer.mean()), "standard_error": standard_error}
    return result


def groups_of_elements(formulas: Sequence[str]) -> np.ndarray:
    """A number below `GROUPS` for each formula, the same for all formulas of the same elements, shape (rows,)."""
    sets = ["-".join(sorted(map(str, Composition(formula).elements))) for formula in formulas]
    _, numbers = np.unique(sets, return_inverse=True)
    return np.random.default_rng(SEED).permutation(numbers.max() + 1)[numbers] % GROUPS


def textbook(tasks: Tasks) -> dict[str, Any]:
    """What a forest says of each semiconductor that was grown without it.

    The teacher's answers in training are those of teachers that did not know them. Asked is once the teacher that knows
    the compound's PBE gap, as the bundled model's, and once one that knows none of these compounds.

    Returns:
        `compounds`: of each the measured gap (eV), and under `known` and `unknown` the median, the ends of the 68 %
        interval (eV) and the probability of a metal. Beside them what `over_all` says of both.
    """
    known = measured_gaps()
    taught = Lessons.of(tasks.expt, tasks.guessed, tasks.told, tasks.mp)
    asked = Gaps.of([*known], np.array([*known.values()]))
    others = tasks.mp.where(~np.isin(tasks.mp.hashes, asked.hashes))
    columns = {
        "known": with_answers(asked.X, answers_of(tasks.mp, asked, tasks.jobs)),
        "unknown": with_answers(asked.X, answers_of(others, asked, tasks.jobs)),
    }
    left_out, found = gap_model.out_of_fold(taught.X, taught.y, taught.hashes, lambda: _new(tasks.jobs))
    result = []
    for row, (formula, gap) in enumerate(known.items()):
        kept = taught.hashes != asked.hashes[row]
        among = kept[left_out]
        of_others = found.of(among)
        intervals = gap_model.fitted_intervals(left_out[among], of_others, taught.y, EXPERIMENT)
        model = GapModel(_new(tasks.jobs).fit(taught.X[kept], taught.y[kept]), intervals, {}, {})
        said = {name: _told(model, asked_of[row : row + 1]) for name, asked_of in columns.items()}
        result.append({"formula": formula, "measured": gap, "in_list": bool(not kept.all()), **said})
        print(result[-1], flush=True)
    return {"compounds": result, **{name: over_all(result, name) for name in columns}}


def over_all(rows: list[dict[str, Any]], name: str) -> dict[str, float]:
    """Mean absolute error and bias (eV), and how many measured gaps lie within the 68 % interval."""
    error = np.array([row[name]["band_gap"] - row["measured"] for row in rows])
    held = [row[name]["low"] <= row["measured"] <= row[name]["high"] for row in rows]
    return {"n": len(rows), "mae": float(np.abs(error).mean()), "bias": float(error.mean()), "within_68": sum(held)}


def measured_gaps() -> dict[str, float]:
    """Measured gaps of `TEXTBOOK`, eV; of several polymorphs that of the first."""
    known = pd.read_csv(KNOWN).drop_duplicates("formula").set_index("formula")["band_gap"].to_dict()
    return {formula: float(known.get(formula, gap)) for formula, gap in TEXTBOOK.items()}


def _told(model: GapModel, X: np.ndarray) -> dict[str, float]:
    found = model.distribution(X)
    (low, high), _ = model.intervals.bounds(found)
    probability = model.intervals.metal_probability(found)
    return {
        "band_gap": float(found.median[0]),
        "low": float(low[0]),
        "high": float(high[0]),
        "metal_probability": float(probability[0]),
    }


def _new(jobs: int) -> forest.UncertainForest:
    return forest.new(SEED, jobs).set_params(**OF_PUPIL)


CHECKS: dict[str, Callable[[Tasks], Any]] = {"alloys": alloys, "textbook": textbook}
