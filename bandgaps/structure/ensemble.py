"""A structure model: an ensemble of MEGNets of one architecture, and its predictions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bandgaps.errors import InputError
from bandgaps.structure.calibration import Calibration
from bandgaps.structure.graphs import FIRST_MIXTURE, Graphs, merged
from bandgaps.structure.network import Hyperparameters, occupancies, outputs


@dataclass(frozen=True)
class Model:
    """An ensemble of MEGNets of one architecture.

    Attributes:
        hyperparameters: the architecture.
        members: the weights of each member.
        mean: target = mean + std × output of the network, eV.
        std: eV.
        card: what the model was trained on, how, when, under which licence, and how good it is.
        formulas: the formulas it has seen in training or validation, where they are known, shape (rows,).
        lowest: what no target can be below, eV; members that predict less are taken to mean this. None: no limit.
        calibrations: from the members' spread to sigma, for each level of theory ("" where there is but one).
        teachers: the formulas of measured gaps that its pseudo-labels were fitted to, where they are known, shape (n,).
    """

    hyperparameters: Hyperparameters
    members: list[dict[str, np.ndarray]]
    mean: float = 0.0
    std: float = 1.0
    card: dict[str, Any] = field(default_factory=dict)
    formulas: np.ndarray | None = None
    lowest: float | None = None
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    teachers: np.ndarray | None = None

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

    def seen(self, including_teachers: bool = False) -> set[str] | None:
        """The formulas it has seen, and if wanted those that its pseudo-labels stem from; None where none are known."""
        if self.formulas is None:
            return None
        taught = self.teachers if including_teachers and self.teachers is not None else ()
        return {str(formula) for formulas in (self.formulas, taught) for formula in formulas}

    def predict(self, graphs: Graphs, fidelity: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Predict the target of each crystal, eV for a band gap.

        Args:
            graphs: built with this model's cutoff.
            fidelity: level of theory to predict at, the model's first by default, for models that know several.

        Returns:
            Mean over the members and its uncertainty, each of shape (crystals,): the (sample) standard deviation of the
            members, calibrated where the model has been; NaN for a single member that has not.

        Raises:
            InputError: another cutoff, an element or a fidelity that the model does not know.
        """
        self._check(graphs)
        level = np.full(len(graphs), self._fidelity_index(fidelity))
        graphs = merged(graphs)
        values = np.array([outputs(self.hyperparameters, weights, graphs, level) for weights in self.members])
        targets = np.maximum(self.mean + self.std * values, -np.inf if self.lowest is None else self.lowest)
        spread = targets.std(axis=0, ddof=1) if len(targets) > 1 else np.full(len(graphs), np.nan)
        calibrated = bool(self.calibrations)
        return targets.mean(axis=0), self.calibration(fidelity).sigma(np.nan_to_num(spread)) if calibrated else spread

    def calibration(self, fidelity: str | None = None) -> Calibration:
        """From the spread of the members to sigma, and to intervals of 95 %, at a level of theory (default: the first).

        Raises:
            InputError: a fidelity that the model does not know.
        """
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
        what = f"it knows {', '.join(known)}" if known else "it knows only one level of theory; leave --fidelity out"
        raise InputError(f"--fidelity {fidelity}: not known to this model; {what}")


def check_elements(graphs: Graphs, settings: Hyperparameters) -> None:
    """Raise InputError if the element embedding has no row for some atom."""
    known = np.arange(FIRST_MIXTURE) < settings.elements
    known[0] = False
    known = np.concatenate([known, ~graphs.mixtures[:, ~known].any(axis=1)])
    unknown = np.flatnonzero(~known[graphs.atomic_numbers])
    if unknown.size:
        row = int(np.searchsorted(graphs.atom_offsets, unknown[0], side="right")) - 1
        parts = occupancies(graphs.atomic_numbers[unknown[:1]], graphs.mixtures)[0]
        number = np.flatnonzero((parts > 0) & ~known[:FIRST_MIXTURE])[0]
        raise InputError(
            f"structure {row}: element {number} is not known to the model, which has "
            f"elements 1 to {settings.elements - 1}; leave this structure out"
        )
