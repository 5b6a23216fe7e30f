"""Compute PBE and GLLB-SC band gaps of the Si-Ge orderings of `structures.json` with GPAW, on one CPU core.

    apt install gpaw gpaw-data
    /usr/bin/python3 data/orderings/compute.py --hours 1

Adds one line an ordering to `SiGe.csv` and skips the orderings that it holds, so that it can be stopped and started
again at any time. Atoms stay on the sites of the diamond crystal at the alloy's lattice constant.

The method is that of `data/sample/compute.py`, made cheaper; README.md says where the two differ and by how much.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[0] = str(HERE.parent / "sample")  # in place of this folder: `compute` is the sample's

from compute import calculator, edge_bands, mesh  # noqa: E402, I001

import numpy as np  # noqa: E402
from ase import Atoms  # noqa: E402
from gpaw import GPAW, KohnShamConvergenceError  # noqa: E402

CUTOFF = 250.0  # plane-wave cutoff, eV; 400 eV changes the gaps of Si, SiGe and Ge by at most 4 meV
MESH = 20.0  # k-point divisions times the length of the cell vector, Å
WIDTH = 0.01  # Fermi-Dirac smearing, eV
CONVERGENCE = {"density": 1e-3, "eigenstates": 1e-5}
# operations beside time reversal would force much larger grids on cells of unequal sides
SYMMETRY = {"point_group": False}
COLUMNS = (
    "id x_Ge n_atoms multiplicity lattice_constant band_gap_pbe band_gap_gllbsc discontinuity_gllbsc seconds".split()
)

Row = dict[str, Any]
Array = np.ndarray


def atoms_of(row: Row) -> Atoms:
    """The crystal, its lengths given in quarters of the cubic lattice constant (Å)."""
    quarter = row["lattice_constant"] / 4
    positions, cell = (np.array(row[name]) * quarter for name in ("positions", "cell"))
    return Atoms(row["symbols"], positions=positions, cell=cell, pbc=True)


def valleys(atoms: Atoms, a: float) -> Array:
    """The points at which the diamond crystal's conduction band has its minima, fractional in the crystal's own cell.

    Those are Gamma, four L points, and on each axis X and points of which one is near the minimum at 0.85 X of Si.
    """
    axes = [share * axis for axis in np.eye(3) for share in (0.8, 0.85, 0.9, 1.0)]
    corners = np.array([(1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1)]) / 2
    points = np.array([np.zeros(3), *axes, *corners]) / a @ atoms.cell.array.T
    return np.unique((points - np.floor(points + 0.5 - 1e-9)).round(9), axis=0)  # some fold onto one another


def band_edges(atoms: Atoms, a: float, xc: str) -> tuple[GPAW, GPAW, float, float]:
    """Self-consistency on the mesh, then the bands at the valleys in its density.

    Returns:
        Both calculators, and the highest filled and lowest empty energy (eV) of all their points.
    """
    options = {"convergence": CONVERGENCE, "symmetry": SYMMETRY}
    atoms.calc = calc = calculator(xc, mesh(atoms, MESH), WIDTH, CUTOFF, **options)
    atoms.get_potential_energy()
    filled = round(calc.get_number_of_electrons()) // 2
    convergence = {"bands": filled + 1, "eigenstates": 1e-5}
    bands = calc.fixed_density(kpts=valleys(atoms, a), convergence=convergence, txt=None)
    (valence, conduction), (other_valence, other_conduction) = edge_bands(calc, filled), edge_bands(bands, filled)
    top, bottom = max(valence.max(), other_valence.max()), min(conduction.min(), other_conduction.min())
    return calc, bands, float(top), float(bottom)


def pbe_gap(row: Row) -> float:
    """PBE gap (eV); 0 if the bands touch."""
    _, _, top, bottom = band_edges(atoms_of(row), row["lattice_constant"], "PBE")
    return max(bottom - top, 0.0)


def gllbsc_gap(row: Row) -> tuple[float, float]:
    """GLLB-SC gap and its derivative discontinuity (eV); both 0 if the bands touch."""
    calc, bands, top, bottom = band_edges(atoms_of(row), row["lattice_constant"], "GLLBSC")
    if bottom <= top:
        return 0.0, 0.0
    potential = calc.hamiltonian.xc.response.calculate_discontinuity_potential(top, bottom)
    _, discontinuity = bands.hamiltonian.xc.response.calculate_discontinuity(potential)
    return bottom - top + discontinuity, discontinuity


def computed(row: Row) -> Row:
    """The ordering's line of the table."""
    began = time.process_time()
    pbe = pbe_gap(row)
    gllbsc, discontinuity = gllbsc_gap(row)
    gaps = {"band_gap_pbe": pbe, "band_gap_gllbsc": gllbsc, "discontinuity_gllbsc": discontinuity}
    rounded = {name: round(float(value), 4) for name, value in gaps.items()}
    known = {name: row[name] for name in COLUMNS if name in row}
    return known | rounded | {"seconds": round(time.process_time() - began, 1)}


def run(out: Path, hours: float) -> None:
    """Compute the orderings that `out` lacks, starting none after `hours`."""
    end = time.time() + 3600 * hours
    with out.open("a+", newline="") as file:
        file.seek(0)
        done = {row["id"] for row in csv.DictReader(file)}
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not file.tell():
            writer.writeheader()
        for row in json.loads((HERE / "structures.json").read_text()):
            if row["id"] in done or time.time() > end:
                continue
            try:
                line = computed(row)
            except KohnShamConvergenceError as error:
                print(f"{row['id']}: {error}", file=sys.stderr)
                continue
            writer.writerow(line)
            file.flush()
            print(*line.values(), flush=True)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(
        description="Compute PBE and GLLB-SC gaps of Si-Ge orderings with GPAW.",
        epilog="Needs gpaw and gpaw-data (apt install gpaw gpaw-data) and the Python they were installed for.",
    )
    parser.add_argument("--out", type=Path, default=HERE / "SiGe.csv", help="table to add to (default: SiGe.csv here)")
    parser.add_argument("--hours", type=float, default=1e6, help="start no crystal after so many hours (default: all)")
    args = parser.parse_args()
    run(args.out, args.hours)


if __name__ == "__main__":
    main()
