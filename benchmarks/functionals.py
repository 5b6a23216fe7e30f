"""python -m benchmarks.functionals LIST.

Measured gaps as the bundled structure model and as density functionals have them, on the same compounds.

LIST has the columns formula, material_id and band_gap_experiment, and band_gap_* of each functional, all in eV. The
model of measured gaps is cross-validated: each compound is predicted without any material of its composition, and the
network has seen no gap of it at all. Writes data/metrics/multifidelity/functionals.json.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandgaps.arguments import Parser
from bandgaps.errors import InputError, exit_code
from bandgaps.files import write_json
from bandgaps.formulas import composition_keys
from bandgaps.levels import EXPERIMENT
from bandgaps.structure import measured_scores, model_files
from bandgaps.structure.ensemble import Model
from bandgaps.table import sources

OUTPUT = Path("data") / "metrics" / "multifidelity" / "functionals.json"
PREFIX = "band_gap_"


def compared(model: Model, table: pd.DataFrame) -> dict[str, Any]:
    """Mean absolute errors of the model and of every functional on compounds that the model knows, eV.

    Args:
        model: with a model of measured gaps on top.
        table: columns formula, band_gap_experiment and band_gap_* of functionals, eV.

    Returns:
        `model`, as `measured_scores.scores`; `functionals`, the error of each; `compounds`, how many there are.

    Raises:
        InputError: the model has none on top, or the table has none of its compounds.
    """
    if model.measured is None:
        raise InputError("no model of measured gaps on top; make one with make multifidelity")
    listed = composition_keys(table["formula"])
    chosen = np.isin(model.measured.composition, listed)
    if not chosen.any():
        raise InputError("no compound of the list is known to the model; name another list")
    own = table[np.isin(listed, model.measured.composition)]
    names = [name for name in table if name.startswith(PREFIX) and name != EXPERIMENT]
    errors = {name.removeprefix(PREFIX): float((own[name] - own[EXPERIMENT]).abs().mean()) for name in names}
    return {
        "compounds": len(own),
        "model": measured_scores.scores(model.measured, chosen),
        "functionals": errors,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, print and write."""
    parser = Parser(__doc__, "python -m benchmarks.functionals")
    parser.add_argument("list", type=Path, metavar="LIST", help="The CSV of measured and calculated gaps, eV.")
    model = "The model (default: the bundled one)."
    parser.add_argument("--model", type=Path, default=model_files.BUNDLED, metavar="FOLDER", help=model)
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE", help="Where to write (%(default)s).")
    options = parser.parse_args(arguments)
    result = compared(model_files.load(options.model), sources.from_file(options.list, EXPERIMENT).table)
    for name, error in {"this model": result["model"]["all"]["mae"], **result["functionals"]}.items():
        print(f"{name:>12} {error:.3f} eV")
    write_json(result, options.output)
    print(f"{result['compounds']} compounds; wrote {options.output}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
