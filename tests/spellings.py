"""Formulas as hypothesis draws them: a few compositions, each in many spellings."""

from __future__ import annotations

import pandas as pd
from hypothesis import strategies as st

COMPOSITIONS = {
    "Si": {"Si": 1},
    "SiGe": {"Si": 1, "Ge": 1},
    "GaAs": {"Ga": 1, "As": 1},
    "AlGaN2": {"Al": 1, "Ga": 1, "N": 2},
    "AlGa3N4": {"Al": 1, "Ga": 3, "N": 4},
    "AlCuS2": {"Al": 1, "Cu": 1, "S": 2},
    "Fe2O3": {"Fe": 2, "O": 3},
    "Fe3O4": {"Fe": 3, "O": 4},
}
ENERGIES = st.sampled_from([-2.0, -1.0, 0.0, 0.5, None])


@st.composite
def spelled(draw: st.DrawFn, composition: str) -> str:
    """A formula of a composition: its elements in any order, their amounts times any factor."""
    amounts = COMPOSITIONS[composition]
    factor = draw(st.sampled_from([1, 2, 7, 0.5, 0.25, 0.1]))
    return "".join(f"{element}{amounts[element] * factor}" for element in draw(st.permutations(list(amounts))))


@st.composite
def polymorphs(draw: st.DrawFn) -> pd.DataFrame:
    """Rows with the columns composition (one name for all spellings), formula, energy_per_atom and metal."""
    compositions = draw(st.lists(st.sampled_from(list(COMPOSITIONS)), min_size=1, max_size=40))
    rows = [(one, draw(spelled(one)), draw(ENERGIES), draw(st.booleans())) for one in compositions]
    return pd.DataFrame(rows, columns=["composition", "formula", "energy_per_atom", "metal"])
