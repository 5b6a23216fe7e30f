"""From structures to crystal graphs: every pair of atoms within a cutoff is a bond."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bandgaps import cells
from bandgaps.elements import SYMBOLS
from bandgaps.errors import shortened
from bandgaps.structure import threads
from bandgaps.structure.faults import Fault, Faults, refuse
from bandgaps.structure.graphs import FIRST_MIXTURE, Graphs, offsets_of
from bandgaps.table import records

if TYPE_CHECKING:
    from pymatgen.core import Structure

    Crystal = Structure | Mapping[str, Any]  # a structure, or the dictionary of one as tables on disk have it

SAME_POSITION = 1e-8  # Å; an atom is no neighbour of itself, but its periodic images are
FAR = 100.0  # Å; the lattice constant of what takes the place of a structure with a fault
FULL = 2e-3  # occupancies that add up to 1 within this do so but for rounding, as in 0.333 + 0.666
CRYSTALS_A_PART = 500  # of a thread's work
PAIRS_A_PART = 50_000_000  # of atoms, likewise
_NUMBERS = {**{symbol: number for number, symbol in enumerate(SYMBOLS, start=1)}, "D": 1, "T": 1}
Occupancies = tuple[tuple[int, float], ...]  # of one site: atomic number, part of it
Mixtures = dict[Occupancies, int]  # the number of each mixture met so far


def build(structures: Sequence[Crystal], cutoff: float, names: Sequence[str] | None = None) -> Graphs:
    """Find all bonds of all structures.

    Args:
        structures: structures, or the dictionaries of such, as tables on disk have them, which is faster.
        cutoff: Å.
        names: what to call each structure in an error; its row and formula where there are none.

    Raises:
        InputError: the occupancies of a site do not add up to 1, an atom has no neighbour within the cutoff, or a
            dictionary is not that of a structure.
    """
    graphs, faults = build_all(structures, cutoff)
    refuse(faults, names)
    return graphs


def build_all(structures: Sequence[Crystal], cutoff: float) -> tuple[Graphs, Faults]:
    """Find all bonds of all structures that can be graphs.

    Args:
        structures: as `build` takes them.
        cutoff: Å.

    Returns:
        The graphs, and what is wrong with some structures. Graphs of these are not to be used.
    """
    mixtures: Mixtures = {}
    faults: Faults = {}
    graphs = all_bonds(crystals_in_parts(structures, cutoff, mixtures, faults), mixtures, cutoff)
    return graphs, {**isolated(graphs), **faults}


@dataclass(frozen=True)
class Crystals:
    """What structures are made of, in flat arrays."""

    atomic_numbers: np.ndarray  # (atoms,)
    positions: np.ndarray  # fractions of the lattice vectors, (atoms, 3)
    lattices: np.ndarray  # Å, vectors as rows, (crystals, 3, 3)
    periodic: np.ndarray  # along each lattice vector, (crystals, 3)
    offsets: np.ndarray  # of atoms, (crystals + 1,)


def crystals_in_parts(
    structures: Sequence[Crystal], cutoff: float, mixtures: Mixtures, faults: Faults
) -> Iterator[Crystals]:
    """What structures are made of, so many at a time; of none, one empty part.

    New mixtures join `mixtures`. Structures that cannot be read, or in which a search up to `cutoff` (Å) would find too
    much or take too long, join `faults`. One atom far from all others takes the place of such a structure.
    """
    for start in range(0, max(len(structures), 1), CRYSTALS_A_PART):
        yield _crystals(structures[start : start + CRYSTALS_A_PART], start, cutoff, mixtures, faults)


def _crystals(
    structures: Sequence[Crystal], before: int, cutoff: float, mixtures: Mixtures, faults: Faults
) -> Crystals:
    lattices, periodic, numbers, positions = np.zeros((len(structures), 3, 3)), [], [], []
    for row, structure in enumerate(structures):
        try:
            lattices[row], axes, elements, coordinates = _parts(structure, mixtures)
        except _UnreadableError as error:
            faults[before + row] = error.fault
            lattices[row], axes, elements, coordinates = FAR * np.eye(3), (True,) * 3, [1], np.zeros((1, 3))
        periodic.append(axes)
        numbers.append(np.array(elements, dtype=np.int32))
        positions.append(coordinates)
    sizes = np.array([len(elements) for elements in numbers], dtype=np.int64)
    for row, wrong in cells.faults(lattices, sizes, cutoff).items():
        faults[before + row] = Fault("a cell that no crystal has", wrong)
        lattices[row], positions[row], numbers[row] = FAR * np.eye(3), np.zeros((1, 3)), np.ones(1, np.int32)
    return Crystals(
        np.concatenate([np.zeros(0, np.int32), *numbers]),
        np.concatenate([np.zeros((0, 3)), *positions]),
        lattices,
        np.array(periodic, dtype=bool).reshape(-1, 3),
        offsets_of([len(elements) for elements in numbers]),
    )


class _UnreadableError(Exception):
    """A structure has a fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def _parts(structure: Crystal, mixtures: Mixtures) -> tuple[np.ndarray, Any, list[int], np.ndarray]:
    """Lattice vectors, axes that repeat, atomic numbers and fractional coordinates."""
    try:
        if isinstance(structure, Mapping):
            matrix, axes, elements, coordinates = _of_record(structure, mixtures)
        else:
            matrix, axes, elements, coordinates = _of_structure(structure, mixtures)
        lattice = np.array(matrix, dtype=np.float64).reshape(3, 3)
        positions = np.array(coordinates, dtype=np.float64).reshape(len(elements), 3)
        if not elements or not np.isfinite(lattice).all() or not np.isfinite(positions).all():
            raise ValueError("no atoms, or a coordinate that is not a number")
        return lattice, axes, elements, positions
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        message = f"not a pymatgen Structure ({shortened(repr(error))}); leave it out"
        raise _UnreadableError(Fault("no readable structure", message)) from None


def _of_record(record: Mapping[str, Any], mixtures: Mixtures) -> tuple[Any, Any, list[int], Any]:
    """Lattice vectors, axes that repeat, atomic numbers and fractional coordinates of a structure's dictionary."""
    sites = record["sites"]
    species = [site["species"] for site in sites]
    try:
        numbers = [_NUMBERS[one["element"]] for (one,) in species if one["occu"] == 1]
    except ValueError:  # several elements
        numbers = []
    if len(numbers) < len(sites):
        numbers = [_number([(_NUMBERS[one["element"]], one["occu"]) for one in site], mixtures) for site in species]
    return *records.cell(record), numbers, [site["abc"] for site in sites]


def _of_structure(structure: Structure, mixtures: Mixtures) -> tuple[Any, Any, list[int], Any]:
    """The same of a structure."""
    if structure.is_ordered:
        numbers = list(structure.atomic_numbers)
    else:
        numbers = [_number([(s.Z, part) for s, part in site.species.items()], mixtures) for site in structure]
    return structure.lattice.matrix, structure.pbc, numbers, structure.frac_coords


def _number(species: Iterable[tuple[int, float]], mixtures: Mixtures) -> int:
    """The number of what is on a site, given as atomic numbers and occupancies: an element's own, or a mixture's.

    Where occupancies do not add up to 1, megnet sums all the same, so that a vacancy counts as an element whose
    embedding is zero, which no training has seen; here that is an error.
    """
    parts: dict[int, float] = {}
    for number, part in species:
        parts[number] = parts.get(number, 0.0) + float(part)
    total = sum(parts.values())
    if not abs(total - 1) <= FULL or min(parts.values()) < 0:
        what = ", ".join(f"{SYMBOLS[number - 1]}:{part:g}" for number, part in parts.items())
        message = f"the occupancies of a site ({what}) do not add up to 1, and the model knows no vacancies; "
        raise _UnreadableError(Fault("vacancies", message + "give a structure without them"))
    mixture = tuple((number, round(parts[number] / total, 9)) for number in sorted(parts) if parts[number] > 0)
    return mixture[0][0] if len(mixture) == 1 else mixtures.setdefault(mixture, FIRST_MIXTURE + len(mixtures))


def all_bonds(parts: Iterable[Crystals], mixtures: Mixtures, cutoff: float) -> Graphs:
    """The graphs of all parts; threads find the bonds of some while others are still taken to pieces."""
    with ThreadPoolExecutor(threads.count()) as pool:
        built = list(pool.map(lambda part: _bonds(part, float(cutoff)), chain.from_iterable(map(_pieces, parts))))

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(graphs, name) for graphs in built])

    atoms, bonds = offsets_of(joined("atom_counts")), offsets_of(joined("bond_counts"))
    numbers, distances, first, second = map(joined, ("atomic_numbers", "distances", "first", "second"))
    return whole(float(cutoff), numbers, distances, first, second, atoms, bonds, mixture_table(mixtures))


def _pieces(part: Crystals) -> Iterator[Crystals]:
    """A part, or several where it has very many pairs of atoms, for each of which the search keeps a number."""
    sizes = np.diff(part.offsets)
    pairs = np.cumsum(sizes * (sizes + 1) // 2)
    if not len(pairs) or pairs[-1] <= PAIRS_A_PART:
        yield part
        return
    bounds = np.searchsorted(pairs, np.arange(0, pairs[-1], PAIRS_A_PART), side="right")
    for start, stop in pairwise(sorted({0, *bounds.tolist(), len(sizes)})):
        first, last = part.offsets[start], part.offsets[stop]
        yield Crystals(
            part.atomic_numbers[first:last],
            part.positions[first:last],
            part.lattices[start:stop],
            part.periodic[start:stop],
            part.offsets[start : stop + 1] - first,
        )


def isolated(graphs: Graphs) -> Faults:
    """The crystals with an atom that has no neighbour, by row."""
    begins = np.ones(len(graphs.first), dtype=bool)  # whether a bond is the first of its atom
    begins[1:] = graphs.first[1:] != graphs.first[:-1]
    begins[graphs.bond_offsets[:-1][graphs.bond_counts > 0]] = True
    bonded = np.diff(np.searchsorted(np.flatnonzero(begins), graphs.bond_offsets))
    return {row: _isolated(graphs, row) for row in np.flatnonzero(bonded < graphs.atom_counts).tolist()}


def _isolated(graphs: Graphs, row: int) -> Fault:
    crystal = graphs.between(row, row + 1)
    atom = int(np.setdiff1d(np.arange(len(crystal.atomic_numbers)), crystal.first)[0])
    counts = Counter(map(_symbol, crystal.atomic_numbers))
    reason = f"an atom that has no neighbour within {graphs.cutoff:g} Å"
    message = f"atom {atom} ({_symbol(crystal.atomic_numbers[atom])}) has no neighbour within {graphs.cutoff:g} Å; "
    contents = " ".join(f"{symbol}{count}" for symbol, count in counts.items())
    return Fault(reason, message + "leave this structure out or use a larger cutoff", contents)


def mixture_table(mixtures: Mixtures) -> np.ndarray:
    """The part that each element has in each mixture, shape (mixtures, FIRST_MIXTURE)."""
    table = np.zeros((len(mixtures), FIRST_MIXTURE), np.float32)
    for row, mixture in enumerate(mixtures):
        for number, part in mixture:
            table[row, number] = part
    return table


def _bonds(crystals: Crystals, cutoff: float) -> Graphs:
    from bandgaps.structure.kernels import search

    atoms = crystals.offsets
    index = np.int16 if np.diff(atoms).max(initial=0) < np.iinfo(np.int16).max else np.int32
    crystal = _triangles(crystals.lattices), crystals.periodic, crystals.positions, atoms
    counts, distances, first, second = search(*crystal, cutoff, SAME_POSITION)
    first, second = first.astype(index, copy=False), second.astype(index, copy=False)
    return whole(
        cutoff, crystals.atomic_numbers, distances, first, second, atoms, offsets_of(counts)[atoms], mixture_table({})
    )


def whole(
    cutoff: float,
    atomic_numbers: np.ndarray,
    distances: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    atom_offsets: np.ndarray,
    bond_offsets: np.ndarray,
    mixtures: np.ndarray,
) -> Graphs:
    """Graphs in which every atom and every bond stands for itself; their ones take no memory."""
    one = np.ones(1, np.int32)
    copies = (np.broadcast_to(one, len(atomic_numbers)), np.broadcast_to(one, len(distances)))
    return Graphs(cutoff, atomic_numbers, distances, first, second, atom_offsets, bond_offsets, *copies, mixtures)


def _triangles(lattices: np.ndarray) -> np.ndarray:
    """Lattice vectors as columns, turned so that they are upper triangles with a positive diagonal, Å."""
    triangles = _turned(lattices)
    return np.ascontiguousarray(triangles * np.sign(_heights(triangles))[:, :, None])


def _turned(lattices: np.ndarray) -> np.ndarray:
    """Lattice vectors as columns of upper triangles, Å."""
    return np.linalg.qr(np.swapaxes(lattices, 1, 2))[1]


def _heights(triangles: np.ndarray) -> np.ndarray:
    """How far each lattice vector rises above those before it, with a sign, Å, shape (crystals, 3)."""
    return np.diagonal(triangles, axis1=1, axis2=2)


def _symbol(number: int) -> str:
    return SYMBOLS[number - 1] if number < FIRST_MIXTURE else "mixture"
