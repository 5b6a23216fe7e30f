"""Structures to and from the dictionaries in which the table keeps them, several times as fast as pymatgen's own way.

The dictionaries are those of `Structure.as_dict(verbosity=0)`, with the labels of sites: what follows from them, such
as Cartesian coordinates, is not stored. What `Structure.from_dict` reads, `structure` reads too. Crystals of elements
without oxidation states or site properties, nearly all there are, take the quick way; the rest pymatgen's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import repeat
from typing import Any

import numpy as np
from pymatgen.core import Composition, Element, Lattice, PeriodicSite, Structure

from bandgaps import cells
from bandgaps.errors import quoted

EVERYWHERE = (True, True, True)
Record = dict[str, Any]
Crystal = Structure | Record


class Compact(Record):
    """A dictionary as `compact` returns it, which `compact` therefore returns unchanged."""


def structure(record: Record) -> Structure:
    """Build the structure that a dictionary describes.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it does not describe one.
    """
    sites, charge = record["sites"], record.get("charge")
    matrix, periodic = cell(record)
    if not sites or not all(map(_is_plain, sites)):
        return Structure.from_dict(record)
    lattice = Lattice(matrix, pbc=(bool(periodic[0]), bool(periodic[1]), bool(periodic[2])))
    symbols = [site["species"][0]["element"] for site in sites]
    coordinates = np.array([site["abc"] for site in sites], dtype=np.float64).reshape(len(sites), 3)
    built = ordered(lattice, symbols, coordinates, [site.get("label") for site in sites])
    if charge is not None:
        built.set_charge(charge)
    built.properties = record.get("properties") or {}
    return built


def cell(record: Mapping[str, Any]) -> tuple[np.ndarray, Sequence[bool]]:
    """Lattice vectors as rows, Å, shape (3, 3), and along which of them the crystal repeats.

    Raises:
        KeyError, TypeError, ValueError: they are not three vectors of numbers, and three truth values; or the charge of
            the cell is not a finite number. Graphs need no charge, but should not be made of a damaged record.
    """
    charge = record.get("charge")
    if charge is not None and not (isinstance(charge, int | float) and math.isfinite(charge)):
        raise ValueError(f"charge is {quoted(charge)}, not a number")
    lattice = record["lattice"]
    matrix = np.array(lattice["matrix"], dtype=np.float64)
    periodic = lattice.get("pbc", EVERYWHERE)
    if matrix.shape != (3, 3):
        raise ValueError("the lattice is not three vectors of three numbers")
    if periodic not in (EVERYWHERE, [*EVERYWHERE]) and not _is_truth(periodic):
        raise ValueError(f"pbc is {quoted(periodic)}, not three truth values")
    return matrix, periodic


def _is_truth(periodic: Any) -> bool:
    return isinstance(periodic, list | tuple) and len(periodic) == 3 and all(each in (True, False) for each in periodic)


def faults(crystals: Sequence[Crystal]) -> dict[int, str]:
    """As `cells.faults`."""
    found = [
        (each.lattice.matrix, len(each)) if isinstance(each, Structure) else (cell(each)[0], len(each["sites"]))
        for each in crystals
    ]
    lattices = np.array([lattice for lattice, _ in found]).reshape(-1, 3, 3)
    return cells.faults(lattices, np.array([atoms for _, atoms in found]))


def geometry(crystal: Crystal) -> tuple[np.ndarray, Sequence[bool], np.ndarray]:
    """Lattice vectors (rows, Å), along which of them the crystal repeats, and fractional coordinates, (sites, 3)."""
    if isinstance(crystal, Structure):
        return crystal.lattice.matrix, crystal.pbc, crystal.frac_coords
    return *cell(crystal), np.array([site["abc"] for site in crystal["sites"]], dtype=np.float64)


def ordered(
    lattice: Lattice, symbols: Sequence[str], coordinates: np.ndarray, labels: Sequence[str | None] | None = None
) -> Structure:
    """A crystal of elements, without the checks that pymatgen makes of every site.

    Args:
        lattice: its lattice.
        symbols: the element on each site.
        coordinates: fractional, float64, shape (sites, 3).
        labels: of the sites.
    """
    sites: list[PeriodicSite] = [
        _QuickSite(_pure(symbol), abc, lattice, label=label, skip_checks=True)
        for symbol, abc, label in zip(symbols, coordinates, labels or repeat(None), strict=False)
    ]
    for site in sites:
        site.__class__ = PeriodicSite
    built = Structure(lattice, [], [])
    built.sites = sites
    return built


class _QuickSite(PeriodicSite):
    """A site while it is built: pymatgen's examine every attribute they are given, which takes most of the time."""

    __setattr__ = object.__setattr__  # type: ignore[assignment]


def record(structure: Structure) -> Record:
    """The dictionary that describes a structure."""
    sites = [_site(site) for site in structure]
    if None in sites:
        return structure.as_dict(verbosity=1)
    lattice = structure.lattice
    return _of_sites(sites, lattice.matrix, lattice.pbc, structure.charge, structure.properties)


def compact(record_: Record) -> Record:
    """`record` of the `structure` that a dictionary describes, which is not built if its sites are plain.

    Sites share what describes their elements.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: as `structure`.
    """
    if isinstance(record_, Compact):
        return record_
    sites, charge = record_["sites"], record_.get("charge")
    matrix, periodic = cell(record_)
    if not sites or not all(map(_is_plain, sites)):
        return record(Structure.from_dict(record_))
    coordinates = np.array([site["abc"] for site in sites], dtype=np.float64).reshape(len(sites), 3).tolist()
    plain = [
        {"species": species, "abc": abc, "label": name if (label := site.get("label")) is None else label}
        for site, abc in zip(sites, coordinates, strict=True)
        for species, name in (_species(site["species"][0]["element"]),)
    ]
    pbc = tuple(map(bool, periodic))
    return _of_sites(plain, matrix.tolist(), pbc, 0.0 if charge is None else charge, record_.get("properties") or {})


def of_elements(matrix: list[list[float]], symbols: Sequence[Any], coordinates: np.ndarray) -> Record:
    """The dictionary of a crystal: `Compact` if its symbols are those of elements, else one that `structure` refuses.

    Args:
        matrix: lattice vectors as rows, Å.
        symbols: the element on each site.
        coordinates: fractional, shape (sites, 3).
    """
    kind: type[Record] = Compact
    try:
        species = [_species(symbol)[0] for symbol in symbols]
    except (TypeError, ValueError):  # whoever reads the crystal names its row
        species, kind = [[{"element": symbol, "occu": 1}] for symbol in symbols], dict
    sites = [
        {"species": of_site, "abc": abc, "label": symbol}
        for of_site, abc, symbol in zip(species, coordinates.tolist(), symbols, strict=True)
    ]
    return kind(_of_sites(sites, matrix, EVERYWHERE, 0, {}))


def _of_sites(sites: list[Any], matrix: Any, pbc: Sequence[bool], charge: float, properties: Record) -> Record:
    return {
        "@module": "pymatgen.core.structure",
        "@class": "Structure",
        "charge": charge,
        "lattice": {"matrix": matrix, "pbc": pbc},
        "properties": properties,
        "sites": sites,
    }


def _is_plain(site: Record) -> bool:
    species = site["species"]
    return len(species) == 1 and species[0]["occu"] == 1 and len(species[0]) == 2 and not site.get("properties")


@cache
def _pure(symbol: str) -> Composition:
    """One atom of an element; compositions do not change, so all sites can share it."""
    return Composition({Element(symbol): 1})


@cache
def _species(symbol: str) -> tuple[list[Record], str]:
    """What the dictionary of a site has of its element, and its label where it has none of its own."""
    element = Element(symbol)
    return [{"element": element.symbol, "occu": 1}], str(element)


def _site(site: PeriodicSite) -> Record | None:
    """The dictionary of a site, None where it is not plain."""
    species = site.species.items()
    if len(species) != 1 or site.properties:
        return None
    ((element, amount),) = species
    if amount != 1 or not isinstance(element, Element):
        return None
    return {"species": [{"element": element.symbol, "occu": 1}], "abc": site.frac_coords, "label": site.label}
