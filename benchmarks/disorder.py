"""python -m benchmarks.disorder TABLE MEASURED.csv [MEASURED.csv ...].

Which representation of disorder is nearer to the measured gaps of alloys other than Si-Ge.

Takes from the lists MEASURED the pseudo-binary alloys A(1-x)B(x)C whose ends AC and BC are in TABLE with one structure,
leaves out those that the bundled model was trained on, and predicts each in two ways, at Vegard's volume: A and B share
a site, or A and B lie at random on the sites of cells of eight formula units; each also less the bowing by disorder
(`bandgaps.bowing`). Prints the gaps of every alloy and writes their errors to
data/metrics/multifidelity/disorder.json.

The numbers in DISCUSSION.md are those of a large table and a long list. With what the project holds:

    python -m benchmarks.disorder data/sample/sample.json.gz data/alloys/gaps.csv --output data/disorder.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
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


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.disorder", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("table", type=Path, metavar="TABLE", help="of query.py --polymorphs all, such as data/sample/sample.json.gz")
    add("measured", type=Path, nargs="+", metavar="MEASURED", help="CSVs with formula and band_gap or target (eV)")
    add("--output", type=Path, metavar="FILE", default=OUTPUT, help="where to write (%(default)s)")
    return parser


def unseen(model: ensemble.Model, table: Path, measured: Sequence[Path]) -> list[MeasuredAlloy]:
    """The alloys of the lists that can be predicted and that the model was not trained on.

    Raises:
        InputError: there is none.
    """
    lists = [sources.from_file(path, levels.EXPERIMENT) for path in measured]
    found = list(known_alloys.find(storage.read(table), *measured_gaps.together(lists, sources.Filters())))
    known = set() if model.formulas is None else set(model.formulas)
    alloys = [alloy for alloy in found if alloy.formula not in known]
    if not alloys:
        raise InputError(
            f"{', '.join(map(str, measured))}: no alloy A(1-x)B(x)C whose ends are in {table}, but for {len(found)} "
            "that the model was trained on; give a list of others"
        )
    return alloys


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, print and write."""
    options = parser().parse_args(arguments)
    model = model_files.load(bowing.BUNDLED)
    alloys = unseen(model, options.table, options.measured)
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
    write_json(result, options.output)


if __name__ == "__main__":
    sys.exit(exit_code(main))
