"""Band gaps of an alloy's orderings from density functional theory, where the repository has them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bandgaps.errors import InputError
from bandgaps.files import DATA
from bandgaps.formulas import System
from bandgaps.table.columns import require_columns

FOLDER = DATA / "orderings"
FIDELITIES = ("pbe", "gllbsc")


def gaps(system: System, fidelity: str, folder: Path = FOLDER) -> pd.DataFrame | None:
    """Computed gaps of the orderings of A(1-x)B(x), or None where there are none of this alloy or fidelity.

    Args:
        system: the two elements, A and B.
        fidelity: `pbe` or `gllbsc` where there may be some.
        folder: holds a table `AB.csv` for each alloy; its README.md says how they were computed.

    Returns:
        One row an ordering: `id`, `x_B` (with B's symbol), `n_atoms`, `multiplicity` (its weight in a mean over
        orderings) and `band_gap` (eV).

    Raises:
        InputError: the table is damaged.
    """
    for first, second in (system, system[::-1]):
        path = folder / f"{first}{second}.csv"
        if fidelity in FIDELITIES and path.exists():
            table = _read(path, f"x_{second}", f"band_gap_{fidelity}")
            x = table["x"] if second == system[1] else 1 - table["x"]
            return table.drop(columns="x").assign(**{f"x_{system[1]}": x})
    return None


def _read(path: Path, fraction: str, gap: str) -> pd.DataFrame:
    """Columns `id`, `x`, `n_atoms`, `multiplicity` and `band_gap` of a table, their values checked."""
    try:
        table = pd.read_csv(path)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path}: not a table ({error}); restore it from the repository") from None
    limits = {fraction: (0, 1), "n_atoms": (1, 1000), "multiplicity": (1, 1_000_000), gap: (0, 20)}
    require_columns(table, ["id", *limits], path)
    for column, (least, most) in limits.items():
        numbers = pd.to_numeric(table[column], errors="coerce")
        if not numbers.between(least, most).all():
            row = table[~numbers.between(least, most)].iloc[0]
            raise InputError(
                f"{path}: {row['id']} has {column} {row[column]}, not a number from {least} to {most}; "
                "restore the table from the repository"
            )
    return table[["id", *limits]].rename(columns={fraction: "x", gap: "band_gap"})
