"""Compute the PBE and GLLB-SC band gaps of the sample's crystals with GPAW, in plane waves, on CPU cores.

    apt install gpaw gpaw-data
    /usr/bin/python3 compute.py --out crystals.jsonl --workers 2 --hours 2

Adds one JSON object a crystal to the output file and skips the crystals that it holds, so that it can be stopped and
started again at any time. Each crystal of `prototypes.py` gets the lattice constant of least PBE energy, then its gap
there, from the k-point mesh and from a path through the Brillouin zone. Spins are paired; there is no spin-orbit
coupling.

PBE: Perdew, Burke and Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996).
GLLB-SC: Kuisma, Ojanen, Enkovaara and Rantala, Phys. Rev. B 82, 115106 (2010).
GPAW: Enkovaara et al., J. Phys.: Condens. Matter 22, 253202 (2010).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

# a crystal of a few atoms runs faster on one thread; set before NumPy starts any
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii
from gpaw import GPAW, PW, FermiDirac, Mixer
from numpy.typing import NDArray
from prototypes import CHALCOGENS, HALIDES, PNICTOGENS, PROTOTYPES, Crystal, crystals

VERSION = 3  # written to each row; the README says what the earlier versions did otherwise
CUTOFF = 400.0  # plane-wave cutoff, eV
# the lattice constants of compounds of these come out up to 0.8 % too long at 400 eV, and within 0.1 % at 500 eV
HARD, HARD_CUTOFF = frozenset("NOF"), 500.0
SEARCH_MESH, GAP_MESH = 20.0, 32.0  # k-point divisions times the length of the cell vector, Å
SEARCH_STEP = 0.03  # between the lattice constants that are tried, relative
PATH_POINTS = 30
METAL_OVERLAP = 0.35  # eV; bands that overlap by more on the mesh need no path to be called a metal's
CPU_LIMIT = 120.0  # processor seconds for one crystal; the few that need more hardly ever converge

Row = dict[str, Any]
Array = NDArray[np.float64]


class OutOfTimeError(Exception):
    """A crystal used up its processor time."""


def atoms_of(crystal: Crystal, a: float) -> Atoms:
    """The primitive cell at lattice constant `a` (Å)."""
    prototype = PROTOTYPES[crystal.prototype]
    return Atoms(
        prototype.species(list(crystal.elements)),
        scaled_positions=prototype.positions(),
        cell=prototype.lattice(a),
        pbc=True,
    )


def mesh(atoms: Atoms, length: float) -> dict[str, Any]:
    """Gamma-centred Monkhorst-Pack mesh with about `length` (Å) over |a_i| divisions along each axis."""
    return {"size": [max(2, round(length / np.linalg.norm(vector))) for vector in atoms.cell], "gamma": True}


def calculator(xc: str, kpts: dict[str, Any], width: float, cutoff: float = CUTOFF, **options: Any) -> GPAW:
    """A GPAW calculator; `width` is the Fermi-Dirac smearing and `cutoff` that of the plane waves, both in eV.

    GPAW's default mixing (0.05) is meant for large cells: 0.5 converges these in half as many iterations. Four bands
    beyond the filled ones are enough for the smearing and the gap.
    """
    fixed = {
        "nbands": -4,
        "mixer": Mixer(0.5, 5, 50.0),
        "maxiter": 100,
        "txt": None,
    }  # four bands beyond the filled ones
    return GPAW(mode=PW(cutoff), xc=xc, kpts=kpts, occupations=FermiDirac(width), **fixed, **options)


# Lattice constants


NON_METALS = {*HALIDES, *CHALCOGENS, *PNICTOGENS, "C", "H"}


def rough_lattice_constant(crystal: Crystal) -> float:
    """Lattice constant (Å) at which the nearest neighbours' covalent radii touch; of metals, from atomic volumes."""
    prototype = PROTOTYPES[crystal.prototype]
    if not NON_METALS & set(crystal.elements):
        try:
            volume = sum(atomic_volume(element) for element in prototype.species(list(crystal.elements)))
        except (ValueError, RuntimeError):  # ase does not know the structure of every element
            pass
        else:
            return float((volume / abs(np.linalg.det(prototype.lattice(1.0)))) ** (1 / 3))
    radii = [float(covalent_radii[atomic_numbers[element]]) for element in crystal.elements]
    if crystal.prototype == "half-Heusler":
        bond = radii[1] + max(radii[0], radii[2])
    elif crystal.prototype == "perovskite":
        bond = radii[1] + radii[2]
    else:
        bond = radii[0] + radii[-1]
    return prototype.bond * bond


@cache
def atomic_volume(element: str) -> float:
    """Volume (Å^3) of an atom in the element's own crystal."""
    atoms = bulk(element)
    return float(atoms.get_volume()) / len(atoms)


def features(crystal: Crystal) -> Iterator[tuple[str, float]]:
    """What else the lattice constant may depend on, each with the spread (relative) it may explain."""
    partner = "non-metal" if NON_METALS & set(crystal.elements) else "metal"
    yield crystal.prototype, 0.2
    for place, element in enumerate(crystal.elements):
        yield f"{element} {partner}", 0.1
        yield f"{element} {place}", 0.06
        yield f"{element} {place} {crystal.prototype}", 0.04
    yield "-".join(sorted(crystal.elements)), 0.06


def expected_lattice_constants(known: list[tuple[Crystal, float]], wanted: list[Crystal]) -> list[float]:
    """Lattice constants (Å) of the wanted crystals, from those of the known ones.

    Ridge regression of ln(a / rough a) on `features`: good to some 2 %, so that three energies mostly do.
    """
    if not known:
        return [rough_lattice_constant(crystal) for crystal in wanted]
    columns: dict[str, int] = {}

    def matrix(rows: list[Crystal], width: int) -> Array:
        filled = np.zeros((len(rows), width))
        for filled_row, crystal in zip(filled, rows, strict=True):
            for name, spread in features(crystal):
                filled_row[columns[name]] = spread
        return filled

    for crystal in [*(crystal for crystal, _ in known), *wanted]:
        for name, _ in features(crystal):
            columns.setdefault(name, len(columns))
    x = matrix([crystal for crystal, _ in known], len(columns))
    y = np.array([np.log(a / rough_lattice_constant(crystal)) for crystal, a in known])
    noise = 0.01
    dual = np.linalg.solve(x @ x.T + noise**2 * np.eye(len(x)), y)
    correction = matrix(wanted, len(columns)) @ (x.T @ dual)
    return [rough_lattice_constant(crystal) * float(np.exp(c)) for crystal, c in zip(wanted, correction, strict=True)]


def cell_energy(crystal: Crystal, a: float, kpts: dict[str, Any]) -> float:
    """PBE energy of the cell (eV) at lattice constant `a` (Å)."""
    atoms = atoms_of(crystal, a)
    convergence = {"energy": 2e-4, "density": 1e-3, "eigenstates": 1e-6}
    cutoff = HARD_CUTOFF if HARD & set(crystal.elements) else CUTOFF
    atoms.calc = calculator("PBE", kpts, width=0.05, cutoff=cutoff, convergence=convergence)
    return float(atoms.get_potential_energy())


def vertex(lattice: Array, energies: Array) -> float:
    """Lattice constant (Å) of least energy (eV) through three points, by a parabola in a^-2; infinite if it has none.

    The parabola is the Birch-Murnaghan equation of state of second order.
    """
    square, slope, _ = np.polyfit(lattice**-2.0, energies, 2)
    inverse = -slope / (2 * square)
    return float(inverse**-0.5) if square > 0 and inverse > 0 else np.inf


def equilibrium(crystal: Crystal, start: float) -> float:
    """Lattice constant (Å) of least PBE energy: the vertex through three points, once it lies between them.

    One k-point mesh serves every volume, so that the curve is smooth.
    """
    kpts = mesh(atoms_of(crystal, start), SEARCH_MESH)
    step = 1 + SEARCH_STEP
    tried = {a: cell_energy(crystal, a, kpts) for a in (start / step, start, start * step)}
    for _ in range(8):
        order = sorted(tried)
        lowest = min(order, key=lambda a: tried[a])
        middle = min(max(order.index(lowest), 1), len(order) - 2)
        nearest = np.array(order[middle - 1 : middle + 2])
        best = vertex(nearest, np.array([tried[a] for a in nearest]))
        if nearest[0] < best < nearest[-1]:
            return best
        outward = nearest[-1] * step**2 if lowest == order[-1] else nearest[0] / step**2
        inside = nearest[0] / step**2 < best < nearest[-1] * step**2
        following = best if inside else outward
        tried[following] = cell_energy(crystal, following, kpts)
    raise RuntimeError("no energy minimum found")


# Gaps


def edge_bands(calc: GPAW, filled: int) -> tuple[Array, Array]:
    """Energies (eV) of the highest filled and the lowest empty band at each of the calculator's k-points."""
    eigenvalues = np.array([calc.get_eigenvalues(kpt=k) for k in range(len(calc.get_ibz_k_points()))])
    return eigenvalues[:, filled - 1], eigenvalues[:, filled]


def at_nearest_mesh_point(calc: GPAW, kpts: Array, values: Array) -> Array:
    """For each of `kpts` (fractional), the value at the nearest point of the mesh; `values` belong to its ibz part."""
    difference = kpts[:, None] - calc.get_bz_k_points()[None]
    difference -= np.round(difference)
    distance = np.linalg.norm(difference @ calc.atoms.cell.reciprocal(), axis=-1)
    return values[calc.get_bz_to_ibz_map()[distance.argmin(axis=1)]]


def near_the_gap(valence: Array, conduction: Array) -> NDArray[np.bool_]:
    """The k-points that can decide the gap: where a band is closer to it (eV) than a third of its width."""
    below_top = valence.max() - valence
    above_bottom = conduction - conduction.min()
    return (below_top <= np.ptp(valence) / 3 + 0.05) | (above_bottom <= np.ptp(conduction) / 3 + 0.05)


def along_path(calc: GPAW, filled: int, valence: Array, conduction: Array) -> tuple[Array, Array]:
    """`edge_bands` in the converged density at those points of a path through the Brillouin zone that matter.

    Those are the ones near which the mesh's bands, `valence` and `conduction` (eV), come close to the gap. Eight bands
    beyond the filled ones: the one that is needed converges slowly when others above it are missing.
    """
    path = calc.atoms.cell.bandpath(npoints=PATH_POINTS).kpts
    near = (at_nearest_mesh_point(calc, path, band) for band in (valence, conduction))
    path = path[near_the_gap(*near)]
    convergence = {"bands": filled + 1, "eigenstates": 1e-6}
    bands = calc.fixed_density(kpts=path, symmetry="off", nbands=filled + 8, convergence=convergence, txt=None)
    return edge_bands(bands, filled)


def converged(crystal: Crystal, a: float, xc: str, width: float) -> GPAW:
    """The calculator after self-consistency on the mesh for gaps, at lattice constant `a` (Å)."""
    atoms = atoms_of(crystal, a)
    atoms.calc = calculator(xc, mesh(atoms, GAP_MESH), width, convergence={"eigenstates": 1e-6})
    atoms.get_potential_energy()
    return atoms.calc


def pbe_gap(crystal: Crystal, a: float) -> Row:
    """PBE energy per atom (eV) and gap (eV) at lattice constant `a` (Å)."""
    calc = converged(crystal, a, "PBE", width=0.02)
    energy = float(calc.get_potential_energy()) / len(calc.atoms)
    row: Row = {"energy_per_atom": round(energy, 5), "band_gap": 0.0, "is_gap_direct": None}
    electrons = round(calc.get_number_of_electrons())
    if electrons % 2:
        return row
    filled = electrons // 2
    valence, conduction = edge_bands(calc, filled)
    if valence.max() - conduction.min() > METAL_OVERLAP:
        return row
    path_valence, path_conduction = along_path(calc, filled, valence, conduction)
    gap = float(min(conduction.min(), path_conduction.min()) - max(valence.max(), path_valence.max()))
    if gap > 0:
        row["band_gap"] = round(gap, 4)
        row["is_gap_direct"] = bool(path_valence.argmax() == path_conduction.argmin())
    return row


def gllbsc_gap(crystal: Crystal, a: float) -> float:
    """GLLB-SC gap (eV) at lattice constant `a` (Å), with the derivative discontinuity; 0 if the bands touch."""
    calc = converged(crystal, a, "GLLBSC", width=0.01)
    filled = round(calc.get_number_of_electrons()) // 2
    valence, conduction = edge_bands(calc, filled)
    if conduction.min() <= valence.max():
        return 0.0
    response = calc.hamiltonian.xc.response
    potential = response.calculate_discontinuity_potential(*calc.get_homo_lumo())
    _, discontinuity = response.calculate_discontinuity(potential)
    path_valence, path_conduction = along_path(calc, filled, valence, conduction)
    gap = min(conduction.min(), path_conduction.min()) - max(valence.max(), path_valence.max())
    return round(float(gap + discontinuity), 4) if gap > 0 else 0.0


# Running


def on_time_out(_signal: int, _frame: object) -> None:
    """Leave a crystal that takes too long."""
    raise OutOfTimeError(f"more than {CPU_LIMIT:.0f} s of processor time")


@contextmanager
def limited(row: Row) -> Iterator[None]:
    """Note in the row how long the block took (processor seconds) and the error that ended it, if any."""
    began = time.process_time()
    signal.signal(signal.SIGPROF, on_time_out)
    signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT)
    try:
        yield
    except Exception as error:  # whatever it was, the remaining crystals are worth computing
        row["error"] = repr(error)[:300]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    row["seconds"] = round(time.process_time() - began, 1)


def compute_pbe(crystal: Crystal, start: float) -> Row:
    """A row of the output: lattice constant, found from `start` (Å), energy and PBE gap, or an error."""
    row: Row = {
        "id": crystal.id,
        "prototype": crystal.prototype,
        "elements": list(crystal.elements),
        "version": VERSION,
    }
    with limited(row):
        a = equilibrium(crystal, start)
        row.update(a=round(a, 5), **pbe_gap(crystal, a))
    return row


def compute_gllbsc(crystal: Crystal, row: Row) -> Row:
    """The row again with its GLLB-SC gap, or with the error under a name of its own: the PBE gap stays good."""
    outcome: Row = {}
    with limited(outcome):
        outcome["band_gap_gllbsc"] = gllbsc_gap(crystal, row["a"])
    if "error" in outcome:
        outcome["gllbsc_error"] = outcome.pop("error")
    return row | outcome


# hexagonal cells have fewer symmetries; d and semicore electrons need more bands and more iterations
EXTRA_COST = {"hcp": 3.0, "wurtzite": 3.0}
MANY_ELECTRONS = frozenset("K Rb Cs Sc Ti V Cu Zn Y Zr Nb Mo Ru Rh Pd Ag Cd Hf Ta W Re Os Ir Pt Hg".split())


def queue(waiting: list[Crystal], known: list[tuple[Crystal, float]]) -> list[Crystal]:
    """Cells of few atoms and little space first, since they are cheap.

    Likely insulators and likely metals come by turns, so that any early stop leaves both.
    """
    costs = {}
    for crystal, a in zip(waiting, expected_lattice_constants(known, waiting), strict=True):
        prototype = PROTOTYPES[crystal.prototype]
        volume = abs(float(np.linalg.det(prototype.lattice(a))))
        extra = EXTRA_COST.get(crystal.prototype, 1.0) * (1.6 if MANY_ELECTRONS & set(crystal.elements) else 1.0)
        costs[crystal] = extra * len(prototype.sites) * volume**0.5
    ranked: list[tuple[float, Crystal]] = []
    for ionic in (True, False):
        kind = sorted((crystal for crystal in waiting if crystal.ionic == ionic), key=lambda c: costs[c])
        ranked += [(rank * (1.0 if ionic else 2.0), crystal) for rank, crystal in enumerate(kind)]
    return [crystal for _, crystal in sorted(ranked, key=lambda pair: pair[0])]


def read_rows(path: Path) -> dict[str, Row]:
    """Rows by id of a file of one JSON object a line, the last of each id; none where there is no such file."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {row["id"]: row for row in map(json.loads, lines)}


def lacks_gllbsc(row: Row) -> bool:
    """Whether the crystal has a PBE gap whose GLLB-SC counterpart has not been tried."""
    return row.get("band_gap", 0) > 0 and "band_gap_gllbsc" not in row and "gllbsc_error" not in row


def known_lattice_constants(rows: dict[str, Row]) -> list[tuple[Crystal, float]]:
    """Crystals of the rows with their lattice constants (Å)."""
    found = (row for row in rows.values() if "a" in row)
    return [(Crystal(row["prototype"], tuple(row["elements"]), ionic=False), row["a"]) for row in found]


def jobs(rows: dict[str, Row], listed: dict[str, Crystal]) -> Iterator[tuple[Any, ...]]:
    """Function and arguments of every computation that the rows lack: PBE first, then GLLB-SC where there is a gap.

    Rows may grow while this is read: each start takes into account the lattice constants found so far.
    """
    waiting = [crystal for name, crystal in listed.items() if name not in rows]
    for crystal in queue(waiting, known_lattice_constants(rows)):
        [start] = expected_lattice_constants(known_lattice_constants(rows), [crystal])
        yield compute_pbe, crystal, start
    for name, row in list(rows.items()):
        if name in listed and lacks_gllbsc(row):
            yield compute_gllbsc, listed[name], row


def run(out: Path, workers: int, hours: float, wanted: set[str]) -> None:
    """Compute what `out` lacks of the wanted ids (all if empty), `workers` crystals at a time, for `hours`.

    New crystals start until the time is up; those that are under way are then finished.
    """
    rows = read_rows(out)
    listed = {crystal.id: crystal for crystal in crystals() if not wanted or crystal.id in wanted}
    pending = jobs(rows, listed)
    end = time.time() + 3600 * hours
    running: set[Future[Row]] = set()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        while True:
            if time.time() < end:
                running |= {pool.submit(*job) for job in islice(pending, workers - len(running))}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for row in (future.result() for future in done):
                rows[row["id"]] = row
                with out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                gaps = f"{row.get('band_gap', '-')}  {row.get('band_gap_gllbsc', '-')}"
                print(f"{row['id']:28s} {row['seconds']:6.1f} s  gap {gaps}", flush=True)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(
        description="Compute PBE and GLLB-SC gaps of simple crystals with GPAW.",
        epilog="Needs gpaw and gpaw-data (apt install gpaw gpaw-data) and the Python they were installed for.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("crystals.jsonl"), help="file to add to (default: crystals.jsonl)"
    )
    parser.add_argument("--workers", type=int, default=1, help="crystals at a time, one core each (default: 1)")
    parser.add_argument("--hours", type=float, default=1e6, help="start no crystal after so many hours (default: all)")
    parser.add_argument("--only", nargs="*", default=[], metavar="ID", help="compute just these, such as diamond-Si")
    args = parser.parse_args()
    run(args.out, args.workers, args.hours, set(args.only))


if __name__ == "__main__":
    main()
