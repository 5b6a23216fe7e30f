"""python explore_composition.py [--system Si-Ge].

Draw the gap that the models of composition.py predict over the whole range of an alloy, with its uncertainty, the rows
of the system they were trained on, and the measured curve; and where there are models trained on measured gaps (a table
of query.py --target band_gap_experiment), theirs beside it.

Writes figures/SiGe-composition-combined.pdf and figures/SiGe-composition-non-metals.pdf, each with a PNG and a CSV;
and data/metrics/alloy-composition.json.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandgaps.errors import InputError, exit_code

if TYPE_CHECKING:
    import pandas as pd

    from bandgaps.model_folders import Arrays

System = tuple[str, str]
MODELS = ("combined", "non-metals")
STEPS = 100
PRINTED = (0, 0.25, 0.5, 0.51, 0.75, 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw one figure a model."""
    options = parser().parse_args(arguments)
    from bandgaps import formulas
    from bandgaps.alloy import measured_curves
    from bandgaps.composition import figures
    from bandgaps.files import write_json

    try:
        system = formulas.parse_system(options.system)
    except InputError as error:
        raise InputError(f"--system: {error}") from None
    measured = options.measured_models or options.models / "experiment"
    results: dict[str, Any] = {}
    for name in MODELS:
        table, points, card = sweep(options.models / f"composition-{name}", system)
        results[name] = report(name, table, system)
        if options.measured_models or measured.exists():
            other, result = from_measured(measured / f"composition-{name}", system)
            results.setdefault("experiment", {})[name] = result
            table = table.assign(band_gap_experiment=other["band_gap"], band_gap_experiment_std=other["band_gap_std"])
        path = options.figures / f"{''.join(system)}-composition-{name}.pdf"
        label = f"forest on compositions, {name} ({card['target']})"
        figures.composition_sweep(path, table, points, system, measured_curves.drawn(system), label)
        print(f"wrote {path}, .png and .csv")
    results |= references(system)
    write_json(results, options.metrics / "alloy-composition.json")


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--system", default="Si-Ge", metavar="A-B", help="the alloy's two elements (%(default)s)")
    add("--models", type=Path, default=Path("data/models"), help="folder of the models (%(default)s)")
    add(
        "--measured-models",
        type=Path,
        metavar="FOLDER",
        help="folder of models trained on measured gaps (experiment in the folder of the models, where that is)",
    )
    add("--figures", type=Path, default=Path("figures"), help="folder of the PDFs (%(default)s)")
    add("--metrics", type=Path, default=Path("data/metrics"), help="folder of the metrics (%(default)s)")
    return parser


def formulas(system: System) -> list[str]:
    """A100, A99B1, A98B2, ... B100."""
    a, b = system
    pairs = ((STEPS - step, step) for step in range(STEPS + 1))
    return [(f"{a}{n_a}" if n_a else "") + (f"{b}{n_b}" if n_b else "") for n_a, n_b in pairs]


def sweep(folder: Path, system: System) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """What a model predicts: columns x_B, band_gap, band_gap_std and band_gap_measured (eV).

    Also the rows of the system that it was trained on, and its card.
    """
    import numpy as np
    import pandas as pd

    from bandgaps.alloy import measured_curves
    from bandgaps.composition import forest, magpie

    model, card, training = forest.load(folder, magpie.LABELS)
    gaps, std = model.predict(magpie.features(formulas(system)), return_std=True)
    x = np.arange(STEPS + 1) / STEPS
    measured = measured_curves.gap(system, x)
    columns = {f"x_{system[1]}": x, "band_gap": gaps, "band_gap_std": std, "band_gap_measured": measured}
    return pd.DataFrame(columns), known(system, training), card


def from_measured(folder: Path, system: System) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The sweep of a model trained on measured gaps, and what is reported of it.

    Raises:
        InputError: the model was trained on something else.
    """
    from bandgaps.levels import EXPERIMENT

    table, points, card = sweep(folder, system)
    if card["target"] != EXPERIMENT:
        raise InputError(
            f"{folder}: learnt {card['target']}, not {EXPERIMENT}; train on a table of query.py --target {EXPERIMENT}"
        )
    results: dict[str, Any] = report(f"{folder.name.removeprefix('composition-')}, from measured gaps", table, system)
    if len(points):
        print(f"note: {len(points)} of the rows it was trained on are measured gaps of {'-'.join(system)}")
    return table, {**results, "trained_on_system": len(points), "left_out": card.get("left_out", [])}


def known(system: System, training: Arrays) -> pd.DataFrame:
    """Training rows made of the two elements alone: columns x_B and band_gap (eV)."""
    import pandas as pd
    from pymatgen.core import Composition

    a, b = system
    of_both = re.compile(rf"((?:{a}|{b})[\d.]*)+")  # written by pymatgen, so without brackets
    rows = [
        (Composition(formula).get_atomic_fraction(b), gap)
        for formula, gap in zip(training["formula"].tolist(), training["target"].tolist(), strict=True)
        if of_both.fullmatch(formula)
    ]
    return pd.DataFrame(rows, columns=[f"x_{b}", "band_gap"])


def report(name: str, table: pd.DataFrame, system: System) -> dict[str, float | None]:
    """Print the gap at a few compositions, and return those and the deviation from the measured curve (eV)."""
    x = f"x_{system[1]}"
    some = table[table[x].isin(PRINTED)]
    print(f"\n{name}: gap over {'-'.join(system)} (eV)\n{some.to_string(index=False, float_format='{:.3f}'.format)}")
    results = {f"{row[x]:g}": row["band_gap"] for _, row in some.iterrows()}
    deviation = (table["band_gap"] - table["band_gap_measured"]).abs().mean()
    if deviation == deviation:
        print(f"mean absolute deviation from the measured curve: {deviation:.3f} eV")
    return {**results, "mean_absolute_deviation": deviation if deviation == deviation else None}


def references(system: System) -> dict[str, dict[str, float | None]]:
    """The measured curve, and the straight line between its ends, as `report` gives the models' (eV)."""
    import numpy as np

    from bandgaps.alloy import measured_curves

    x = np.arange(STEPS + 1) / STEPS
    measured = measured_curves.gap(system, x)
    if np.isnan(measured).any():
        return {}
    curves = {"measured": measured, "straight-line": measured[0] + (measured[-1] - measured[0]) * x}
    return {
        name: {
            **{f"{each:g}": float(curve[round(each * STEPS)]) for each in PRINTED},
            "mean_absolute_deviation": float(np.abs(curve - measured).mean()),
        }
        for name, curve in curves.items()
    }


if __name__ == "__main__":
    sys.exit(exit_code(main))
