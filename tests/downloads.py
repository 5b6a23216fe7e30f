"""What tests of the download share: requests at which a server fails, and rows that can be compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymatgen.core import Structure

from bandgaps.table import records
from bandgaps.table.download import Download


def contents(download: Download) -> list[dict[str, Any]]:
    """The rows, comparable: None where a number is missing."""
    table = download.table.assign(structure=[crystal(records.structure(each)) for each in download.table["structure"]])
    return table.astype(object).where(table.notna(), None).to_dict("records")


def crystal(structure: Structure) -> tuple[Any, ...]:
    """A structure, comparable to the last digit; pymatgen's own dictionaries and comparisons take ten times as long."""
    return structure.lattice.matrix.tolist(), structure.frac_coords.tolist(), structure.species


def is_listing(parameters: dict[str, str]) -> bool:
    return "_sort_fields" in parameters


def is_second_page(parameters: dict[str, str]) -> bool:
    return parameters.get("_skip") == "1000"


def is_second_chunk(parameters: dict[str, str]) -> bool:
    return "mp-20400" in parameters.get("material_ids", "").split(",")


def happening(
    name: str, when: Callable[[dict[str, str]], bool], times: int = 10**9
) -> Callable[[dict[str, str]], str | None]:
    """Trouble of a kind, at the first `times` requests for which `when` holds."""
    left = [times]

    def trouble(parameters: dict[str, str]) -> str | None:
        if not when(parameters) or not left[0]:
            return None
        left[0] -= 1
        return name

    return trouble
