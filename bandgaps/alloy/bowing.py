"""How far the gap of a random alloy bends below the straight line between its ends, known and predicted.

A network that is shown the mean of two elements, or a handful of ordered cells, bends its gaps as a virtual crystal
does. Disorder bends those of real alloys further down (Van Vechten & Bergstresser, Phys. Rev. B 1, 3351). By how much,
on average, is measured here on alloys that a model has never seen, and `random_alloy.Alloy` takes it off:

    gap of the random alloy = gap that the model predicts - b x (1 - x)

    python -m bandgaps.alloy.bowing [MODEL]

measures it for a model of structure.py (data/models/megnet-multifidelity) that knows the level of experiment, and
writes it into the model's card. The crystals are those of the bundled sample; silicon with germanium is not among them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pymatgen.core import Composition, Structure

from bandgaps import model_folders
from bandgaps.alloy.known_alloys import SITES, MeasuredAlloy, find
from bandgaps.alloy.representations import REPRESENTATIONS
from bandgaps.errors import InputError, exit_code
from bandgaps.files import DATA, write_json
from bandgaps.formulas import reduced_formula
from bandgaps.structure import ensemble, model_files, neighbors
from bandgaps.table import storage

PARAMETERS = DATA / "alloys" / "bowing.csv"
CRYSTALS = DATA / "sample" / "sample.json.gz"
BUNDLED = DATA / "models" / "megnet-multifidelity"
KEY = "disorder_bowing"  # in a model's card
LISTED = np.array([0.1, 0.3, 0.5, 0.7, 0.9])  # compositions that training may have seen
JUDGED = np.array([0.25, 0.5, 0.75])  # compositions that eight sites can have
DRAWS = 8  # ordered cells of one composition
FEWEST = 5  # alloys to measure it on


def gap(extrema: pd.DataFrame, x: np.ndarray) -> np.ndarray:
    """The gap of an alloy at the fractions x, eV.

    Each extremum of the conduction band lies at E(x) = (1 - x) E0 + x E1 - x (1 - x) (c0 + c1 x) above the valence band
    (Vurgaftman et al., J. Appl. Phys. 89, 5815, on ternary alloys); the gap is the lowest.

    Args:
        extrema: the alloy's rows of `data/alloys/bowing.csv`, eV.
        x: fraction of the second end, shape (n,).
    """
    e0, e1, c0, c1 = extrema[["band_gap_0", "band_gap_1", "bowing_0", "bowing_1"]].to_numpy().T[:, :, None]
    return np.min((1 - x) * e0 + x * e1 - x * (1 - x) * (c0 + c1 * x), axis=0)


def formula(ends: tuple[str, str], x: float) -> str:
    """Both ends mixed, such as Ga0.9Al0.1As."""
    mixed = Composition(ends[0]) * (1 - x) + Composition(ends[1]) * x
    return "".join(f"{element.symbol}{round(amount, 6):g}" for element, amount in mixed.items())


def of(model: ensemble.Model, fidelity: str | None, representation: str) -> float:
    """The bowing by disorder of a model's card, eV; 0 where there is none, and at other levels than experiment.

    Raises:
        InputError: the card is damaged.
    """
    known = model.card.get(KEY) if fidelity == "experiment" else None
    if known is None:
        return 0.0
    try:
        return float(known[representation]["bowing"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{model_folders.CARD}: no number in {KEY} ({error!r}); run python -m bandgaps.alloy.bowing"
        ) from None


def lowered(gap: ArrayLike, x: ArrayLike, b: float) -> np.ndarray:
    """Gaps at the fractions x less the bowing by disorder b, down to 0, eV, shape (n,)."""
    gap, x = np.asarray(gap), np.asarray(x)
    return np.maximum(gap - b * x * (1 - x), 0)


def unseen(seen: Sequence[str] | np.ndarray | None) -> list[tuple[MeasuredAlloy, float]]:
    """The known alloys none of whose listed compositions is among the formulas `seen`, at the compositions `JUDGED`.

    With each comes by how much its gap differs from the straight line between the ends' measured gaps, eV.
    """
    names, lines, gaps = [], {}, []
    known = set() if seen is None else set(seen)
    for ends, extrema in pd.read_csv(PARAMETERS).groupby(["end_0", "end_1"], sort=False):
        if known & {reduced_formula(formula(ends, x)) for x in LISTED}:
            continue
        first, last = gap(extrema, np.array([0.0, 1.0]))
        for x, value in zip(JUDGED, gap(extrema, JUDGED), strict=True):
            names.append(formula(ends, x))
            gaps.append(value)
            lines[names[-1]] = (1 - x) * first + x * last
    table = storage.read(CRYSTALS)
    found = find(table, pd.Series(names, dtype=str), pd.Series(gaps, dtype=float))
    return [(alloy, alloy.gap - lines[alloy.formula]) for alloy in found]


def departures(model: ensemble.Model, alloys: list[tuple[MeasuredAlloy, float]]) -> pd.DataFrame:
    """Gap less the straight line between those of the ends, eV, as known and as the model predicts it.

    Columns system, x, known, shared-site and orderings.
    """
    generator = np.random.default_rng(0)
    shared = [crystal for alloy, _ in alloys for crystal in (alloy.end(0), alloy.end(1), alloy.shared_site())]
    cells = [alloy.ordered(round(SITES * alloy.x), generator) for alloy, _ in alloys for _ in range(DRAWS)]
    first, last, mixed = predicted(model, shared).reshape(-1, 3).T
    ordered = predicted(model, cells).reshape(-1, DRAWS).mean(axis=1)
    x = np.array([alloy.x for alloy, _ in alloys])
    line = (1 - x) * first + x * last
    return pd.DataFrame(
        {
            "system": ["-".join(alloy.ends) for alloy, _ in alloys],
            "x": x,
            "known": [departure for _, departure in alloys],
            "shared-site": mixed - line,
            "orderings": ordered - line,
        }
    )


def predicted(model: ensemble.Model, crystals: list[Structure]) -> np.ndarray:
    """Gaps at the level of experiment, eV, shape (crystals,)."""
    return model.predict(neighbors.build(crystals, model.hyperparameters.cutoff), "experiment")[0]


def fitted(known: np.ndarray, predicted: np.ndarray, x: np.ndarray) -> float:
    """The b for which predicted - b x (1 - x) comes nearest to what is known, by least squares, eV."""
    parabola = x * (1 - x)
    return float(np.sum((predicted - known) * parabola) / np.sum(parabola**2))


def judged(table: pd.DataFrame, representation: str) -> dict[str, float | int]:
    """The bowing by disorder, and what it is worth on alloys that had no part in it.

    Args:
        table: of `departures`.
        representation: of the disorder.

    Returns:
        `bowing` (eV), the number of `alloys`, and mean absolute errors of the departure from the line (eV): of what the
        model says (`mae`), of that less a bowing from the other alloys (`mae_left_out`), and of the line (`mae_line`).
    """
    known, predicted, x = (table[name].to_numpy() for name in ("known", representation, "x"))
    left_out = np.empty(len(table))
    for system in table["system"].unique():
        own = (table["system"] == system).to_numpy()
        left_out[own] = predicted[own] - fitted(known[~own], predicted[~own], x[~own]) * (x * (1 - x))[own]
    return {
        "bowing": fitted(known, predicted, x),
        "alloys": int(table["system"].nunique()),
        "mae": float(np.abs(predicted - known).mean()),
        "mae_left_out": float(np.abs(left_out - known).mean()),
        "mae_line": float(np.abs(known).mean()),
    }


def measure(model: ensemble.Model) -> tuple[dict[str, Any], pd.DataFrame]:
    """What a card says of a model's bowing by disorder, for each representation, and the `departures` it stands on.

    Raises:
        InputError: the model does not know measured gaps, or has seen too many of the known alloys.
    """
    name = model.card.get("name", "the model")
    if "experiment" not in model.hyperparameters.fidelities:
        raise InputError(f"{name}: does not know the level of experiment; train it with --fidelities ... experiment")
    alloys = unseen(model.formulas)
    if len(alloys) < FEWEST * len(JUDGED):
        count = len(alloys) // len(JUDGED)
        raise InputError(
            f"{name}: has seen all but {count} alloys of {PARAMETERS.name}; {FEWEST} are needed to judge it by"
        )
    table = departures(model, alloys)
    return {representation: judged(table, representation) for representation in REPRESENTATIONS}, table


def main() -> None:
    """Measure, print, and write into the card."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else BUNDLED
    card = model_folders.read_card(folder, model_files.KIND)
    found, table = measure(model_files.load(folder))
    print(table.to_string(index=False, float_format="{:.3f}".format))
    for name, each in found.items():
        errors = [f"{each[key]:.3f}" for key in ("mae", "mae_left_out", "mae_line")]
        print(
            f"{name}: bowing by disorder {each['bowing']:.2f} eV; error of {each['alloys']} alloys {errors[0]} eV, "
            f"with the bowing of the others {errors[1]}, on a straight line {errors[2]}"
        )
    write_json({**card, KEY: found}, folder / model_folders.CARD)
    print(f"wrote {folder / model_folders.CARD}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
