"""What was measured: band gaps and lattice constants of alloys, each with its citation and range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from bandgaps.formulas import System

if TYPE_CHECKING:
    from bandgaps.plotting import Measured

DIAMOND = {"C": 3.567, "Si": 5.431, "Ge": 5.658, "Sn": 6.489}  # Å at room temperature (Madelung, Semiconductors, 2004)


@dataclass(frozen=True)
class Curve:
    """A measured quantity of the alloy A(1-x)B(x) as a function of x, with where it was published."""

    value: Callable[[np.ndarray], np.ndarray]
    authors: str
    citation: str
    temperature: float  # K


def _silicon_germanium_gap(x: np.ndarray) -> np.ndarray:
    """The Si-like gap (conduction-band minimum near X) up to x = 0.85, the Ge-like one (at L) beyond, in eV."""
    return np.minimum(1.155 - 0.43 * x + 0.206 * x**2, 2.010 - 1.270 * x)


def _silicon_germanium_lattice(x: np.ndarray) -> np.ndarray:
    """Lattice constant in Å."""
    return 5.431 + 0.20 * x + 0.027 * x**2


GAPS = {
    ("Si", "Ge"): Curve(_silicon_germanium_gap, "Weber & Alonso", "Phys. Rev. B 40, 5683 (1989)", 4.2),
}  # eV
LATTICE_CONSTANTS = {
    ("Si", "Ge"): Curve(_silicon_germanium_lattice, "Dismukes et al.", "J. Phys. Chem. 68, 3021 (1964)", 298.0),
}  # Å, conventional cubic cell


def gap(system: System, x: ArrayLike) -> np.ndarray:
    """Measured band gap of A(1-x)B(x) in eV, shape of `x`; NaN where no curve is known."""
    return _value(GAPS, system, np.asarray(x, dtype=float))


def lattice_constant(system: System, x: ArrayLike) -> np.ndarray:
    """Cubic lattice constant of the diamond alloy A(1-x)B(x) in Å, shape of `x`.

    The measured curve where there is one, else Vegard's law (Z. Phys. 5, 17) between the elements; NaN where an
    element's is not known.
    """
    x = np.asarray(x, dtype=float)
    measured = _value(LATTICE_CONSTANTS, system, x)
    a, b = (DIAMOND.get(element, np.nan) for element in system)
    return np.where(np.isnan(measured), (1 - x) * a + x * b, measured)


def gap_citation(system: System) -> str | None:
    """Who measured the gap, and at what temperature; None where no curve is known."""
    curve = GAPS.get(system) or GAPS.get(system[::-1])
    return f"{curve.authors}, {curve.temperature:g} K" if curve else None


def drawn(system: System) -> Measured | None:
    """The measured gap as figures draw it, None where no curve is known."""
    from bandgaps.plotting import Measured  # matplotlib, which most users of this module do without

    citation, x = gap_citation(system), np.linspace(0, 1, 201)
    return Measured(x, gap(system, x), citation) if citation else None


def _value(curves: dict[System, Curve], system: System, x: np.ndarray) -> np.ndarray:
    if system in curves:
        return curves[system].value(x)
    if system[::-1] in curves:
        return curves[system[::-1]].value(1 - x)
    return np.full_like(x, np.nan)
