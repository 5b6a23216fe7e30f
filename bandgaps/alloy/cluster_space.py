"""icet's clusters, for an annealing of one cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from icet import ClusterSpace


class OneCellSpace(ClusterSpace):
    """A space of clusters that keeps the tables of the last cell.

    icet makes them anew for each cluster vector, which takes most of the time of an annealing; of one cell only the
    elements on its sites change.
    """

    _cell: tuple[np.ndarray, ...] = ()
    _tables: Any = None

    def _build_calculator(self, structure: Atoms) -> Any:
        cell = (structure.cell.array, structure.positions)
        if not self._cell or not all(map(np.array_equal, cell, self._cell)):
            self._tables = super()._build_calculator(structure)
            self._cell = tuple(array.copy() for array in cell)
        self._tables.set_occupations(structure.numbers)
        return self._tables
