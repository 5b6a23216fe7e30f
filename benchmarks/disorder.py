"""Which representation of disorder is nearer to the measured gaps of alloys other than Si-Ge.

    python -m benchmarks.disorder TABLE.json.gz MEASURED.csv [MEASURED.csv ...]

Takes from the lists MEASURED (columns formula and target or band_gap, eV) the pseudo-binary alloys A(1-x)B(x)C whose
ends AC and BC are in TABLE (of query.py, --polymorphs all) with one structure, leaves out those that the bundled model
was trained on, and predicts each in two ways, at Vegard's volume: A and B share a site, or A and B lie at random on the
sites of cells of eight formula units; each also less the bowing by disorder (`bandgaps.bowing`). Writes disorder.json
to data/metrics/multifidelity.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from bandgaps import levels
from bandgaps.alloy import bowing, known_alloys
from bandgaps.alloy.bowing import DRAWS, predicted
from bandgaps.alloy.known_alloys import SITES, MeasuredAlloy
from bandgaps.errors import InputError, exit_code
from bandgaps.files import write_json
from bandgaps.structure import ensemble, model_files
from bandgaps.table import measured_gaps, sources, storage

OUTPUT = Path("data") / "metrics" / "multifidelity" / "disorder.json"


def ordered_gaps(model: ensemble.Model, alloys: list[MeasuredAlloy]) -> np.ndarray:
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
    if len(sys.argv) < 3:
        raise InputError("python -m benchmarks.disorder TABLE.json.gz MEASURED.csv [MEASURED.csv ...]")
    model = model_files.load(bowing.BUNDLED)
    lists = [sources.from_file(path, levels.EXPERIMENT) for path in sys.argv[2:]]
    alloys = [
        alloy
        for alloy in known_alloys.find(storage.read(sys.argv[1]), *measured_gaps.together(lists, sources.Filters()))
        if alloy.formula not in (model.formulas if model.formulas is not None else ())
    ]
    found = {
        "shared-site": predicted(model, [alloy.shared_site() for alloy in alloys]),
        "orderings": ordered_gaps(model, alloys),
    }
    gap = np.array([alloy.gap for alloy in alloys])
    system = np.array([alloy.system for alloy in alloys])
    x = np.array([alloy.x for alloy in alloys])
    lowered = {name: bowing.lowered(values, x, bowing.of(model, "experiment", name)) for name, values in found.items()}
    result = {
        "alloys": len(alloys),
        "systems": len(set(system)),
        **{
            name: {
                "mae": float(np.abs(values - gap).mean()),
                "mae_of_systems": float(pd.Series(np.abs(values - gap)).groupby(system).mean().mean()),
                "bias": float((values - gap).mean()),
                "mae_lowered": float(np.abs(lowered[name] - gap).mean()),
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
