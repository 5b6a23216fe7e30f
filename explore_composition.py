"""Predict the gap of an alloy over its whole range from the composition alone.

    python explore_composition.py                       the Si-Ge alloy, by the bundled models
    python explore_composition.py --system GaAs-AlAs    an alloy of two compounds

Each figure has two predictions, the PBE gap and the measured gap, with their uncertainty, and the measured curve where
there is one. Writes figures/SiGe-composition-combined.pdf and figures/SiGe-composition-non-metals.pdf, each with a PNG
and a CSV, and data/metrics/SiGe-composition.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandgaps import arguments as types
from bandgaps.errors import InputError, exit_code
from bandgaps.levels import EXPERIMENT

if TYPE_CHECKING:
    from bandgaps.composition.sweep import Sweep


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw one figure a model."""
    options = parser().parse_args(arguments)
    types.check_outputs(options, folders=["figures", "metrics"])
    from bandgaps.alloy import measured_curves
    from bandgaps.composition import figures, models, sweep
    from bandgaps.files import write_json
    from bandgaps.formulas import parse_system

    with types.naming("--system"):
        system = parse_system(options.system)
    measured = measured_curves.gap(system, sweep.FRACTIONS)
    sweeps = {
        name: sweep.sweep(model, name, system, measured)
        for name, model in models.of_level(options.models, "pbe").items()
    }
    experiment = {}
    if all(found.card["target"].startswith("band_gap") for found in sweeps.values()):
        with types.naming("--measured-models"):
            of_measurement = models.of_level(options.measured_models, "experiment")
            experiment = {name: sweep.sweep(model, name, system, measured) for name, model in of_measurement.items()}
            check_targets(experiment, options.measured_models)

    results: dict[str, Any] = {name: found.summary() for name, found in sweeps.items()}
    if experiment:
        results["experiment"] = {name: found.summary() | training(found) for name, found in experiment.items()}
    for name, found in sweeps.items():
        print(told(name, options.system, found))
        table = found.table
        if name in experiment:
            print(told(f"{name}, level of measurement", options.system, experiment[name]))
            rows = training(experiment[name])["trained_on_system"]
            if rows:
                print(f"note: {rows} of the rows it was trained on are measured gaps of {options.system}")
            gaps = experiment[name].table
            table = table.assign(band_gap_experiment=gaps["band_gap"], band_gap_experiment_std=gaps["band_gap_std"])
        path = options.figures / f"{''.join(system)}-composition-{name}.pdf"
        part = "left out" if name == "non-metals" else "included"
        title = f"What gap has {options.system}, from the composition alone?\n{name}: metals {part}"
        figures.composition_sweep(path, table, found.known, system, measured_curves.drawn(system), title)
        print(f"wrote {path}, .png and .csv")
    path = options.metrics / f"{''.join(system)}-composition.json"
    write_json(results | sweep.references(measured), path)
    print(f"wrote {path}")


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = types.Parser(__doc__)
    add = parser.add_argument
    system = "The ends of the alloy: two elements, or two compounds that differ in one element (default: %(default)s)."
    add("--system", default="Si-Ge", metavar="A-B", help=system)
    models = "The folder of your own models of calculated gaps, trained by composition.py (default: the bundled model)."
    add("--models", type=Path, metavar="FOLDER", help=models)
    measured = "The folder of your own models of measured gaps, trained by composition.py (default: the bundled model)."
    add("--measured-models", type=Path, metavar="FOLDER", help=measured)
    figures = "The folder to write figures to (default: %(default)s)."
    add("--figures", type=Path, default=Path("figures"), metavar="FOLDER", help=figures)
    metrics = "The folder to write the numbers to (default: %(default)s)."
    add("--metrics", type=Path, default=Path("data/metrics"), metavar="FOLDER", help=metrics)
    return parser


def check_targets(experiment: dict[str, Sweep], folder: Path | None) -> None:
    """Raise InputError if a model that should have learnt measured gaps has learnt something else."""
    for name, found in experiment.items():
        if found.card["target"] != EXPERIMENT:
            raise InputError(
                f"{folder}/composition-{name} learnt {found.card['target']}, not {EXPERIMENT}; "
                "train with composition.py --fidelity experiment"
            )


def training(found: Sweep) -> dict[str, Any]:
    """How many rows of the system a model was trained on, and what was left out of them."""
    return {"trained_on_system": len(found.known), "left_out": found.card.get("left_out", [])}


def told(name: str, system: str, found: Sweep) -> str:
    """The gap at a few compositions, and the deviation from the measured curve, in eV."""
    numbers = found.reported().to_string(index=False, float_format="{:.3f}".format)
    text = f"\n{name}: gap over {system} (eV)\n{numbers}"
    deviation = found.summary()["mean_absolute_deviation"]
    if deviation is None:
        return text
    return f"{text}\nmean absolute deviation from the measured curve: {deviation:.3f} eV"


if __name__ == "__main__":
    sys.exit(exit_code(main))
