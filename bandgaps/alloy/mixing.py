"""python -m bandgaps.alloy.mixing MODEL.

Teach a model of structures what was measured of alloys, and how sure it is of one that it does not know.

The model of measured gaps on top of the network learns the gaps of every alloy of data/alloys/valleys.csv whose
crystals are bundled, as virtual crystals at five compositions, and of their ends. Silicon with germanium stays out.
Then each alloy is predicted by the model without any material of exactly its elements; what it is off by there makes
the uncertainty of alloys. Writes the model's folder anew.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bandgaps.alloy import ends, measured_curves
from bandgaps.alloy.measured_curves import MeasuredAlloy
from bandgaps.alloy.scores import bowing
from bandgaps.arguments import Parser
from bandgaps.errors import InputError, exit_code
from bandgaps.formulas import composition_keys, elements
from bandgaps.structure import calibration, measured, model_files, neighbors
from bandgaps.structure.ensemble import Model
from bandgaps.structure.graphs import merged
from bandgaps.structure.measured import AlloyUncertainty, MeasuredLevel

TAUGHT = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
GRID = np.arange(21) / 20  # compositions that errors are taken at
APART = frozenset({"Si", "Ge"})  # what the project is judged by
OF_ALLOYS, OF_ENDS = 0.2, 0.1  # eV; standard deviations of the measured gaps
ROWS = "alloys, each predicted without any material of its elements"


@dataclass(frozen=True)
class Mixtures:
    """Virtual crystals of measured alloys.

    Attributes:
        system: which alloy each belongs to, such as GaAs-AlAs, shape (crystals,).
        x: the fraction of the second end, shape (crystals,).
        gaps: measured, eV, shape (crystals,); NaN where they were not.
        inputs: what the model of measured gaps knows of each, shape (crystals, inputs).
        composition: key of each composition, shape (crystals,).
    """

    system: np.ndarray
    x: np.ndarray
    gaps: np.ndarray
    inputs: np.ndarray
    composition: np.ndarray

    def of(self, rows: np.ndarray) -> Mixtures:
        """The virtual crystals of some rows, chosen by a mask or by numbers."""
        return Mixtures(*(getattr(self, name)[rows] for name in ("system", "x", "gaps", "inputs", "composition")))


def main(arguments: Sequence[str] | None = None) -> None:
    """Add measured alloys to a model folder, calibrate their uncertainty, and write the folder."""
    parser = Parser(__doc__, "python -m bandgaps.alloy.mixing")
    parser.add_argument("model", type=Path, metavar="MODEL", help="The folder of a model of structure.py.")
    folder = parser.parse_args(arguments).model
    model = model_files.load(folder)
    if model.measured is None:
        raise InputError(f"{folder}: no model of measured gaps on top; train it on a table with a part measured")
    taught = with_alloys(model)
    if taught.measured is None:
        raise InputError(f"{folder}: no alloy whose crystals are bundled")
    model_files.save(taught, folder)
    mixed = taught.measured.mixed
    print(f"{len(taught.measured.gaps) - len(model.measured.gaps)} gaps of alloys and their ends join the model")
    wide = mixed.calibration.wide
    print(f"bowing parameters of alloys left out are off by {mixed.bowing:.2f} eV; 95 % lie within {wide:.2f} sigma")
    print(f"wrote {folder}")


def with_alloys(model: Model, alloys: Collection[MeasuredAlloy] | None = None) -> Model:
    """The model with measured alloys in its model of measured gaps, and its uncertainty of alloys from them.

    Args:
        model: with a model of measured gaps on top, which has seen no alloy yet.
        alloys: by default all that are known and have their crystals bundled.
    """
    level = model.measured
    if level is None:
        return model
    known = mixtures(model, measured_curves.all_measured() if alloys is None else alloys)
    level = joined(level, known)
    judged = np.array([of_system(system) != APART for system in known.system])
    found = left_out(level, known.of(judged))
    return replace(model, measured=replace(level, mixed=uncertainty(found)))


def mixtures(model: Model, alloys: Collection[MeasuredAlloy]) -> Mixtures:
    """Virtual crystals of alloys, those whose crystals are bundled; gaps are NaN where they were not measured."""
    chosen = [(each, crystals) for each in alloys if (crystals := ends.of_measured(each)) is not None]
    x = np.round(np.union1d(GRID, TAUGHT), 6)
    structures = [crystals.shared_site(float(part)) for _, crystals in chosen for part in x]
    built = merged(neighbors.build(structures, model.hyperparameters.cutoff))
    return Mixtures(
        np.repeat([each.label for each, _ in chosen], len(x)),
        np.tile(x, len(chosen)),
        np.concatenate([each.gap(x) for each, _ in chosen]),
        measured.inputs(built, model.calculated(built)),
        composition_keys([each.composition.formula.replace(" ", "") for each in structures]),
    )


def joined(level: MeasuredLevel, known: Mixtures) -> MeasuredLevel:
    """A model of measured gaps that has also seen alloys at `TAUGHT`, and each end once."""
    known = known.of(np.isfinite(known.gaps))
    is_end = np.isin(known.x, (0.0, 1.0))
    first = np.zeros(len(is_end), dtype=bool)
    first[np.unique(np.where(is_end, known.composition, ""), return_index=True)[1]] = True
    taught = np.isin(known.x, TAUGHT) & ~is_apart(known.composition)
    new = known.of(taught | (is_end & first))
    return replace(
        level,
        inputs=np.concatenate([level.inputs, new.inputs]),
        gaps=np.concatenate([level.gaps, new.gaps]),
        uncertainty=np.concatenate([level.uncertainty, np.where(np.isin(new.x, (0, 1)), OF_ENDS, OF_ALLOYS)]),
        composition=np.concatenate([level.composition, new.composition]),
    )


def without_elements(level: MeasuredLevel, left_out: frozenset[str]) -> MeasuredLevel:
    """A model of measured gaps that has seen no material of exactly these elements."""
    kinds, index = np.unique(level.composition, return_inverse=True)
    same = np.array([elements_of(key) == left_out for key in kinds])
    return level.without(same[index])


def left_out(level: MeasuredLevel, known: Mixtures) -> pd.DataFrame:
    """What the model says of each mixture without its elements.

    Returns:
        Columns system, x, gap (measured), band_gap and band_gap_std (predicted), eV; one row a mixture.
    """
    parts = []
    for system in dict.fromkeys(known.system.tolist()):
        own = known.of(known.system == system)
        found = without_elements(level, of_system(system)).predict(own.inputs)
        columns = {"gap": own.gaps, "band_gap": found.interquartile_mean, "band_gap_std": found.std}
        parts.append(pd.DataFrame({"system": system, "x": own.x, **columns}))
    return pd.concat(parts, ignore_index=True)


def uncertainty(found: pd.DataFrame) -> AlloyUncertainty:
    """The uncertainty of alloys, from the errors in `left_out`; each system counts once."""
    systems = [rows for _, rows in found.groupby("system")]
    whole = [rows for rows in systems if rows["gap"].notna().all()]
    own = AlloyUncertainty(float(np.sqrt(np.mean([bowing_error(rows) ** 2 for rows in whole]))))
    spread = np.concatenate([own.propagated(rows["x"].to_numpy(), *end_stds(rows)) for rows in systems])
    rows = pd.concat(systems)
    error, known = (rows["band_gap"] - rows["gap"]).to_numpy(), rows["gap"].notna().to_numpy()
    fitted = calibration.fit(error[known], spread[known], rows["system"].to_numpy(dtype=str)[known], ROWS)
    return replace(own, calibration=fitted)


def bowing_error(rows: pd.DataFrame) -> float:
    """By how much the bowing parameter of a system is predicted too large, by least squares, eV."""
    x, gap, band_gap = rows[["x", "gap", "band_gap"]].to_numpy().T
    return bowing(x, band_gap) - bowing(x, gap)


def end_stds(rows: pd.DataFrame) -> tuple[float, float]:
    """The standard deviations of the gaps of both ends, eV."""
    return float(rows["band_gap_std"].iloc[0]), float(rows["band_gap_std"].iloc[-1])


def of_system(label: str) -> frozenset[str]:
    """The elements of both ends of a system, such as GaAs-AlAs."""
    return frozenset().union(*map(elements, label.split("-")))


def elements_of(key: str) -> frozenset[str]:
    """The elements in the key of a composition."""
    return frozenset(re.findall(r"[A-Z][a-z]?", key))


def is_apart(composition: np.ndarray) -> np.ndarray:
    """Which compositions hold both elements that stay out of all training together, shape (compositions,)."""
    return np.array([elements_of(key) >= APART for key in composition], dtype=bool)


if __name__ == "__main__":
    sys.exit(exit_code(main))
