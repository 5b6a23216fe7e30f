"""From structures to crystal graphs: every pair of atoms within a cutoff is a bond."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bandgaps.elements import SYMBOLS
from bandgaps.errors import InputError
from bandgaps.structure.graphs import FIRST_MIXTURE, THREADS, Graphs, offsets_of

if TYPE_CHECKING:
    from pymatgen.core import Structure

    Crystal = Structure | Mapping[str, Any]  # a structure, or the dictionary of one as tables on disk have it

SAME_POSITION = 1e-8  # Å; an atom is no neighbour of itself, but its periodic images are
FLAT = 1e-6  # Å; no lattice is that thin
FULL = 2e-3  # occupancies that add up to 1 within this do so but for rounding, as in 0.333 + 0.666
CRYSTALS_A_PART = 500  # of a thread's work
_NUMBERS = {**{symbol: number for number, symbol in enumerate(SYMBOLS, start=1)}, "D": 1, "T": 1}
Occupancies = tuple[tuple[int, float], ...]  # of one site: atomic number, part of it
Mixtures = dict[Occupancies, int]  # the number of each mixture met so far


def build(structures: Sequence[Crystal], cutoff: float, names: Sequence[str] | None = None) -> Graphs:
    """Find all bonds of all structures.

    Args:
        structures: structures, or the dictionaries of such, as tables on disk have them, which is faster.
        cutoff: Å.
        names: what to call each structure in an error; its formula where there are none.

    Raises:
        InputError: the occupancies of a site do not add up to 1, an atom has no neighbour within the cutoff, or a
            dictionary is not that of a structure.
    """
    mixtures: Mixtures = {}
    return all_bonds(crystals_in_parts(structures, names, mixtures), mixtures, cutoff, names)


@dataclass(frozen=True)
class Crystals:
    """What structures are made of, in flat arrays."""

    atomic_numbers: np.ndarray  # (atoms,)
    positions: np.ndarray  # fractions of the lattice vectors, (atoms, 3)
    lattices: np.ndarray  # Å, vectors as rows, (crystals, 3, 3)
    periodic: np.ndarray  # along each lattice vector, (crystals, 3)
    offsets: np.ndarray  # of atoms, (crystals + 1,)
    before: int  # crystals in the parts before this one


def crystals_in_parts(
    structures: Sequence[Crystal], names: Sequence[str] | None, mixtures: Mixtures
) -> Iterator[Crystals]:
    """What structures are made of, so many at a time; of none, one empty part. New mixtures join `mixtures`."""
    for start in range(0, max(len(structures), 1), CRYSTALS_A_PART):
        yield _crystals(structures[start : start + CRYSTALS_A_PART], start, names, mixtures)


def _crystals(structures: Sequence[Crystal], before: int, names: Sequence[str] | None, mixtures: Mixtures) -> Crystals:
    lattices, periodic, numbers, positions = np.zeros((len(structures), 3, 3)), [], [], []
    for row, structure in enumerate(structures):
        try:
            if isinstance(structure, Mapping):
                parts = _of_record(structure, mixtures)
            else:
                parts = _of_structure(structure, mixtures)
            lattices[row], axes, elements, coordinates = parts
            positions.append(np.array(coordinates, dtype=np.float64).reshape(len(elements), 3))
            if not elements or not np.isfinite(lattices[row]).all() or not np.isfinite(positions[-1]).all():
                raise ValueError("no atoms, or a coordinate that is not a number")
        except InputError as error:
            raise InputError(f"{_name(before + row, names)}: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            name = _name(before + row, names)
            raise InputError(f"{name}: not a pymatgen Structure ({error!r}); leave it out") from None
        periodic.append(axes)
        numbers.append(np.array(elements, dtype=np.int32))
    return Crystals(
        np.concatenate([np.zeros(0, np.int32), *numbers]),
        np.concatenate([np.zeros((0, 3)), *positions]),
        lattices,
        np.array(periodic, dtype=bool).reshape(-1, 3),
        offsets_of([len(elements) for elements in numbers]),
        before,
    )


def _of_record(record: Mapping[str, Any], mixtures: Mixtures) -> tuple[Any, Any, list[int], Any]:
    """Lattice vectors, axes that repeat, atomic numbers and fractional coordinates of a structure's dictionary."""
    lattice, sites = record["lattice"], record["sites"]
    species = [site["species"] for site in sites]
    try:
        numbers = [_NUMBERS[one["element"]] for (one,) in species if one["occu"] == 1]
    except ValueError:  # several elements
        numbers = []
    if len(numbers) < len(sites):
        numbers = [_number([(_NUMBERS[one["element"]], one["occu"]) for one in site], mixtures) for site in species]
    return lattice["matrix"], lattice.get("pbc", (True, True, True)), numbers, [site["abc"] for site in sites]


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
        raise InputError(
            f"the occupancies of a site ({what}) do not add up to 1, and the model knows no vacancies; "
            "give a structure without them"
        )
    mixture = tuple((number, round(parts[number] / total, 9)) for number in sorted(parts) if parts[number] > 0)
    return mixture[0][0] if len(mixture) == 1 else mixtures.setdefault(mixture, FIRST_MIXTURE + len(mixtures))


def all_bonds(parts: Iterable[Crystals], mixtures: Mixtures, cutoff: float, names: Sequence[str] | None) -> Graphs:
    """The graphs of all parts; threads find the bonds of some while others are still taken to pieces."""
    with ThreadPoolExecutor(THREADS) as pool:
        built = list(pool.map(lambda part: _bonds(part, float(cutoff), names), parts))

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(graphs, name) for graphs in built])

    atoms, bonds = offsets_of(joined("atom_counts")), offsets_of(joined("bond_counts"))
    numbers, distances, first, second = map(joined, ("atomic_numbers", "distances", "first", "second"))
    return whole(float(cutoff), numbers, distances, first, second, atoms, bonds, mixture_table(mixtures))


def mixture_table(mixtures: Mixtures) -> np.ndarray:
    """The part that each element has in each mixture, shape (mixtures, FIRST_MIXTURE)."""
    table = np.zeros((len(mixtures), FIRST_MIXTURE), np.float32)
    for row, mixture in enumerate(mixtures):
        for number, part in mixture:
            table[row, number] = part
    return table


def _bonds(crystals: Crystals, cutoff: float, names: Sequence[str] | None) -> Graphs:
    from bandgaps.structure.kernels import search

    atoms = crystals.offsets
    index = np.int16 if np.diff(atoms).max(initial=0) < np.iinfo(np.int16).max else np.int32
    crystal = _triangles(crystals, names), crystals.periodic, crystals.positions, atoms
    counts, distances, first, second = search(*crystal, cutoff, SAME_POSITION, np.zeros(0, index))
    lonely = np.flatnonzero(counts == 0)
    if lonely.size:
        row = int(np.searchsorted(atoms, lonely[0], side="right")) - 1
        numbers = crystals.atomic_numbers[atoms[row] : atoms[row + 1]]
        atom = int(lonely[0] - atoms[row])
        raise InputError(
            f"{_name(crystals.before + row, names, numbers)}: atom {atom} ({_symbol(numbers[atom])}) has no "
            f"neighbour within {cutoff:g} Å; leave this structure out or use a larger cutoff"
        )
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


def _triangles(crystals: Crystals, names: Sequence[str] | None) -> np.ndarray:
    """Lattice vectors as columns, turned so that they are upper triangles with a positive diagonal, Å."""
    _, triangles = np.linalg.qr(np.swapaxes(crystals.lattices, 1, 2))
    heights = np.diagonal(triangles, axis1=1, axis2=2)
    flat = np.flatnonzero(~(np.abs(heights) > FLAT).all(axis=1))
    if flat.size:
        raise InputError(
            f"{_name(crystals.before + flat[0], names)}: a lattice without volume; leave this structure out"
        )
    return np.ascontiguousarray(triangles * np.sign(heights)[:, :, None])


def _name(row: int, names: Sequence[str] | None, atomic_numbers: np.ndarray | None = None) -> str:
    """What to call a structure in an error."""
    if names is not None:
        return names[row]
    if atomic_numbers is None:
        return f"structure {row}"
    counts = Counter(map(_symbol, atomic_numbers))
    return f"structure {row} ({' '.join(f'{symbol}{count}' for symbol, count in counts.items())})"


def _symbol(number: int) -> str:
    return SYMBOLS[number - 1] if number < FIRST_MIXTURE else "mixture"
