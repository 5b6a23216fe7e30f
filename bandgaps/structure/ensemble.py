"""A structure model: an ensemble of MEGNets of one architecture, and its predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bandgaps.errors import InputError
from bandgaps.formulas import composition_keys
from bandgaps.intervals import Distribution
from bandgaps.structure import measured
from bandgaps.structure.batches import occupancies
from bandgaps.structure.calibration import Calibration
from bandgaps.structure.faults import Fault, Faults, refuse
from bandgaps.structure.graphs import FIRST_MIXTURE, Graphs, merged
from bandgaps.structure.measured import MeasuredLevel
from bandgaps.structure.network import Hyperparameters, outputs_of


@dataclass(frozen=True)
class Model:
    """An ensemble of MEGNets of one architecture.

    Attributes:
        hyperparameters: the architecture.
        members: the weights of each member.
        mean: target = mean + std × output of the network, eV.
        std: the factor in it, eV.
        card: what the model was trained on, how, when, under which licence, and how good it is.
        formulas: the formulas it has seen in training or validation, where they are known, shape (rows,).
        lowest: what no target can be below, eV; members that predict less are taken to mean this. None: no limit.
        calibrations: from the members' spread to sigma, for each fidelity ("" where there is only one).
        measured: the model of measured gaps on top, which the fidelity `experiment` is; None where there is none.
    """

    hyperparameters: Hyperparameters
    members: list[dict[str, np.ndarray]]
    mean: float = 0.0
    std: float = 1.0
    card: dict[str, Any] = field(default_factory=dict)
    formulas: np.ndarray | None = None
    lowest: float | None = None
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    measured: MeasuredLevel | None = None

    @property
    def fidelities(self) -> tuple[str, ...]:
        """The fidelities it knows, that of measurement last; none where there is only one, without a name."""
        return self.hyperparameters.fidelities + (("experiment",) if self.measured else ())

    @property
    def unit(self) -> str:
        """Unit of the predictions."""
        if self.hyperparameters.probability:
            return "probability"
        unit = self.card.get("unit")
        return unit if isinstance(unit, str) else "eV"

    @property
    def published(self) -> bool:
        """Whether the weights are those that the authors of MEGNet publish."""
        return bool(self.card.get("published"))

    def predict(self, graphs: Graphs, fidelity: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Predict the target of each crystal, eV for a band gap.

        Args:
            graphs: built with this model's cutoff.
            fidelity: the fidelity of the predictions, the model's first by default, for models that know several.

        Returns:
            Mean over the members and its uncertainty, each of shape (crystals,): the (sample) standard deviation of the
            members, calibrated where the model has been; NaN for a single member that has not. Of measured gaps the
            mean over the middle half of their distribution, and half of the interval of 68 %.

        Raises:
            InputError: another cutoff, an element or a fidelity that the model does not know.
        """
        if self.measured and fidelity == "experiment":
            found = self.distribution(graphs)
            low, high = self.measured.intervals.bounds(found)[0]
            return found.interquartile_mean, (high - low) / 2
        mean, spread = self.mean_and_spread(graphs, fidelity)
        return mean, self.calibration(fidelity).sigma(np.nan_to_num(spread)) if self.calibrations else spread

    def mean_and_spread(self, graphs: Graphs, fidelity: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """As `predict`, but with the standard deviation of the members as it is; NaN for a single member."""
        self._check(graphs)
        values = self._outputs(graphs, [self._fidelity_index(fidelity)])[:, 0]
        targets = np.maximum(self.mean + self.std * values, -np.inf if self.lowest is None else self.lowest)
        spread = targets.std(axis=0, ddof=1) if len(targets) > 1 else np.full(len(graphs), np.nan)
        return targets.mean(axis=0), spread

    def distribution(self, graphs: Graphs, virtual: Graphs | None = None) -> Distribution:
        """The measured gap expected of each crystal, by the model on top, eV.

        Args:
            graphs: built with this model's cutoff.
            virtual: of an alloy, its virtual crystals of the same x; see `measured.inputs`.

        Raises:
            InputError: the model has none; another cutoff, or an element that it does not know.
        """
        graphs = merged(graphs)
        return self.measured_from(graphs, self.calculated(graphs), virtual)

    def measured_from(self, graphs: Graphs, calculated: np.ndarray, virtual: Graphs | None = None) -> Distribution:
        """As `distribution`, from the calculated gaps of the same crystals, as `calculated` gives them."""
        if self.measured is None:
            raise InputError("fidelity experiment: not known to this model, which has no model of measured gaps on top")
        return self.measured.predict(measured.inputs(graphs, calculated, virtual))

    def calculated(self, graphs: Graphs) -> np.ndarray:
        """Mean over the members of each calculated gap, eV, as they are, also below 0, shape (crystals, fidelities)."""
        self._check(graphs)
        count = max(len(self.hyperparameters.fidelities), 1)
        return self.mean + self.std * self._outputs(graphs, range(count)).mean(axis=0).T

    def _outputs(self, graphs: Graphs, fidelities: Sequence[int]) -> np.ndarray:
        """What each member gives out for each crystal, standardised, shape (members, fidelities, crystals)."""
        index = np.repeat(np.array(fidelities)[:, None], len(graphs), axis=1)
        return outputs_of(self.hyperparameters, self.members, merged(graphs), index)

    def has_seen(self, formulas: Iterable[str]) -> np.ndarray:
        """Which compositions the model was trained or stopped on, however they are spelled; shape (formulas,).

        Raises:
            ValueError: a formula cannot be read.
            InputError: one that the model was trained on cannot be read.
        """
        return np.isin(composition_keys(formulas), self._seen)

    @cached_property
    def _seen(self) -> np.ndarray:
        try:
            return composition_keys([] if self.formulas is None else self.formulas.tolist())
        except ValueError as error:
            name = self.card.get("name", "the model")
            raise InputError(
                f"{name}: its training rows have a formula that is none ({error}); train it again"
            ) from None

    def calibration(self, fidelity: str | None = None) -> Calibration:
        """From the spread of the members to sigma, and to intervals of 95 %, for a fidelity (default: the first).

        For the model of measured gaps on top it is that of alloys; single crystals have intervals of their own.

        Raises:
            InputError: a fidelity that the model does not know.
        """
        if self.measured and fidelity == "experiment":
            return self.measured.mixed.calibration
        known = self.hyperparameters.fidelities or ("",)
        return self.calibrations.get(known[self._fidelity_index(fidelity)], Calibration())

    def _check(self, graphs: Graphs) -> None:
        check_elements(graphs, self.hyperparameters)
        if not np.isclose(graphs.cutoff, self.hyperparameters.cutoff):
            raise InputError(
                f"graphs have a cutoff of {graphs.cutoff:g} Å, the model one of {self.hyperparameters.cutoff:g} Å; "
                "build them with the model's cutoff"
            )

    def _fidelity_index(self, fidelity: str | None) -> int:
        known = self.hyperparameters.fidelities
        if fidelity is None or (known and fidelity in known):
            return known.index(fidelity) if fidelity else 0
        what = f"it knows {', '.join(known)}" if known else "it knows only one, which needs no name"
        raise InputError(f"fidelity {fidelity}: not known to this model; {what}")


def check_elements(graphs: Graphs, settings: Hyperparameters) -> None:
    """Raise InputError if the element embedding has no row for some atom."""
    refuse(unknown_elements(graphs, settings))


def unknown_elements(graphs: Graphs, settings: Hyperparameters) -> Faults:
    """The crystals with an element for which the element embedding has no row."""
    known = np.arange(FIRST_MIXTURE) < settings.elements
    known[0] = False
    known = np.concatenate([known, ~graphs.mixtures[:, ~known].any(axis=1)])
    atoms = np.flatnonzero(~known[graphs.atomic_numbers])
    rows, first = np.unique(np.searchsorted(graphs.atom_offsets, atoms, side="right") - 1, return_index=True)
    parts = occupancies(graphs.atomic_numbers[atoms[first]], graphs.mixtures)
    numbers = np.argmax((parts > 0) & ~known[:FIRST_MIXTURE], axis=1)
    what = f"is not known to the model, which has elements 1 to {settings.elements - 1}; leave this structure out"
    return {
        row: Fault("an element that the model does not know", f"element {number} {what}")
        for row, number in zip(rows.tolist(), numbers.tolist(), strict=True)
    }
