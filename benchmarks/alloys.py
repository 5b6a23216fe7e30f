"""python -m benchmarks.alloys.

Every alloy whose gap was measured, as models predict it: a table of systems, their means, and one figure.

Each predictor is asked for the gap over the measured range of each alloy of data/alloys/valleys.csv. It may be fitted
anew for each system, with all compositions of exactly its elements left out; `held_out` says whether it has seen none.
Writes data/metrics/alloys.json, and figures/alloys.pdf with a PNG and a CSV: predicted against measured gaps.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandgaps import formulas
from bandgaps.alloy import ends, measured_curves, scores
from bandgaps.alloy.measured_curves import MeasuredAlloy
from bandgaps.alloy.pseudobinary import PseudobinaryAlloy
from bandgaps.alloy.scores import SAME, anchored
from bandgaps.arguments import Parser
from bandgaps.errors import InputError, exit_code
from bandgaps.files import write_json
from bandgaps.plotting import PREDICTED, SECOND, SQUARE, diagonal, figure

STEPS = 20
APART = "Si-Ge"  # judged on its own, for it is what the project is asked about
DRAWN = (0.25, 0.5, 0.75)  # compositions in the figure
OUTPUT, FIGURE = Path("data") / "metrics" / "alloys.json", Path("figures") / "alloys.pdf"


@dataclass(frozen=True)
class Prediction:
    """Gaps of an alloy, eV, each of shape (compositions,).

    Attributes:
        gap: the best guess.
        inner: lower and upper bound of the interval of 68 %.
        outer: the same of 95 %.
    """

    gap: np.ndarray
    inner: tuple[np.ndarray, np.ndarray]
    outer: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of_sigma(cls, gap: np.ndarray, sigma: np.ndarray, wide: float = 1.96) -> Prediction:
        """With intervals of one and of `wide` sigma to each side."""
        inner, outer = ((gap - reach * sigma, gap + reach * sigma) for reach in (1.0, wide))
        return cls(gap, inner, outer)


@dataclass(frozen=True)
class Case:
    """A measured alloy and what a predictor may be shown of it."""

    measured: MeasuredAlloy

    @property
    def elements(self) -> frozenset[str]:
        """Of both ends together."""
        return formulas.elements(formulas.mixture(self.measured.names, 1, 1))

    @cached_property
    def alloy(self) -> PseudobinaryAlloy | None:
        """Its crystals, None where they are not bundled."""
        return ends.of_measured(self.measured)

    @property
    def x(self) -> np.ndarray:
        """The compositions at which it is judged."""
        grid = np.arange(STEPS + 1) / STEPS
        low, high = self.measured.limits
        return grid[(grid >= low) & (grid <= high)]

    def formulas(self, x: np.ndarray) -> list[str]:
        """The formula at each x."""
        return [formulas.mixture(self.measured.names, round(10_000 * (1 - part)), round(10_000 * part)) for part in x]


Predictor = Callable[[Case, np.ndarray], Prediction]
Fitted = Callable[[frozenset[str]], Predictor]  # a predictor that has seen no composition of exactly these elements


def row(case: Case, prediction: Prediction, held_out: bool) -> dict[str, Any]:
    """How a prediction at `case.x` compares with what was measured; energies in eV, None where not known.

    Returns:
        `system`, `structure`, `held_out`; `ends` and `ends_measured`; the mean absolute deviation over x as it is
        (`deviation`), after both ends are set to the measured ones (`anchored`), and of a straight line between these
        (`line`); `bowing` and `bowing_measured`; the shares of x inside the intervals, `inside_68` and `inside_95`;
        whether the middle lies between the ends, `between`.
    """
    x, gap, measured = case.x, prediction.gap, case.measured.gap(case.x)
    whole = case.measured.is_whole
    line, bowing = (1 - x) * measured[0] + x * measured[-1], None
    inside = [
        float(((low <= measured) & (measured <= high)).mean()) for low, high in (prediction.inner, prediction.outer)
    ]
    if whole:
        bowing = scores.bowing(x, gap)
    middle, (low, high) = gap[len(gap) // 2], sorted((gap[0], gap[-1]))
    return {
        "system": case.measured.label,
        "structure": case.measured.structure,
        "held_out": held_out,
        "ends": [float(gap[0]), float(gap[-1])] if whole else None,
        "ends_measured": [float(measured[0]), float(measured[-1])] if whole else None,
        "deviation": float(np.abs(gap - measured).mean()),
        "anchored": _deviation(anchored(x, gap, (measured[0], measured[-1])), measured) if whole else None,
        "line": _deviation(line, measured) if whole else None,
        "bowing": bowing,
        "bowing_measured": case.measured.bowing(),
        "inside_68": inside[0],
        "inside_95": inside[1],
        "between": bool(low - SAME <= middle <= high + SAME) if whole else None,
    }


def _deviation(gap: np.ndarray, measured: np.ndarray) -> float:
    return float(np.abs(gap - measured).mean())


def table(
    cases: Sequence[Case],
    fitted: Fitted,
    seen: Collection[frozenset[str]],
    calculated: Collection[frozenset[str]] = (),
) -> pd.DataFrame:
    """One `row` a system, and under `calculated` whether calculated gaps of exactly its elements were learnt from.

    Args:
        cases: the measured alloys.
        fitted: gives the predictor for a system, by its elements.
        seen: sets of elements whose measured gaps the predictor has learnt from even so.
        calculated: the same of calculated gaps.
    """
    rows = [row(case, fitted(case.elements)(case, case.x), case.elements not in seen) for case in cases]
    return pd.DataFrame(rows).assign(calculated=[case.elements in calculated for case in cases])


def means(rows: pd.DataFrame) -> dict[str, Any]:
    """Over systems, eV: deviations, and by how much anchored curves beat the straight line, with its standard error."""
    whole = rows.dropna(subset=["anchored"])
    gain = (whole["line"] - whole["anchored"]).astype(float)
    return {
        "systems": len(rows),
        "deviation": _mean(rows["deviation"]),
        "anchored": _mean(whole["anchored"]),
        "line": _mean(whole["line"]),
        "gain": _mean(gain),
        "gain_standard_error": float(gain.std(ddof=1) / np.sqrt(len(gain))) if len(gain) > 1 else None,
        "inside_68": _mean(rows["inside_68"]),
        "inside_95": _mean(rows["inside_95"]),
        "between": _mean(whole["between"]),
    }


def _mean(values: pd.Series) -> float | None:
    return float(values.astype(float).mean()) if len(values) else None


def possible(cases: Sequence[Case], fitted: Fitted) -> tuple[list[Case], dict[str, str]]:
    """The alloys that a predictor takes, and why not the others, by label."""
    taken, why = [], {}
    for case in cases:
        try:
            fitted(case.elements)(case, case.x[:1])
            taken.append(case)
        except InputError as error:
            why[case.measured.label] = str(error)
    return taken, why


def points(cases: Sequence[Case], fitted: Fitted, seen: Collection[frozenset[str]]) -> pd.DataFrame:
    """Measured and predicted gaps at `DRAWN`, as far as they were measured: columns system, x, both, held_out."""
    found = []
    for case in cases:
        low, high = case.measured.limits
        x = np.array([part for part in DRAWN if low <= part <= high])
        if len(x):
            columns = {
                "x": x,
                "band_gap_measured": case.measured.gap(x),
                "band_gap": fitted(case.elements)(case, x).gap,
            }
            found.append(
                pd.DataFrame({"system": case.measured.label, **columns, "held_out": case.elements not in seen})
            )
    return pd.concat(found, ignore_index=True)


def parity(path: Path, drawn: pd.DataFrame, label: str) -> None:
    """Predicted against measured gaps of alloys (eV), systems that were held out apart from the others.

    Args:
        path: the PDF.
        drawn: from `points`.
        label: what predicted them.
    """
    with figure(path, SQUARE, drawn) as axes:
        diagonal(axes, 1.05 * drawn[["band_gap", "band_gap_measured"]].to_numpy().max(), "predicted = measured")
        for held_out, color, marker, name in (
            (False, SECOND, "s", "seen in training"),
            (True, PREDICTED, "o", "held out"),
        ):
            own = drawn[drawn["held_out"] == held_out]
            if len(own):
                what = f"{own['system'].nunique()} systems {name}"
                axes.scatter(own["band_gap_measured"], own["band_gap"], s=9, color=color, marker=marker, label=what)
        axes.set(xlabel="measured band gap (eV)", ylabel="predicted band gap (eV)")
        axes.set_title(f"How near are gaps of alloys at x = ¼, ½ and ¾?\n{label}")


def of_compositions() -> tuple[Fitted, set[frozenset[str]], set[frozenset[str]]]:
    """The bundled model of measured gaps that sees formulas, fitted once; the rest as `of_crystals`."""
    from bandgaps.composition import features, models

    model = models.load(models.BUNDLED, "experiment")

    def predict(case: Case, x: np.ndarray) -> Prediction:
        found = model.distribution(features.features(case.formulas(x)))
        inner, outer = model.intervals.bounds(found)[:2]
        return Prediction(found.interquartile_mean, inner, outer)

    measured, calculated = (
        {formulas.elements(str(formula)) for formula in each.training["formula"]} if each else set()
        for each in (model, model.teacher)
    )
    return lambda _: predict, measured, calculated


def of_crystals(folder: Path, with_ends: bool = True) -> tuple[Fitted, set[frozenset[str]], set[frozenset[str]]]:
    """A model of crystals, shown virtual crystals, its measured gaps fitted anew without a system's elements.

    The uncertainty of a system is that of all others.

    Args:
        folder: of the model.
        with_ends: whether the ends of a system may be known.

    Returns:
        The predictor; the sets of elements that cannot be left out; those of the crystals with calculated gaps.

    Raises:
        InputError: there is no model of measured gaps on top.
    """
    from bandgaps.alloy import mixing
    from bandgaps.structure import model_files

    model = model_files.load(folder)
    level = model.measured
    if level is None:
        raise InputError(f"{folder}: no model of measured gaps on top; make one with make multifidelity")
    known = mixing.mixtures(model, measured_curves.all_measured())
    found = mixing.left_out(level, known)
    apart = found[[mixing.of_system(system) != mixing.APART for system in found["system"]]]
    calculated = {formulas.elements(formula) for formula in ([] if model.formulas is None else model.formulas)}

    @cache
    def fitted(left_out: frozenset[str]) -> Predictor:
        own = mixing.without_elements(level, left_out)
        others = apart[[mixing.of_system(system) != left_out for system in apart["system"]]]
        uncertainty = mixing.uncertainty(others)

        def predict(case: Case, x: np.ndarray) -> Prediction:
            rows = known.of(known.system == case.measured.label)
            if not len(rows.x):
                raise InputError("its crystals are not bundled")
            ends = np.isin(rows.x, (0, 1))
            taught = own if with_ends else own.without(np.isin(own.composition, rows.composition[ends]))
            answer = taught.predict(rows.inputs)
            gap = np.interp(x, rows.x, answer.interquartile_mean)
            sigma = uncertainty.sigma(x, *answer.std[ends])
            return Prediction.of_sigma(gap, sigma, uncertainty.calibration.wide)

        return predict

    return fitted, set(), calculated


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = Parser(__doc__, "python -m benchmarks.alloys")
    add = parser.add_argument
    model = "model of crystals (default: the bundled one)"
    add("--model", type=Path, metavar="FOLDER", help=model)
    add("--output", type=Path, default=OUTPUT, metavar="FILE", help="where to write the table (%(default)s)")
    add(
        "--figure", type=Path, default=FIGURE, metavar="FILE", help="the figure, of the model of crystals (%(default)s)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict, print and write."""
    options = parser().parse_args(arguments)
    from bandgaps.structure import model_files

    folder = options.model or model_files.BUNDLED
    cases = [Case(measured) for measured in measured_curves.all_measured()]
    result: dict[str, Any] = {}
    for name, (fitted, seen, calculated) in (
        ("composition", of_compositions()),
        ("structure", of_crystals(folder)),
        ("structure_without_ends", of_crystals(folder, with_ends=False)),
    ):
        own, why = possible(cases, fitted)
        rows = table(own, fitted, seen, calculated)
        print(f"\n{name}\n{rows.to_string(index=False, float_format='{:.3f}'.format)}")
        held_out = means(rows[rows["held_out"] & (rows["system"] != APART)])
        records = rows.astype(object).where(rows.notna(), None).to_dict("records")
        result[name] = {"systems": records, "left_out": why, "all": means(rows), "held_out": held_out}
        print(f"{len(rows)} systems: {result[name]['all']}\nheld out: {held_out}")
        print("\n".join(f"left out: {system}: {reason}" for system, reason in why.items()))
        if name == "structure":
            parity(options.figure, points(own, fitted, seen), "Model of crystals")
    write_json(result, options.output)
    print(f"wrote {options.output} and {options.figure}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
