"""The residual bowing correction of a network: how far alloys bow below what it predicts, from alloys held out from it.

A network that is shown the mean of two elements, or a handful of ordered cells, bends its gaps as a virtual crystal
does, and as it has learnt from other alloys. Disorder bends those of real alloys further down (Van Vechten &
Bergstresser, Phys. Rev. B 1, 3351). What is missing on average, whatever its cause, is measured here and taken off:

    gap of the random alloy = gap that the network predicts - b x (1 - x)

It makes up for what is wrong between the ends, not for errors of the ends themselves, which may have cancelled it.
The systems differ in b, so that a new one's is known only to their spread, which widens the uncertainty of the curve.
The correction is used only if its mean over systems differs from zero by more than its standard error, for which there
must be two systems at least.

    python -m bandgaps.alloy.bowing [MODEL]

measures it for a model of structure.py that knows measured gaps, and writes it into the model's card. The crystals are
those of the bundled sample; silicon with germanium is not among them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bandgaps import model_folders
from bandgaps.alloy import bowing_parameters, held_out, teachers
from bandgaps.alloy.representations import REPRESENTATIONS
from bandgaps.errors import InputError, exit_code
from bandgaps.files import DATA
from bandgaps.structure import model_files
from bandgaps.structure.ensemble import Model

BUNDLED = DATA / "models" / "megnet-multifidelity"
KEY = "bowing_correction"  # in a model's card
COLUMNS = ("system", "x", "known", *REPRESENTATIONS)  # of `departures`
JUDGED = np.array([0.25, 0.5, 0.75])  # compositions that eight sites can have


@dataclass(frozen=True)
class Correction:
    """The residual bowing of a network, over the systems held out from it.

    Attributes:
        systems: how many there are.
        alloys: compositions of them.
        mean: over systems, eV; None without any.
        standard_error: of the mean, by leaving out one system after the other (jackknife), eV; None for one system.
        standard_deviation: over systems, eV; None for one system.
    """

    systems: int = 0
    alloys: int = 0
    mean: float | None = None
    standard_error: float | None = None
    standard_deviation: float | None = None

    @property
    def used(self) -> bool:
        """Whether the mean can be told from zero."""
        return self.mean is not None and self.standard_error is not None and abs(self.mean) > self.standard_error

    @property
    def bowing(self) -> float:
        """What is taken off, eV; 0 if it is not used."""
        return float(self.mean or 0) if self.used else 0.0

    @property
    def sigma(self) -> float:
        """Standard deviation of a new system's bowing about it, eV: spread over systems and error of the mean."""
        return float(np.hypot(self.standard_deviation or 0, self.standard_error or 0)) if self.used else 0.0

    def lowered(self, gap: ArrayLike, x: ArrayLike) -> np.ndarray:
        """Gaps at the fractions x less the bowing, down to 0, eV, shape (n,)."""
        x = np.asarray(x)
        return np.maximum(np.asarray(gap) - self.bowing * x * (1 - x), 0) if self.used else np.asarray(gap)

    def widened(self, std: ArrayLike, x: ArrayLike) -> np.ndarray:
        """Standard deviations at the fractions x with that of the bowing, eV, shape (n,)."""
        x = np.asarray(x)
        return np.hypot(np.asarray(std), self.sigma * x * (1 - x))

    def __str__(self) -> str:
        if self.mean is None:
            return "unknown, no system being held out"
        if self.standard_error is None:
            return f"{self.mean:.2f} eV (one held-out system)"
        return (
            f"{self.mean:.2f} ± {self.standard_error:.2f} eV ({self.systems} held-out systems, "
            f"spread {self.standard_deviation:.2f} eV)"
        )


def of(model: Model, fidelity: str | None, representation: str) -> Correction:
    """The correction in a model's card; an empty one where there is none, and for calculated gaps.

    Raises:
        InputError: the card is damaged.
    """
    known = model.card.get(KEY) if fidelity == "experiment" else None
    if known is None:
        return Correction()
    try:
        systems, alloys, *numbers = (known[representation][field.name] for field in fields(Correction))
        found = Correction(int(systems), int(alloys), *(None if each is None else float(each) for each in numbers))
        if not all(each is None or np.isfinite(each) for each in asdict(found).values()):
            raise ValueError("not finite")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{model_folders.CARD}: no number in {KEY} ({error!r}); run python -m bandgaps.alloy.bowing"
        ) from None
    return found


def departures(model: Model, curves: Sequence[bowing_parameters.KnownCurve]) -> pd.DataFrame:
    """Gap less the straight line between those of the ends, eV, as known and as the model predicts it.

    The columns are `COLUMNS`, with one row for each of `JUDGED` of each curve.
    """
    alloys = [(curve.alloy, float(x)) for curve in curves for x in JUDGED]
    ends = held_out.predicted(model, [end for curve in curves for end in curve.alloy.ends]).reshape(-1, 2)
    line = np.concatenate([(1 - JUDGED) * first + JUDGED * last for first, last in ends])
    return pd.DataFrame(
        {
            "system": [alloy.label for alloy, _ in alloys],
            "x": [x for _, x in alloys],
            "known": np.concatenate([curve.departure(JUDGED) for curve in curves]),
            "shared-site": held_out.shared_site_gaps(model, alloys) - line,
            "orderings": held_out.ordered_gaps(model, alloys) - line,
        }
    )


def fitted(table: pd.DataFrame, representation: str) -> float:
    """The b for which predicted - b x (1 - x) comes nearest to what is known, by least squares, eV.

    Args:
        table: of `departures`.
        representation: of the disorder.
    """
    parabola = table["x"] * (1 - table["x"])
    return float(np.sum((table[representation] - table["known"]) * parabola) / np.sum(parabola**2))


def correction(table: pd.DataFrame, representation: str) -> Correction:
    """The correction that a table of `departures` stands for, in one representation."""
    systems = table.groupby("system", sort=False)
    count = systems.ngroups
    if count == 0:
        return Correction()
    mean = fitted(table, representation)
    if count == 1:
        return Correction(1, len(table), mean)
    others = np.array([fitted(table.drop(own.index), representation) for _, own in systems])
    error = np.sqrt((count - 1) / count * np.sum((others - others.mean()) ** 2))
    each = [fitted(own, representation) for _, own in systems]
    return Correction(count, len(table), mean, float(error), float(np.std(each, ddof=1)))


def of_others(table: pd.DataFrame, representation: str) -> pd.Series:
    """What the bowing of all other systems takes off each alloy's gap, eV; NaN where there are no others.

    Args:
        table: of `departures`.
        representation: of the disorder.
    """
    found = pd.Series(np.nan, index=table.index)
    for _, own in table.groupby("system"):
        if len(own) < len(table):
            found[own.index] = fitted(table.drop(own.index), representation) * own["x"] * (1 - own["x"])
    return found


def judged(table: pd.DataFrame, representation: str) -> dict[str, float | None]:
    """Mean absolute errors of the departure from the straight line, eV.

    Args:
        table: of `departures`.
        representation: of the disorder.

    Returns:
        `mae` of what the model predicts, `mae_left_out` of that less the bowing of the other systems, and `mae_line` of
        the line itself; None where there are too few systems.
    """
    known, error = table["known"], table[representation] - table["known"]
    errors = {"mae": error, "mae_left_out": error - of_others(table, representation), "mae_line": known}
    means = {name: error.abs().mean() for name, error in errors.items()}
    return {name: None if np.isnan(mean) else float(mean) for name, mean in means.items()}


def measure(model: Model, curves: Sequence[bowing_parameters.KnownCurve]) -> tuple[dict[str, Any], pd.DataFrame]:
    """What a card says of a model's correction, for each representation, and the `departures` it stands on.

    Args:
        model: that knows measured gaps.
        curves: alloys with known gaps, of which those held out from the model count.

    Raises:
        InputError: the model does not know measured gaps, or does not tell what it has seen.
    """
    if "experiment" not in model.hyperparameters.fidelities:
        name = model.card.get("name", "the model")
        raise InputError(f"{name}: does not know measured gaps; train it with the fidelity experiment")
    systems = held_out.systems_seen(model)
    curves = [curve for curve in curves if held_out.is_held_out(curve.alloy, systems)]
    table = departures(model, curves) if curves else pd.DataFrame({name: [] for name in COLUMNS}, dtype=float)
    found = {}
    for name in REPRESENTATIONS:
        own = correction(table, name)
        found[name] = {**asdict(own), "used": own.used, **judged(table, name)}
    return found, table


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m bandgaps.alloy.bowing",
        description="Measure the residual bowing correction of a model on held-out alloys, and write it into its card.",
    )
    add = parser.add_argument
    add("model", nargs="?", type=Path, default=BUNDLED, help="folder of the model (default: the bundled one)")
    table = "the table the model was trained on, to write down what its pseudo-labels stem from; goes with --measured"
    add("--table", type=Path, metavar="FILE", help=table)
    measured = "the lists of measured gaps that the pseudo-labels were fitted to, as query.py was given them"
    add("--measured", nargs="+", type=Path, metavar="FILE", help=measured)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write into the card."""
    given = parser().parse_args(arguments)
    if (given.table is None) != (given.measured is None):
        raise InputError("--table and --measured go together; give both or neither")
    model_folders.read_card(given.model, model_files.KIND)
    if given.table:
        count = teachers.record(given.model, given.table, given.measured)
        print(f"its pseudo-labels stem from {count:,} formulas")
    model = model_files.load(given.model)
    if teachers.are_unknown(model):
        raise InputError(f"{given.model}: does not tell what its pseudo-labels stem from; give --table and --measured")
    found, table = measure(model, bowing_parameters.curves())
    print(table.to_string(index=False, float_format="{:.3f}".format) if len(table) else "no alloy is held out")
    model_folders.update(given.model, model_files.KIND, {KEY: found}, {})
    for name in REPRESENTATIONS if len(table) else ():
        own = of(replace(model, card={KEY: found}), "experiment", name)
        errors = [f"{found[name][key] or np.nan:.3f} eV" for key in ("mae", "mae_left_out", "mae_line")]
        print(
            f"{name}: residual bowing {own}, {'taken off' if own.used else 'not taken off'}\n"
            f"    error of the departure from the straight line: {errors[0]} as predicted, {errors[1]} less the bowing "
            f"of the other systems, {errors[2]} if there were none"
        )
    print(f"wrote {given.model / model_folders.CARD}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
