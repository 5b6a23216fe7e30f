"""The gap of a random alloy over its whole range, from a model of crystals, and how far it is from what was measured.

A crystal has an atom on each site, a random alloy has not, so a model of crystals needs a representation of it:

- `orderings`: the mean over the symmetry-distinct orderings in small cells, each counted as often as there are
  labelings equivalent to it, with straight lines between the compositions that such cells have;
- `shared-site`: one site that both elements share, whose embedding is the mean of theirs (Chen et al., Nat. Comput.
  Sci. 1, 46).

Either leaves out part of what disorder does. Where a model's card says how much, it is taken off
(`bandgaps.alloy.bowing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Composition, Structure

from bandgaps import formulas
from bandgaps.alloy import bowing, first_principles, measured_curves, orderings, pseudobinary, quasirandom
from bandgaps.alloy.representations import REPRESENTATIONS
from bandgaps.structure import neighbors
from bandgaps.structure.ensemble import Model

FRACTIONS = np.arange(101) / 100
REPORTED = (0, 0.25, 0.5, 0.51, 0.75, 1)  # compositions named in the metrics
COMPUTED = {
    None: ("pbe", "PBE"),
    "pbe": ("pbe", "PBE"),
    "gllbsc": ("gllbsc", "GLLB-SC"),
    "experiment": ("gllbsc", "GLLB-SC"),
}  # which calculated gaps are to be compared with a model at a level of theory
SAME = 1e-6  # eV; gaps that differ by less are equal


@dataclass(frozen=True)
class Alloy:
    """The random alloy A(1-x)B(x) on diamond sites, seen by a model at one level of theory.

    Attributes:
        system: the elements A and B.
        model: what predicts the gaps.
        fidelity: the level of theory, None for models that know only one.
        corrected: whether the bowing by disorder is taken off.
    """

    system: formulas.System
    model: Model
    fidelity: str | None = None
    corrected: bool = True

    @property
    def x(self) -> str:
        """Name of the column with the fraction of B."""
        return f"x_{self.system[1]}"

    @property
    def wide(self) -> float:
        """How many sigma to each side make an interval of 95 %."""
        return self.model.calibration(self.fidelity).wide

    @property
    def parent(self) -> Structure:
        """The diamond crystal of A."""
        return pseudobinary.diamond(self.system[0], float(measured_curves.lattice_constant(self.system, 0)))

    def disorder_bowing(self, representation: str) -> float:
        """What the random alloy bows by beyond what the model makes of a representation of it, eV."""
        return bowing.of(self.model, self.fidelity, representation) if self.corrected else 0.0

    def lowered(self, table: pd.DataFrame, representation: str) -> pd.DataFrame:
        """The table (columns x_B and band_gap, eV) with its gaps lowered by the bowing by disorder, down to 0."""
        b = self.disorder_bowing(representation)
        return table.assign(band_gap=bowing.lowered(table["band_gap"], table[self.x], b)) if b else table

    def predict(self, structures: Sequence[Structure], scale: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Gap and sigma (eV) of crystals on diamond sites, at the alloy's volume or else (not `scale`) as they are."""
        if scale:
            fractions = [structure.composition.get_atomic_fraction(self.system[1]) for structure in structures]
            constants = measured_curves.lattice_constant(self.system, fractions)
            structures = [pseudobinary.scaled(*pair) for pair in zip(structures, constants, strict=True)]
        return self.model.predict(neighbors.build(structures, self.model.hyperparameters.cutoff), self.fidelity)

    def orderings(self, found: Sequence[orderings.Ordering], scale: bool) -> pd.DataFrame:
        """Gap of each ordering (eV): columns x_B, n_atoms, multiplicity, band_gap, band_gap_std."""
        gaps, std = self.predict([ordering.structure for ordering in found], scale)
        columns = {
            self.x: [ordering.fraction(self.system[1]) for ordering in found],
            "n_atoms": [len(ordering.structure) for ordering in found],
            "multiplicity": [ordering.multiplicity for ordering in found],
            "band_gap": gaps,
            "band_gap_std": std,
        }
        return pd.DataFrame(columns).sort_values([self.x, "n_atoms"], kind="stable", ignore_index=True)

    def means(self, points: pd.DataFrame) -> pd.DataFrame:
        """`orderings.composition_means` of the orderings, with band_gap_measured (eV; NaN where it is not known)."""
        means = orderings.composition_means(points, self.x)
        return means.assign(band_gap_measured=measured_curves.gap(self.system, means[self.x]))

    def shared_sites(self, fractions: Sequence[float] | np.ndarray) -> pd.DataFrame:
        """Gap with both elements on every site (eV): columns x_B, band_gap, band_gap_std, one row a fraction of B."""
        crystals = [pseudobinary.shared_site(self.parent, self.system, float(x)) for x in fractions]
        gaps, std = self.predict(crystals)
        table = pd.DataFrame({self.x: fractions, "band_gap": gaps, "band_gap_std": std})
        return self.lowered(table, "shared-site")

    def quasirandom(self, compositions: Sequence[Composition], seed: int) -> pd.DataFrame:
        """Gap of a special quasirandom structure of each composition (eV).

        Columns formula, x_B, n_atoms, band_gap, band_gap_std.
        """
        cells = [
            quasirandom.special_quasirandom_structure(self.parent, each, self.system, seed) for each in compositions
        ]
        gaps, std = self.predict(cells)
        columns = {
            "formula": [formula(composition) for composition in compositions],
            self.x: [composition.get_atomic_fraction(self.system[1]) for composition in compositions],
            "n_atoms": [len(cell) for cell in cells],
            "band_gap": gaps,
            "band_gap_std": std,
        }
        return self.lowered(pd.DataFrame(columns), "orderings")

    def first_principles(self) -> pd.DataFrame | None:
        """Calculated gaps of orderings at the model's level of theory or the nearest to it, where there are any.

        Columns x_B, multiplicity, band_gap (eV), band_gap_std (NaN) and level, what the level of theory is called.
        """
        fidelity, name = COMPUTED.get(self.fidelity, ("", ""))
        table = first_principles.gaps(self.system, fidelity)
        return None if table is None else table.assign(band_gap_std=np.nan, level=f"calculated orderings ({name})")

    def curve(self, means: pd.DataFrame, representation: str) -> pd.DataFrame:
        """The model's gap over the whole range.

        Args:
            means: of the orderings, as the model predicts them.
            representation: of the disorder, the one that `band_gap` is to be; a key of `REPRESENTATIONS`.

        Returns:
            One row for each of `FRACTIONS`: x_B, band_gap, band_gap_std, band_gap_measured (NaN where no measurement is
            known), and gap and sigma in both representations, eV.
        """
        columns = {}
        tables = (self.shared_sites(FRACTIONS), self.lowered(means, "orderings"))
        for name, table in zip(REPRESENTATIONS.values(), tables, strict=True):
            for suffix in ("", "_std"):
                columns[name + suffix] = np.interp(FRACTIONS, table[self.x], table[f"band_gap{suffix}"])
        chosen = REPRESENTATIONS[representation]
        own = {"band_gap": columns[chosen], "band_gap_std": columns[chosen + "_std"]}
        measured = measured_curves.gap(self.system, FRACTIONS)
        return pd.DataFrame({self.x: FRACTIONS, **own, "band_gap_measured": measured, **columns})


def representation(fidelity: str | None) -> str:
    """The representation of disorder to be trusted at a level of theory, a key of `REPRESENTATIONS`.

    Only measured alloys are learnt with shared sites; measured alloys of other systems are then predicted better with
    them than by orderings (`benchmarks.disorder`). All other gaps in training are those of ordered crystals.
    """
    return "shared-site" if fidelity == "experiment" else "orderings"


def formula(composition: Composition) -> str:
    """Such as Si49Ge51, or Si."""
    return "".join(f"{element}{amount:g}" if amount != 1 else str(element) for element, amount in composition.items())


def anchored(x: np.ndarray, gap: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """A curve from x = 0 to 1, shifted by what is linear in x such that it starts and stops at `ends` (eV)."""
    return gap + (1 - x) * (ends[0] - gap[0]) + x * (ends[1] - gap[-1])


def anchored_curve(curve: pd.DataFrame) -> pd.DataFrame:
    """The curve of `Alloy.curve` in both representations, its ends the measured ones.

    Returns:
        Columns x_B, band_gap_anchored, band_gap_measured and band_gap_…_anchored of each representation, eV. There is
        no sigma: that of the model is not that of a curve which has been told its ends.
    """
    x, measured = curve.iloc[:, 0].to_numpy(), curve["band_gap_measured"].to_numpy()
    shifted = {
        f"{name}_anchored": anchored(x, curve[name].to_numpy(), (measured[0], measured[-1]))
        for name in ("band_gap", *REPRESENTATIONS.values())
    }
    first = {curve.columns[0]: x, "band_gap_anchored": shifted.pop("band_gap_anchored"), "band_gap_measured": measured}
    return pd.DataFrame({**first, **shifted})


def results(curve: pd.DataFrame, wide: float) -> dict[str, Any]:
    """The `scores` of `Alloy.curve` in each representation, under `curves`, and what to hold them against.

    None where nothing was measured, else under `measured` the gaps at `REPORTED`, and under `straight-line` what the
    line between the measured ends reaches without any model: the gap at x = 0.51 and the mean absolute deviation, eV.
    """
    measured = curve["band_gap_measured"].to_numpy()
    curves = {
        name: scores(curve[column].to_numpy(), curve[f"{column}_std"].to_numpy(), measured, wide)
        for name, column in REPRESENTATIONS.items()
    }
    line = scores(np.zeros(len(FRACTIONS)), np.zeros(len(FRACTIONS)), measured, wide)["anchored"]
    known = None if line is None else {f"{x:g}": float(measured[round(100 * x)]) for x in REPORTED}
    return {"curves": curves, "measured": known, "straight-line": line}


def mean_scores(means: pd.DataFrame) -> dict[str, float | None]:
    """Deviation of `Alloy.means` from the measured curve, weighted and plain, and three of them, eV."""
    off = {name: (means[name] - means["band_gap_measured"]).abs().mean() for name in ("band_gap", "band_gap_plain")}
    values = {
        "mean_absolute_deviation": off["band_gap"],
        "mean_absolute_deviation_plain": off["band_gap_plain"],
        **dict(zip(("first", "middle", "last"), means["band_gap"].iloc[[0, len(means) // 2, -1]], strict=True)),
    }
    return {name: None if np.isnan(value) else float(value) for name, value in values.items()}


def scores(gap: np.ndarray, std: np.ndarray, measured: np.ndarray, wide: float) -> dict[str, Any]:
    """How a curve on `FRACTIONS` compares with the measured one.

    Args:
        gap: predicted, eV, shape (101,).
        std: sigma, eV, shape (101,).
        measured: eV, shape (101,); NaN where no measurement is known.
        wide: how many sigma to each side make the interval of 95 %.

    Returns:
        Gaps (eV) at `REPORTED`; `mean_absolute_deviation` (eV); whether every composition lies `between_ends`, the
        curve's own, and whether it is `monotone`; `share_inside_95`, the part of the measured curve inside the
        interval, and `outside_95`, the ranges of x where it is not; the same deviation of the curve once `anchored`.
        None where that is not known.
    """
    low, high = min(gap[0], gap[-1]) - SAME, max(gap[0], gap[-1]) + SAME
    steps = np.diff(gap)
    result: dict[str, Any] = {f"{x:g}": float(gap[round(100 * x)]) for x in REPORTED}
    result["between_ends"] = bool(((gap >= low) & (gap <= high)).all())
    result["monotone"] = bool((steps <= SAME).all() or (steps >= -SAME).all())
    inside = np.abs(gap - measured) <= wide * std
    unknown = bool(np.isnan(measured).any())
    result["share_inside_95"] = None if unknown or np.isnan(std).any() else float(inside.mean())
    result["outside_95"] = None if result["share_inside_95"] is None else _ranges(~inside)
    result["mean_absolute_deviation"] = None if unknown else float(np.abs(gap - measured).mean())
    fitted = anchored(FRACTIONS, gap, (measured[0], measured[-1]))
    result["anchored"] = (
        None
        if unknown
        else {
            "0.51": float(fitted[51]),
            "mean_absolute_deviation": float(np.abs(fitted - measured).mean()),
        }
    )
    return result


def _ranges(where: np.ndarray) -> list[list[float]]:
    """First and last of `FRACTIONS` of every stretch that is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(int)))
    return [[float(FRACTIONS[start]), float(FRACTIONS[stop - 1])] for start, stop in edges.reshape(-1, 2)]
