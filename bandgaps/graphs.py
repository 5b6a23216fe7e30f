"""Structures as crystal graphs: every atom a node, every pair of atoms within a cutoff a bond.

All crystals lie one behind the other in flat arrays, so that any selection of them is cut out by indexing alone. A site
that several elements share is one node, of a mixture, which counts as a further element (Chen et al., Nat. Comput. Sci.
1, 46).
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bandgaps.errors import InputError
from bandgaps.files import replacing
from bandgaps.magpie import SYMBOLS

if TYPE_CHECKING:
    from pymatgen.core import Structure

    Crystal = Structure | Mapping[str, Any]  # a structure, or the dictionary of one as tables on disk have it

SAME_POSITION = 1e-8  # Å; an atom is no neighbour of itself, but its periodic images are
SAME_DISTANCE = 2e-5  # Å; bonds whose lengths differ by less are alike, for relaxed positions have that much noise
FLAT = 1e-6  # Å; no lattice is that thin
FULL = 2e-3  # occupancies that add up to 1 within this do so but for rounding, as in 0.333 + 0.666
FIRST_MIXTURE = len(SYMBOLS) + 1  # mixtures of elements are numbered on from the elements
CRYSTALS_A_PART = 500  # of a thread's work
BONDS_A_PART = 200_000
THREADS = os.cpu_count() or 1

_NUMBERS = {**{symbol: number for number, symbol in enumerate(SYMBOLS, start=1)}, "D": 1, "T": 1}
_STORED = ("cutoff", "atomic_numbers", "distances", "first", "second", "atom_offsets", "bond_offsets", "mixtures")

_Occupancies = tuple[tuple[int, float], ...]  # of one site: atomic number, part of it
_Mixtures = dict[_Occupancies, int]  # the number of each mixture met so far


@dataclass(frozen=True)
class Graphs:
    """Crystal graphs, one behind the other; bonds are directed, so each pair of atoms has two.

    Attributes:
        cutoff: Å; atoms closer than this share a bond.
        atomic_numbers: shape (atoms,); `FIRST_MIXTURE` + k for a site that elements share in the proportions
            `mixtures[k]`.
        distances: length of each bond, Å, shape (bonds,).
        first: the atom at which a bond starts, counted within its crystal and ascending there, shape (bonds,).
        second: the atom at which it ends, counted within its crystal, shape (bonds,).
        atom_offsets: the atoms of crystal k are `atom_offsets[k]` to `atom_offsets[k + 1]`, shape (crystals + 1,).
        bond_offsets: the same for bonds, shape (crystals + 1,).
        atom_copies: how many atoms of its crystal each atom stands for, shape (atoms,); 1 unless graphs are `merged`.
        bond_copies: how many bonds of its first atom each bond stands for, shape (bonds,); 1 unless `merged`.
        mixtures: the part that each element (column: atomic number) has in each mixture, shape (mixtures,
            FIRST_MIXTURE); rows add up to 1.
    """

    cutoff: float
    atomic_numbers: np.ndarray
    distances: np.ndarray
    first: np.ndarray
    second: np.ndarray
    atom_offsets: np.ndarray
    bond_offsets: np.ndarray
    atom_copies: np.ndarray
    bond_copies: np.ndarray
    mixtures: np.ndarray

    def __len__(self) -> int:
        return len(self.atom_offsets) - 1

    @property
    def atom_counts(self) -> np.ndarray:
        """Number of atoms of each crystal, shape (crystals,)."""
        return np.diff(self.atom_offsets)

    @property
    def bond_counts(self) -> np.ndarray:
        """Number of bonds of each crystal, shape (crystals,)."""
        return np.diff(self.bond_offsets)

    def select(self, rows: np.ndarray) -> Graphs:
        """The crystals `rows` (indices or a mask), in that order."""
        rows = np.arange(len(self))[rows]
        atoms = _ranges(self.atom_offsets[rows], self.atom_counts[rows])
        bonds = _ranges(self.bond_offsets[rows], self.bond_counts[rows])
        return self._part(atoms, bonds, _offsets(self.atom_counts[rows]), _offsets(self.bond_counts[rows]))

    def between(self, start: int, stop: int) -> Graphs:
        """The crystals `start` to `stop` (not included), without copying bonds."""
        atoms = slice(self.atom_offsets[start], self.atom_offsets[stop])
        bonds = slice(self.bond_offsets[start], self.bond_offsets[stop])
        atom_offsets, bond_offsets = (offsets[start : stop + 1] for offsets in (self.atom_offsets, self.bond_offsets))
        return self._part(atoms, bonds, atom_offsets - atom_offsets[0], bond_offsets - bond_offsets[0])

    def _part(
        self, atoms: np.ndarray | slice, bonds: np.ndarray | slice, atom_offsets: np.ndarray, bond_offsets: np.ndarray
    ) -> Graphs:
        """Crystals made of these atoms and bonds."""
        return Graphs(
            self.cutoff,
            self.atomic_numbers[atoms],
            self.distances[bonds],
            self.first[bonds],
            self.second[bonds],
            atom_offsets,
            bond_offsets,
            self.atom_copies[atoms],
            self.bond_copies[bonds],
            self.mixtures,
        )

    def scaled(self, factors: np.ndarray) -> Graphs:
        """The same bonds, the lengths in each crystal multiplied by its factor, shape (crystals,)."""
        return replace(self, distances=self.distances * np.repeat(factors, self.bond_counts).astype(np.float32))

    def batches(self, bonds: int) -> Iterator[Graphs]:
        """All crystals in order, in batches of at most `bonds` bonds (or of one crystal that has more)."""
        start = 0
        while start < len(self):
            within = int(np.searchsorted(self.bond_offsets, self.bond_offsets[start] + bonds, side="right")) - 1
            stop = max(within, start + 1)
            yield self.between(start, stop)
            start = stop


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
    mixtures: _Mixtures = {}
    return _all_bonds(_parts(structures, names, mixtures), mixtures, cutoff, names)


def cached(
    structures: Sequence[Crystal],
    cutoff: float,
    folder: Path | str,
    names: Sequence[str] | None = None,
) -> Graphs:
    """The same as `build`, kept in `folder` under a key made of the structures and the cutoff.

    A cache that is damaged is built again; one that cannot be written is done without.
    """
    mixtures: _Mixtures = {}
    parts = list(_parts(structures, names, mixtures))
    path = Path(folder) / f"graphs-{_key(parts, mixtures, cutoff)}.npz"
    with suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return _read(path)
    graphs = _all_bonds(parts, mixtures, cutoff, names)
    with suppress(OSError), replacing(path) as temporary:
        np.savez(temporary, **{name: getattr(graphs, name) for name in _STORED})
    return graphs


def merged(graphs: Graphs) -> Graphs:
    """The same crystals with one atom in place of all that no graph network can tell apart, and likewise for bonds.

    Atoms of an element whose bonds are alike, in length and in the atoms they lead to, have the same vectors in every
    layer of a network that starts from elements and distances, and so have their bonds. One of each is kept, with the
    number it stands for. The classes are those of colour refinement (the coarsest equitable partition; Berkholz et al.,
    Theory Comput. Syst. 60, 581), within `SAME_DISTANCE`; a bond gets the mean length of its like.
    """
    from bandgaps.kernels import merge

    def run(start: int, stop: int) -> tuple[np.ndarray, ...]:
        part = graphs.between(start, stop)
        copies = [
            np.ascontiguousarray(array) for array in (part.atom_copies, part.bond_copies)
        ]  # compiled for one kind
        atoms = part.atomic_numbers, copies[0], part.atom_offsets
        return merge(*atoms, part.distances, part.first, part.second, copies[1], part.bond_offsets, SAME_DISTANCE)

    bounds = np.searchsorted(graphs.bond_offsets, np.arange(0, graphs.bond_offsets[-1], BONDS_A_PART)).tolist()
    bounds = sorted({0, *bounds, len(graphs)}) if len(graphs) else [0, 0]
    with ThreadPoolExecutor(THREADS) as pool:
        columns = zip(*pool.map(run, bounds[:-1], bounds[1:]), strict=True)
    atoms, atom_copies, atom_counts, distances, first, second, bond_copies, bond_counts = map(np.concatenate, columns)
    offsets = _offsets(atom_counts), _offsets(bond_counts)
    return Graphs(graphs.cutoff, atoms, distances, first, second, *offsets, atom_copies, bond_copies, graphs.mixtures)


@dataclass(frozen=True)
class _Crystals:
    """What structures are made of, in flat arrays."""

    atomic_numbers: np.ndarray  # (atoms,)
    positions: np.ndarray  # fractions of the lattice vectors, (atoms, 3)
    lattices: np.ndarray  # Å, vectors as rows, (crystals, 3, 3)
    periodic: np.ndarray  # along each lattice vector, (crystals, 3)
    offsets: np.ndarray  # of atoms, (crystals + 1,)
    before: int  # crystals in the parts before this one


def _parts(structures: Sequence[Crystal], names: Sequence[str] | None, mixtures: _Mixtures) -> Iterator[_Crystals]:
    """What structures are made of, so many at a time; of none, one empty part. New mixtures join `mixtures`."""
    for start in range(0, max(len(structures), 1), CRYSTALS_A_PART):
        yield _crystals(structures[start : start + CRYSTALS_A_PART], start, names, mixtures)


def _crystals(
    structures: Sequence[Crystal], before: int, names: Sequence[str] | None, mixtures: _Mixtures
) -> _Crystals:
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
    return _Crystals(
        np.concatenate([np.zeros(0, np.int32), *numbers]),
        np.concatenate([np.zeros((0, 3)), *positions]),
        lattices,
        np.array(periodic, dtype=bool).reshape(-1, 3),
        _offsets([len(elements) for elements in numbers]),
        before,
    )


def _of_record(record: Mapping[str, Any], mixtures: _Mixtures) -> tuple[Any, Any, list[int], Any]:
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


def _of_structure(structure: Structure, mixtures: _Mixtures) -> tuple[Any, Any, list[int], Any]:
    """The same of a structure."""
    if structure.is_ordered:
        numbers = list(structure.atomic_numbers)
    else:
        numbers = [_number([(s.Z, part) for s, part in site.species.items()], mixtures) for site in structure]
    return structure.lattice.matrix, structure.pbc, numbers, structure.frac_coords


def _number(species: Iterable[tuple[int, float]], mixtures: _Mixtures) -> int:
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


def _all_bonds(parts: Iterable[_Crystals], mixtures: _Mixtures, cutoff: float, names: Sequence[str] | None) -> Graphs:
    """The graphs of all parts; threads find the bonds of some while others are still taken to pieces."""
    with ThreadPoolExecutor(THREADS) as pool:
        built = list(pool.map(lambda part: _bonds(part, float(cutoff), names), parts))

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(graphs, name) for graphs in built])

    atoms, bonds = _offsets(joined("atom_counts")), _offsets(joined("bond_counts"))
    numbers, distances, first, second = map(joined, _STORED[1:5])
    return _whole(float(cutoff), numbers, distances, first, second, atoms, bonds, _table(mixtures))


def _table(mixtures: _Mixtures) -> np.ndarray:
    """The part that each element has in each mixture, shape (mixtures, FIRST_MIXTURE)."""
    table = np.zeros((len(mixtures), FIRST_MIXTURE), np.float32)
    for row, mixture in enumerate(mixtures):
        for number, part in mixture:
            table[row, number] = part
    return table


def _bonds(crystals: _Crystals, cutoff: float, names: Sequence[str] | None) -> Graphs:
    from bandgaps.kernels import search

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
    return _whole(cutoff, crystals.atomic_numbers, distances, first, second, atoms, _offsets(counts)[atoms], _table({}))


def _whole(
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


def _triangles(crystals: _Crystals, names: Sequence[str] | None) -> np.ndarray:
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


def _offsets(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The integers starts[k] … starts[k] + lengths[k] - 1 for each k, concatenated."""
    before = _offsets(lengths)
    return np.repeat(starts - before[:-1], lengths) + np.arange(before[-1])


def _key(parts: list[_Crystals], mixtures: _Mixtures, cutoff: float) -> str:
    digest = hashlib.sha256(np.float64(cutoff).tobytes())
    digest.update(_table(mixtures).tobytes())
    for part in parts:
        for array in (part.atomic_numbers, part.positions, part.lattices, part.periodic, part.offsets):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def _read(path: Path) -> Graphs:
    with np.load(path, allow_pickle=False) as content:
        return _whole(float(content["cutoff"]), *(content[name] for name in _STORED[1:]))
