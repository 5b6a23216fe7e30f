"""What a model of crystals predicts of a random alloy, over its whole range.

A crystal has an atom on each site, a random alloy has not, so a model of crystals needs a representation of it:

- `orderings`: the mean over the symmetry-distinct orderings in small cells, each counted as often as there are
  labelings equivalent to it, with straight lines between the compositions that such cells have;
- `shared-site`: one site that both elements share, whose embedding is the mean of theirs (Chen et al., Nat. Comput.
  Sci. 1, 46).

Either leaves out part of what disorder does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from pymatgen.core import Structure

from bandgaps import levels
from bandgaps.alloy import first_principles, measured_curves, orderings
from bandgaps.alloy.pseudobinary import PseudobinaryAlloy
from bandgaps.alloy.representations import REPRESENTATIONS
from bandgaps.alloy.scores import FRACTIONS
from bandgaps.formulas import fraction_column
from bandgaps.structure import neighbors
from bandgaps.structure.ensemble import Model
from bandgaps.structure.graphs import Graphs

COMPUTED = {
    None: "pbe",
    "pbe": "pbe",
    "gllbsc": "gllbsc",
    "experiment": "gllbsc",
}  # which calculated gaps are to be compared with a model at a fidelity


@dataclass(frozen=True)
class PredictedAlloy:
    """A pseudobinary alloy A(1-x)B(x), seen by a model at one fidelity.

    Attributes:
        alloy: its crystals.
        model: what predicts the gaps.
        fidelity: None for models that know only one.
    """

    alloy: PseudobinaryAlloy
    model: Model
    fidelity: str | None = None

    @property
    def x(self) -> str:
        """Name of the column with the fraction of B."""
        return fraction_column(self.alloy.names)

    @property
    def wide(self) -> float:
        """How many sigma to each side make an interval of 95 %."""
        return self.model.calibration(self.fidelity).wide

    def predict(self, crystals: Sequence[Structure]) -> tuple[np.ndarray, np.ndarray]:
        """Gap and sigma of crystals of this alloy, eV, each of shape (crystals,)."""
        built = self._built(crystals)
        level = self.model.measured
        if level is None or self.fidelity != "experiment":
            return self.model.predict(built, self.fidelity)
        x = np.array([self.alloy.fraction(crystal) for crystal in crystals])
        different, index = np.unique(x, return_inverse=True)  # hundreds of orderings have but a few compositions
        virtual = self._built([self.alloy.shared_site(float(part)) for part in different]).select(index)
        found = self.model.distribution(built, virtual)
        return found.interquartile_mean, level.mixed.sigma(x, *self._end_stds)

    def _built(self, crystals: Sequence[Structure]) -> Graphs:
        return neighbors.build(list(crystals), self.model.hyperparameters.cutoff)

    @cached_property
    def _end_stds(self) -> tuple[float, float]:
        """Standard deviations of the measured gaps expected of both ends, eV."""
        first, second = self.model.distribution(self._built([self.alloy.shared_site(x) for x in (0.0, 1.0)])).std
        return float(first), float(second)

    def orderings(self, found: Sequence[orderings.Ordering], scale: bool) -> pd.DataFrame:
        """Gap of each ordering (eV): columns x_B, n_atoms, multiplicity, band_gap, band_gap_std.

        Args:
            found: the orderings, in the cell of the first end.
            scale: whether to give each the cell that belongs to its x.
        """
        crystals = [ordering.structure for ordering in found]
        gaps, std = self.predict([self.alloy.scaled(crystal) for crystal in crystals] if scale else crystals)
        columns = {
            self.x: [self.alloy.fraction(ordering.structure) for ordering in found],
            "n_atoms": [len(ordering.structure) for ordering in found],
            "multiplicity": [ordering.multiplicity for ordering in found],
            "band_gap": gaps,
            "band_gap_std": std,
        }
        return pd.DataFrame(columns).sort_values([self.x, "n_atoms"], kind="stable", ignore_index=True)

    def means(self, points: pd.DataFrame) -> pd.DataFrame:
        """`orderings.composition_means` of the orderings, with band_gap_measured (eV; NaN where it is not known)."""
        means = orderings.composition_means(points, self.x)
        return means.assign(band_gap_measured=measured_curves.gap(self.alloy.names, means[self.x]))

    def shared_sites(self, fractions: Sequence[float] | np.ndarray) -> pd.DataFrame:
        """Gap with both elements on every site (eV): columns x_B, band_gap, band_gap_std, one row a fraction of B."""
        gaps, std = self.predict([self.alloy.shared_site(float(x)) for x in fractions])
        return pd.DataFrame({self.x: fractions, "band_gap": gaps, "band_gap_std": std})

    def quasirandom(self, formulas: Sequence[str], seed: int) -> pd.DataFrame:
        """Gap of a special quasirandom structure of each formula (eV).

        Columns formula, x_B, n_atoms, band_gap, band_gap_std.
        """
        fractions = [self.alloy.read(formula) for formula in formulas]
        cells = [self.alloy.quasirandom(x, seed) for x in fractions]
        gaps, std = self.predict(cells)
        columns = {
            "formula": list(formulas),
            self.x: [float(x) for x in fractions],
            "n_atoms": [len(cell) for cell in cells],
            "band_gap": gaps,
            "band_gap_std": std,
        }
        return pd.DataFrame(columns)

    def first_principles(self) -> pd.DataFrame | None:
        """Calculated gaps of orderings at the model's fidelity or the nearest to it, where there are any.

        Columns x_B, multiplicity, band_gap (eV), band_gap_std (NaN) and level, what the fidelity is called.
        """
        fidelity = COMPUTED.get(self.fidelity, "")
        table = first_principles.gaps(self.alloy.names, fidelity)
        if table is None:
            return None
        return table.assign(band_gap_std=np.nan, level=f"calculated orderings ({levels.NAMES[fidelity]})")

    def curve(self, means: pd.DataFrame, representation: str) -> pd.DataFrame:
        """The model's gap over the whole range.

        Args:
            means: of the orderings, as the model predicts them.
            representation: of the disorder, the one that `band_gap` is to be; a key of `REPRESENTATIONS`.

        Returns:
            One row for each of `FRACTIONS`: x_B, band_gap, band_gap_std, band_gap_measured (NaN where no measurement is
            known), and gap and sigma in both representations, eV.
        """
        shared = self.shared_sites(FRACTIONS)
        between = {name: np.interp(FRACTIONS, means[self.x], means[name]) for name in ("band_gap", "band_gap_std")}
        ordered = pd.DataFrame({self.x: FRACTIONS, **between})
        columns = {
            column + suffix: table[f"band_gap{suffix}"]
            for column, table in zip(REPRESENTATIONS.values(), (shared, ordered), strict=True)
            for suffix in ("", "_std")
        }
        chosen = REPRESENTATIONS[representation]
        own = {"band_gap": columns[chosen], "band_gap_std": columns[chosen + "_std"]}
        measured = measured_curves.gap(self.alloy.names, FRACTIONS)
        return pd.DataFrame({self.x: FRACTIONS, **own, "band_gap_measured": measured, **columns})


def fidelity_of(model: Model, wanted: str | None = None) -> str | None:
    """The fidelity to predict at: the one wanted, else experiment, else the model's first; None if it has but one."""
    known = model.fidelities
    if wanted or not known:
        return wanted
    return "experiment" if "experiment" in known else known[0]


def representation(fidelity: str | None) -> str:
    """The representation of disorder that is the model's curve at a fidelity, a key of `REPRESENTATIONS`.

    Measured alloys are learnt as shared sites; calculated gaps in training are all those of ordered crystals.
    """
    return "shared-site" if fidelity == "experiment" else "orderings"
