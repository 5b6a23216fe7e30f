"""Where the end crystals of an alloy come from: the bundled crystals, with measured lattice constants, or files."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path

import pandas as pd

from bandgaps.alloy import lattice_constants, measured_curves
from bandgaps.alloy.measured_curves import MeasuredAlloy
from bandgaps.alloy.pseudobinary import PseudobinaryAlloy, described
from bandgaps.elements import SYMBOLS
from bandgaps.errors import InputError
from bandgaps.files import DATA
from bandgaps.formulas import System, exchanged, reduced_formula
from bandgaps.structure.crystal_files import read_structure
from bandgaps.table import storage

CRYSTALS = DATA / "sample" / "sample.json.gz"


class NoCommonStructureError(InputError):
    """The stable crystals of two ends have different structures.

    Attributes:
        choices: material ids of bundled crystals that have one, in pairs.
    """

    def __init__(self, message: str, choices: list[tuple[str, str]]) -> None:
        super().__init__(message)
        self.choices = choices


def of_system(system: System, structure: str | None = None) -> PseudobinaryAlloy:
    """The alloy of two elements, as diamond, or of two compounds, from the bundled crystals.

    Compounds have the structure that is asked for; else that in which their alloy was measured from one end to the
    other; else that of least energy, if it is one and the same. Lattice constants are measured ones where they are
    known, and follow Vegard's law between the ends.

    Args:
        system: the ends, from `formulas.parse_system`.
        structure: a prototype, such as zincblende.

    Raises:
        InputError: there is no such crystal; a NoCommonStructureError where the ends have different structures.
    """
    if all(name in SYMBOLS for name in system):
        return PseudobinaryAlloy.of_elements(system)
    exchanged(system)
    first, second = (_crystals(name) for name in system)
    curve = measured_curves.known(system)
    wanted = structure or (curve.structure if curve and curve.is_whole else None)
    own = [rows[rows["prototype"] == wanted] for rows in (first, second)]
    if structure and any(rows.empty for rows in own):
        raise InputError(f"{'-'.join(system)}: no bundled crystals of both with the structure {structure}")
    if any(rows.empty for rows in own):
        own = [first, second]
    one, other = (rows.iloc[0] for rows in own)
    if one["prototype"] != other["prototype"]:
        raise _no_common_structure(system, first, second)
    return _between(one, other, system)


def of_measured(alloy: MeasuredAlloy) -> PseudobinaryAlloy | None:
    """The crystals of an alloy that was measured, None where they are not bundled."""
    try:
        return of_system(alloy.names, alloy.structure)
    except InputError:
        return None


def of_files(sources: tuple[str, str]) -> PseudobinaryAlloy:
    """The alloy of two crystals as they are, each a file or the material id of a bundled one.

    Args:
        sources: files in any format that pymatgen reads, or ids such as wurtzite-Zn-O.

    Raises:
        InputError: one cannot be read, or as `PseudobinaryAlloy.between`.
    """
    table = _bundled().set_index("material_id", drop=False)
    if all(source in table.index for source in sources) and not any(Path(source).exists() for source in sources):
        one, other = (table.loc[source] for source in sources)
        if one["prototype"] == other["prototype"]:
            return _between(one, other, (one["formula"], other["formula"]))
    crystals = [
        table.loc[source, "structure"]
        if source in table.index and not Path(source).exists()
        else read_structure(Path(source))
        for source in sources
    ]
    return PseudobinaryAlloy.between(crystals[0], crystals[1])


@cache
def _bundled() -> pd.DataFrame:
    return storage.read(CRYSTALS)


def _crystals(name: str) -> pd.DataFrame:
    """The bundled crystals of a formula, the one of least energy first."""
    table = _bundled()
    own = table[table["formula"] == reduced_formula(name)].sort_values("energy_per_atom")
    if own.empty:
        raise InputError(f"{name} is none of the {len(table)} bundled crystals; give both ends as files")
    return own


def _between(one: pd.Series, other: pd.Series, system: System) -> PseudobinaryAlloy:
    """The alloy of two bundled crystals of one prototype, with measured lattice constants."""
    crystals = [lattice_constants.with_measured(row["structure"], row["prototype"]) for row in (one, other)]
    return PseudobinaryAlloy.between(crystals[0], crystals[1], system)


def _no_common_structure(system: System, first: pd.DataFrame, second: pd.DataFrame) -> NoCommonStructureError:
    """The message where the stable crystals of the ends have different structures."""
    pairs = product(first.itertuples(), second.itertuples())
    choices = [(one.material_id, other.material_id) for one, other in pairs if one.prototype == other.prototype]
    own = " and ".join(
        f"{name} is {rows.iloc[0]['prototype']} ({described(rows.iloc[0]['structure'])})"
        for name, rows in zip(system, (first, second), strict=True)
    )
    return NoCommonStructureError(f"the stable crystals have different structures: {own}", choices)
