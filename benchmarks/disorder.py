"""python -m benchmarks.disorder.

Which representation of disorder is nearer to the known gaps of held-out alloys.

Takes the alloys of data/alloys/bowing.csv that are held out from the bundled model and from what taught it by
pseudo-labels (`bandgaps.alloy.held_out`), and predicts each in two ways, at the volume of Zen's law: both elements
share a site, or they lie at random on eight sites; each also less the bowing correction that the other systems give.
The crystals are those of the sample. Prints the gaps of every alloy and writes their errors.

The lists of measured gaps that the model was trained with are no use here: of every system in them it, or its teachers,
have seen some composition.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bandgaps.alloy import bowing, bowing_parameters, held_out
from bandgaps.alloy.representations import REPRESENTATIONS
from bandgaps.errors import InputError, exit_code
from bandgaps.files import write_json
from bandgaps.structure import model_files

OUTPUT = Path("data") / "metrics" / "multifidelity" / "disorder.json"


def scores(known: pd.Series, predicted: np.ndarray, lowered: np.ndarray, system: pd.Series) -> dict[str, float]:
    """Mean absolute errors, of which one is the mean over systems, and bias, eV."""
    error = predicted - known
    return {
        "mae": float(error.abs().mean()),
        "mae_of_systems": float(error.abs().groupby(system).mean().mean()),
        "bias": float(error.mean()),
        "mae_lowered": float((lowered - known).abs().mean()),
    }


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.disorder", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, metavar="FILE", default=OUTPUT, help="where to write (%(default)s)")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, print and write."""
    options = parser().parse_args(arguments)
    model = model_files.load(bowing.BUNDLED)
    seen = held_out.systems_seen(model)
    curves = [curve for curve in bowing_parameters.curves() if held_out.is_held_out(curve.alloy, seen)]
    if len(curves) < 2:
        raise InputError(f"{len(curves)} of the alloys are held out from the bundled model; nothing to compare")
    table = bowing.departures(model, curves)
    known = pd.Series(np.concatenate([curve.gap(bowing.JUDGED) for curve in curves]))
    alloys = [(curve.alloy, float(x)) for curve in curves for x in bowing.JUDGED]
    found = dict(
        zip(
            REPRESENTATIONS,
            (held_out.shared_site_gaps(model, alloys), held_out.ordered_gaps(model, alloys)),
            strict=True,
        )
    )
    lowered = {name: gaps - bowing.of_others(table, name) for name, gaps in found.items()}
    result = {
        "alloys": len(alloys),
        "systems": len(curves),
        **{name: scores(known, gaps, lowered[name], table["system"]) for name, gaps in found.items()},
        "apart": float(np.abs(found["shared-site"] - found["orderings"]).mean()),
    }
    columns = {"system": table["system"], "x": table["x"], "known": known, **found}
    print(pd.DataFrame(columns).to_string(index=False, float_format="{:.3f}".format))
    print(result)
    write_json(result, options.output)


if __name__ == "__main__":
    sys.exit(exit_code(main))
