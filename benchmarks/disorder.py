"""Which representation of disorder is nearer to the measured gaps of alloys other than Si-Ge.

    python -m benchmarks.disorder TABLE.json.gz MEASURED.csv [MODEL]

Takes from MEASURED (columns formula, gap in eV) the pseudo-binary alloys A(1-x)B(x)C whose ends AC and BC are in TABLE
(of query.py, --polymorphs all) with one structure, and predicts each in two ways, at Vegard's volume: A and B share a
site, or A and B lie at random on the sites of cells of eight formula units. Writes disorder.json to
data/metrics/multifidelity.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Structure

from bandgaps import dataset, graphs, megnet
from bandgaps.errors import InputError, exit_code
from bandgaps.files import write_json

OUTPUT = Path("data") / "metrics" / "multifidelity" / "disorder.json"
MODEL = "data/models/megnet-multifidelity"
SITES = 8  # of A and B in an ordered cell
DRAWS = 8  # ordered cells of one composition
DILUTE = 0.05  # what has less of an element says nothing about mixtures
LARGEST = 4  # atoms in the cell of an end: zincblende, rock salt, wurtzite


@dataclass(frozen=True)
class MeasuredAlloy:
    """An alloy A(1-x)B(x)C, the crystal of AC at the alloy's volume, and the measured gap (eV)."""

    formula: str
    a: str
    b: str
    x: float
    parent: Structure
    gap: float

    def shared_site(self) -> Structure:
        """A and B on every site of A."""
        crystal = self.parent.copy()
        crystal.replace_species({self.a: {self.a: 1 - self.x, self.b: self.x}})
        return crystal

    def ordered(self, count: int, generator: np.random.Generator) -> Structure:
        """B on so many sites, chosen at random, of the eight that a supercell has."""
        crystal = self.parent.copy()
        crystal.make_supercell([2, 2, 2 * 2 // len(crystal)])
        sites = [k for k, site in enumerate(crystal) if site.specie.symbol == self.a]
        for k in generator.permutation(sites)[:count]:
            crystal.replace(int(k), self.b)
        return crystal


def measured_alloys(table: pd.DataFrame, measured: pd.DataFrame) -> Iterator[MeasuredAlloy]:
    """Pseudo-binary alloys of two compounds that have the same structure."""
    polymorphs = dict(list(table.groupby("formula")))
    for formula, gap in measured[["formula", measured.columns[1]]].itertuples(index=False):
        composition = Composition(formula).fractional_composition
        for c in composition if len(composition) == 3 and gap > 0 else ():
            a, b = sorted((element for element in composition if element != c), key=str)
            x = composition[b] / (composition[a] + composition[b])
            if abs(composition[c] - 0.5) > 1e-3 or not DILUTE <= x <= 1 - DILUTE:
                continue
            ends = [polymorphs.get(Composition({element: 1, c: 1}).reduced_formula) for element in (a, b)]
            if ends[0] is not None and ends[1] is not None:
                parent = same_structure(*ends, a.symbol, b.symbol, x)
                if parent is not None:
                    yield MeasuredAlloy(formula, a.symbol, b.symbol, x, parent, gap)


def same_structure(first: pd.DataFrame, second: pd.DataFrame, a: str, b: str, x: float) -> Structure | None:
    """The crystal of AC at the alloy's volume, of the polymorphs of least energy that differ in A and B only."""
    matcher = StructureMatcher(attempt_supercell=False)
    energy = "formation_energy_per_atom"
    pairs = product(
        first[["structure", energy]].itertuples(index=False), second[["structure", energy]].itertuples(index=False)
    )
    for (one, _), (other, _) in sorted(pairs, key=lambda pair: pair[0][1] + pair[1][1]):
        one, other = one.get_primitive_structure(), other.get_primitive_structure()
        replaced = one.copy()
        replaced.replace_species({a: b})
        if len(one) <= LARGEST and len(one) == len(other) and matcher.fit(replaced, other):
            return one.copy().scale_lattice((1 - x) * one.volume + x * other.volume)
    return None


def predicted(model: megnet.Model, crystals: list[Structure]) -> np.ndarray:
    """Gaps at the level of experiment, eV."""
    return model.predict(graphs.build(crystals, model.hyperparameters.cutoff), "experiment")[0]


def ordered_gaps(model: megnet.Model, alloys: list[MeasuredAlloy]) -> np.ndarray:
    """Mean gap of random ordered cells of each alloy, on a straight line between the two nearest compositions, eV."""
    generator = np.random.default_rng(0)
    counts = [(int(SITES * alloy.x), min(int(SITES * alloy.x) + 1, SITES)) for alloy in alloys]
    cells = [
        alloy.ordered(n, generator)
        for alloy, pair in zip(alloys, counts, strict=True)
        for n in pair
        for _ in range(DRAWS)
    ]
    below, above = predicted(model, cells).reshape(len(alloys), 2, DRAWS).mean(axis=2).T
    part = np.array([SITES * alloy.x - low for alloy, (low, _) in zip(alloys, counts, strict=True)])
    return (1 - part) * below + part * above


def main() -> None:
    """Compare, print and write."""
    if len(sys.argv) not in (3, 4):
        raise InputError("python -m benchmarks.disorder TABLE.json.gz MEASURED.csv [MODEL]")
    model = megnet.load(sys.argv[3] if len(sys.argv) == 4 else MODEL)
    alloys = list(measured_alloys(dataset.read(sys.argv[1]), pd.read_csv(sys.argv[2])))
    found = {
        "shared-site": predicted(model, [alloy.shared_site() for alloy in alloys]),
        "orderings": ordered_gaps(model, alloys),
    }
    gap = np.array([alloy.gap for alloy in alloys])
    system = np.array(
        ["-".join(sorted({element.symbol for element in Composition(alloy.formula)})) for alloy in alloys]
    )
    result = {
        "alloys": len(alloys),
        "systems": len(set(system)),
        **{
            name: {
                "mae": float(np.abs(values - gap).mean()),
                "mae_of_systems": float(pd.Series(np.abs(values - gap)).groupby(system).mean().mean()),
                "bias": float((values - gap).mean()),
            }
            for name, values in found.items()
        },
        "apart": float(np.abs(found["shared-site"] - found["orderings"]).mean()),
    }
    print(
        pd.DataFrame({"formula": [alloy.formula for alloy in alloys], "measured": gap, **found}).to_string(index=False)
    )
    print(result)
    write_json(result, OUTPUT)


if __name__ == "__main__":
    sys.exit(exit_code(main))
