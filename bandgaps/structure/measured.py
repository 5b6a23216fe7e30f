"""Measured gaps on top of calculated ones: two Gaussian processes, of the gap and of being a metal.

Calculated gaps are wrong in ways that depend on chemistry, so measured ones are learnt from the calculated gaps and the
composition together. The measured gaps are few, for which a Gaussian process is the model: it is smooth, it knows how
far it is from all it has seen, and leaving out a system costs a second. It is fitted to crystals that the network
which calculates the gaps has not learnt from, so that it trusts them as far as they deserve.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.stats import norm

from bandgaps import intervals
from bandgaps.intervals import Distribution, Intervals
from bandgaps.structure import compositions
from bandgaps.structure.calibration import Calibration
from bandgaps.structure.gaussian_process import Kernel, Process
from bandgaps.structure.graphs import Graphs
from bandgaps.table.columns import LARGEST_GAP

GAP = Kernel(matern=2.0, length=10.0, linear=0.05)  # eV²; by cross-validation, as what follows
METAL = Kernel(matern=1.0, length=10.0, linear=0.05)  # of a number that is 1 for metals and -1 for others
LOUD, QUIET = 2.0, 0.5  # weights of calculated gaps, and of statistics that jump where an element enters
DISORDER = 80.0  # weight of the size mismatch on shared sites, by alloys whose elements were left out
METAL_NOISE = 0.1
STEEPNESS = 5.0  # of the probability of a metal, over that number
LEVELS = (np.arange(101) + 0.5) / 101  # of the quantiles that stand for a prediction
OUTLYING = 20.0  # standard deviations; what is farther from the mean counts as so far, or a line would run away with it
AT_ONCE = 1_000  # crystals; bounds the memory that covariances take, and more at once are slower
MOST_KNOWN = 10_000  # crystals whose gap is known; the time of fitting grows with their cube
SUREST = 1e-3  # eV; the least standard deviation of a measured gap
LARGEST_INPUT = 1e6  # of the inputs, which are nuclear charges, melting points in K, and the like
FOLDS = 8
_SMOOTH = ("mean", "avg_dev")  # statistics that do not jump


def inputs(graphs: Graphs, calculated: np.ndarray, virtual: Graphs | None = None) -> np.ndarray:
    """What the model knows of each crystal, shape (crystals, inputs).

    Args:
        graphs: the crystals.
        calculated: their gaps, one column a fidelity, eV, shape (crystals, fidelities).
        virtual: crystals whose compositions stand for theirs: for orderings of an alloy, the virtual crystals of the
            same x, so that an ordering is seen as the alloy and not as a compound.
    """
    virtual = virtual or graphs
    mismatch = compositions.size_mismatch(virtual)
    return np.column_stack([compositions.features(virtual), calculated, np.log(density(graphs)), mismatch])


def width(fidelities: int) -> int:
    """How many inputs a crystal has, for a network of so many fidelities of calculated gaps."""
    return len(compositions.LABELS) + fidelities + 2


def _weights(columns: int) -> np.ndarray:
    """How much each input counts, shape (columns,)."""
    jumping = [name.startswith("MagpieData") and name.split()[1] not in _SMOOTH for name in compositions.LABELS]
    of_composition = np.where(jumping, QUIET, 1.0)
    return np.concatenate([of_composition, np.full(columns - len(of_composition) - 2, LOUD), [1.0, DISORDER]])


def density(graphs: Graphs) -> np.ndarray:
    """Neighbours an atom has, each counted less the farther it is, mean over each crystal, shape (crystals,)."""
    crystal = np.repeat(np.arange(len(graphs)), graphs.atom_counts)
    bond_crystal = np.repeat(np.arange(len(graphs)), graphs.bond_counts)
    first = graphs.first + np.repeat(graphs.atom_offsets[:-1], graphs.bond_counts)
    near = (1 - (graphs.distances / graphs.cutoff) ** 2) ** 3 * graphs.bond_copies * graphs.atom_copies[first]
    atoms = np.bincount(crystal, weights=graphs.atom_copies, minlength=len(graphs))
    return np.bincount(bond_crystal, weights=near, minlength=len(graphs)) / atoms


@dataclass(frozen=True)
class AlloyUncertainty:
    """How sure the gap of an alloy is between two ends: both may be off, and so may the bowing between them.

    Attributes:
        bowing: standard deviation of the bowing parameter's error, eV.
        calibration: from the sigma that follows to one that holds what it promises.
    """

    bowing: float = 0.0
    calibration: Calibration = field(default_factory=Calibration)

    def sigma(self, x: np.ndarray, first: float, second: float) -> np.ndarray:
        """Sigma at the fractions x of the second end, eV, shape of x.

        Args:
            x: from 0 to 1.
            first: standard deviation of the first end's gap, eV.
            second: that of the second's, eV.
        """
        return self.calibration.sigma(self.propagated(x, first, second))

    def propagated(self, x: np.ndarray, first: float, second: float) -> np.ndarray:
        """As `sigma`, but not calibrated: independent errors of both ends and of the bowing."""
        return np.sqrt(((1 - x) * first) ** 2 + (x * second) ** 2 + (x * (1 - x) * self.bowing) ** 2)


@dataclass(frozen=True)
class MeasuredLevel:
    """A model of measured gaps.

    Attributes:
        inputs: of the crystals whose gap is known, shape (known, inputs).
        gaps: measured, eV, shape (known,); 0 is a metal.
        uncertainty: standard deviation of each, eV, shape (known,).
        composition: key of each composition, shape (known,).
        intervals: how quantiles become intervals.
        mixed: how sure the gap of an alloy is, by alloys whose elements were left out.
    """

    inputs: np.ndarray
    gaps: np.ndarray
    uncertainty: np.ndarray
    composition: np.ndarray
    intervals: Intervals = field(default_factory=Intervals)
    mixed: AlloyUncertainty = field(default_factory=AlloyUncertainty)

    def check(self) -> None:
        """Raise ValueError if this is no model that can be asked: lengths that differ, or numbers that cannot be."""
        shapes = {self.gaps.shape, self.uncertainty.shape, self.composition.shape, self.inputs.shape[:1]}
        if len(shapes) != 1:
            raise ValueError("arrays of different lengths")
        if len(self.gaps) > MOST_KNOWN:
            raise ValueError(f"{len(self.gaps):,} gaps; the most is {MOST_KNOWN:,}")
        for name, least, most in (
            ("inputs", -LARGEST_INPUT, LARGEST_INPUT),
            ("gaps", 0.0, LARGEST_GAP),
            ("uncertainty", SUREST, LARGEST_GAP),
        ):
            values = getattr(self, name)
            if not ((values >= least) & (values <= most)).all():  # as NaN is not
                raise ValueError(f"{name} that are not from {least:g} to {most:g}")
        if not (self.gaps > 0).any():
            raise ValueError("metals alone")

    def predict(self, inputs: np.ndarray) -> Distribution:
        """The measured gap expected of each crystal, eV.

        Args:
            inputs: as `inputs` gives them, shape (crystals, inputs).
        """
        parts = [self._predict(inputs[start : start + AT_ONCE]) for start in range(0, max(len(inputs), 1), AT_ONCE)]
        return Distribution(*map(np.concatenate, zip(*((part.values, part.std) for part in parts), strict=True)))

    def _predict(self, inputs: np.ndarray) -> Distribution:
        mean, std, metal = self.parts(inputs)
        probability = 1 / (1 + np.exp(-STEEPNESS * metal))
        return Distribution(_quantiles(mean, std, probability), std)

    def parts(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean and standard deviation of the gap of what is no metal (eV), and how like a metal, each (crystals,)."""
        rows = self._standardised(inputs)
        covariance, variance = GAP.between(rows, self._gap.inputs), GAP.variance(rows)
        mean, std = self._gap.of_covariance(covariance, variance)
        metal = METAL.between(rows, self._metal.inputs) @ self._metal.weights
        return mean + self._level, std, metal

    def without(self, left_out: np.ndarray) -> MeasuredLevel:
        """The model that has not seen some of its crystals, a mask of shape (known,)."""
        kept = ~left_out
        arrays = ("inputs", "gaps", "uncertainty", "composition")
        return replace(self, **{name: getattr(self, name)[kept] for name in arrays})

    @cached_property
    def _gap(self) -> Process:
        known = self.gaps > 0
        values = self.gaps[known] - self._level
        return Process.fitted(GAP, self._standardised(self.inputs[known]), values, self.uncertainty[known] ** 2)

    @cached_property
    def _metal(self) -> Process:
        sign = np.where(self.gaps > 0, -1.0, 1.0)
        return Process.fitted(METAL, self._standardised(self.inputs), sign, METAL_NOISE)

    @cached_property
    def _level(self) -> float:
        return float(self.gaps[self.gaps > 0].mean())

    @cached_property
    def _scale(self) -> tuple[np.ndarray, np.ndarray]:
        mean, std = self.inputs.mean(axis=0), self.inputs.std(axis=0)
        mean[-1], std[-1] = 0.0, 1.0  # few crystals have shared sites, if any
        return mean, np.where(std > 1e-9, std, 1.0)

    def _standardised(self, inputs: np.ndarray) -> np.ndarray:
        mean, std = self._scale
        return np.clip((inputs - mean) / std, -OUTLYING, OUTLYING) * _weights(inputs.shape[1])


def fit(inputs: np.ndarray, gaps: np.ndarray, uncertainty: np.ndarray, composition: np.ndarray) -> MeasuredLevel:
    """A model of measured gaps, its intervals from cross-validation over compositions; arguments as its attributes."""
    model = MeasuredLevel(inputs, gaps, uncertainty, composition)
    found = cross_validated(model)
    return replace(model, intervals=intervals.fit(found, gaps, gaps == 0))


def cross_validated(model: MeasuredLevel, groups: np.ndarray | None = None) -> Distribution:
    """What the model says of each crystal that it knows, where it has not seen any of its group.

    Args:
        model: with what it knows.
        groups: by default the compositions, in eight folds; else left out one by one, shape (known,).
    """
    fold = _folds(model.composition) if groups is None else np.unique(groups, return_inverse=True)[1]
    values, std = np.empty((len(fold), len(LEVELS))), np.empty(len(fold))
    for number in range(fold.max() + 1):
        own = fold == number
        found = model.without(own).predict(model.inputs[own])
        values[own], std[own] = found.values, found.std
    return Distribution(values, std)


def _folds(composition: np.ndarray) -> np.ndarray:
    """One of `FOLDS` numbers for each composition, at random, shape (rows,)."""
    names, index = np.unique(composition, return_inverse=True)
    order = np.random.default_rng(0).permutation(len(names))
    return (order % FOLDS)[index]


def _quantiles(mean: np.ndarray, std: np.ndarray, metal: np.ndarray) -> np.ndarray:
    """Quantiles of a gap that is 0 with the probability `metal`, else normal but not below 0, (rows, LEVELS)."""
    level = (LEVELS - metal[:, None]) / np.maximum(1 - metal[:, None], 1e-9)
    gap = mean[:, None] + std[:, None] * norm.ppf(np.clip(level, 1e-9, 1 - 1e-9))
    return np.where(level > 0, np.maximum(gap, 0.0), 0.0)
