"""Everything that a model predicts of an alloy: predicted, drawn, and scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd

from bandgaps import levels
from bandgaps.alloy import figures, measured_curves, scores
from bandgaps.alloy.orderings import Ordering
from bandgaps.alloy.random_alloy import PredictedAlloy
from bandgaps.files import replacing

Place = Callable[[str], Path]  # where a file goes, such as figures/SiGe-disordered-curve.csv for curve.csv


@dataclass(frozen=True)
class Exploration:
    """The gaps of an alloy in every representation of its disorder; all gaps in eV.

    Attributes:
        alloy: with its model.
        representation: of the disorder, the one that is the model's curve.
        unscaled: from `PredictedAlloy.orderings`, at the volume of the first end.
        scaled: the same at the alloy's own.
        cells: from `PredictedAlloy.quasirandom`.
        curve: from `PredictedAlloy.curve`.
    """

    alloy: PredictedAlloy
    representation: str
    unscaled: pd.DataFrame
    scaled: pd.DataFrame
    cells: pd.DataFrame
    curve: pd.DataFrame


def explore(
    alloy: PredictedAlloy, found: Sequence[Ordering], wanted: Sequence[str], representation: str, seed: int
) -> Exploration:
    """Predict an alloy.

    Args:
        alloy: with its model.
        found: its orderings.
        wanted: formulas of quasirandom structures, besides the ends and three between them.
        representation: of the disorder, the one that is to be the model's curve.
        seed: of the quasirandom structures.
    """
    always = [alloy.alloy.formula(Fraction(quarter, 4)) for quarter in range(5)]
    cells = alloy.quasirandom(list(dict.fromkeys([*always, *wanted])), seed)
    unscaled, scaled = (alloy.orderings(found, scale) for scale in (False, True))
    return Exploration(alloy, representation, unscaled, scaled, cells, alloy.curve(alloy.means(scaled), representation))


def draw(found: Exploration, place: Place, anchor: bool) -> None:
    """Draw the figures and write the tables behind them.

    Args:
        found: what is to be drawn.
        place: takes the end of a file's name to its path.
        anchor: whether to draw the curve shifted to the measured ends, too.
    """
    alloy, system = found.alloy, found.alloy.alloy.names
    measured = measured_curves.drawn(system)
    model = f"MEGNet, {levels.NAMES[alloy.fidelity]} gaps" if alloy.fidelity else "MEGNet"
    asks = f"What gap has {alloy.alloy.label}"
    means = alloy.means(found.unscaled)
    _write(means, place("structures-means.csv"))
    title = f"{asks} at {system[0]}'s volume?\n{model}"
    figures.orderings(place("structures.pdf"), found.unscaled, means, system, measured, title)

    _write(alloy.means(found.scaled), place("structures-scaled-means.csv"))
    figures.disorder(
        place("structures-scaled.pdf"),
        found.scaled,
        found.curve,
        found.representation,
        found.cells,
        system,
        measured,
        alloy.wide,
        f"{asks} at the alloy's volume?\n{model}",
        alloy.first_principles(),
    )
    _write(found.cells, place("structures-scaled-quasirandom.csv"))
    _write(found.curve, place("curve.csv"))
    if anchor:
        shifted = scores.anchored_curve(found.curve)
        title = f"What shape has the curve of {alloy.alloy.label}?\n{model}, ends set to the measured ones"
        figures.anchored(place("curve-anchored.pdf"), shifted, system, measured, title)


def _write(table: pd.DataFrame, path: Path) -> None:
    """Write the numbers behind a figure."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")


def metrics(found: Exploration, wanted: Sequence[str]) -> dict[str, Any]:
    """The results as numbers (eV): deviations from the measured curve, and gaps of the compositions asked for."""
    alloy, computed = found.alloy, found.alloy.first_principles()
    return {
        "fidelity": alloy.fidelity,
        "orderings": len(found.unscaled),
        "unscaled": scores.mean_scores(alloy.means(found.unscaled)),
        "scaled": scores.mean_scores(alloy.means(found.scaled)),
        "disorder": found.representation,
        **scores.results(found.curve, alloy.wide),
        "first-principles": None if computed is None else _of_first_principles(alloy, computed),
        "compositions": [_of_composition(rows) for rows in (beside_ends(found, each) for each in wanted)],
    }


def _of_first_principles(alloy: PredictedAlloy, computed: pd.DataFrame) -> dict[str, Any]:
    """Means of calculated gaps and how far they are from the measured curve (eV), the functional's own error."""
    means = alloy.means(computed)
    own = {
        f"{x:.3g}": {"orderings": count, "band_gap": gap}
        for x, count, gap in means[[alloy.x, "orderings", "band_gap"]].itertuples(index=False)
    }
    level = computed["level"].iloc[0]
    return {"level": level, "orderings": len(computed), **scores.mean_scores(means), "means": own}


def beside_ends(found: Exploration, formula: str) -> pd.DataFrame:
    """The gap of a composition between those of the two ends, represented twice (eV).

    Three rows; columns formula, x_B, n_atoms, band_gap and band_gap_std of quasirandom structures, band_gap_shared_site
    and its _std, band_gap_measured.
    """
    alloy = found.alloy
    first, last = (alloy.alloy.formula(Fraction(end)) for end in (0, 1))
    rows = found.cells.set_index("formula").loc[[first, formula, last]].reset_index()
    shared = alloy.shared_sites(rows[alloy.x])
    return rows.assign(
        band_gap_shared_site=shared["band_gap"],
        band_gap_shared_site_std=shared["band_gap_std"],
        band_gap_measured=measured_curves.gap(alloy.alloy.names, rows[alloy.x]),
    )


def _of_composition(rows: pd.DataFrame) -> dict[str, Any]:
    return {
        "formula": rows["formula"][1],
        "atoms": int(rows["n_atoms"][1]),
        "band_gap_measured": float(rows["band_gap_measured"][1]),
        **_between(rows, "band_gap"),
        "shared_site": _between(rows, "band_gap_shared_site"),
    }


def _between(rows: pd.DataFrame, column: str) -> dict[str, Any]:
    """Of three rows, the gap of the middle one (eV), and whether it lies between the others'."""
    first, gap, last = map(float, rows[column])
    inside = min(first, last) <= gap <= max(first, last)
    return {
        "band_gap": gap,
        "band_gap_std": float(rows[f"{column}_std"][1]),
        "band_gap_ends": [first, last],
        "between_ends": inside,
    }
