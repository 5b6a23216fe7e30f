"""Structures to and from the dictionaries in which the table keeps them, several times as fast as pymatgen's own way.

The dictionaries are those of `Structure.as_dict(verbosity=0)`, with the labels of sites: what follows from them, such
as Cartesian coordinates, is not stored. What `Structure.from_dict` reads, `structure` reads too. Crystals of elements
without oxidation states or site properties, nearly all there are, take the quick way; the rest pymatgen's.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from pymatgen.core import Composition, Element, Lattice, PeriodicSite, Structure

Record = dict[str, Any]


def structure(record: Record) -> Structure:
    """Build the structure that a dictionary describes.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it does not describe one.
    """
    sites = record["sites"]
    if not sites or not all(map(_is_plain, sites)):
        return Structure.from_dict(record)
    cell = record["lattice"]
    lattice = Lattice(cell["matrix"], pbc=tuple(cell.get("pbc", (True, True, True))))
    coordinates = np.array([site["abc"] for site in sites], dtype=np.float64).reshape(len(sites), 3)
    built = Structure(lattice, [], [], charge=record.get("charge"), properties=record.get("properties"))
    built.sites = [
        PeriodicSite(_pure(site["species"][0]["element"]), abc, lattice, label=site.get("label"), skip_checks=True)
        for site, abc in zip(sites, coordinates, strict=True)
    ]
    return built


def record(structure: Structure) -> Record:
    """The dictionary that describes a structure."""
    sites = [_site(site) for site in structure]
    if None in sites:
        return structure.as_dict(verbosity=1)
    return {
        "@module": "pymatgen.core.structure",
        "@class": "Structure",
        "charge": structure.charge,
        "lattice": {"matrix": structure.lattice.matrix, "pbc": structure.lattice.pbc},
        "properties": structure.properties,
        "sites": sites,
    }


def _is_plain(site: Record) -> bool:
    species = site["species"]
    return len(species) == 1 and species[0]["occu"] == 1 and len(species[0]) == 2 and not site.get("properties")


@cache
def _pure(symbol: str) -> Composition:
    """One atom of an element; compositions do not change, so all sites can share it."""
    return Composition({Element(symbol): 1})


def _site(site: PeriodicSite) -> Record | None:
    """The dictionary of a site, None where it is not plain."""
    species = site.species.items()
    if len(species) != 1 or site.properties:
        return None
    ((element, amount),) = species
    if amount != 1 or not isinstance(element, Element):
        return None
    return {"species": [{"element": element.symbol, "occu": 1}], "abc": site.frac_coords, "label": site.label}
