"""python explore_structure.py [--model FOLDER | NAME] [--max-atoms 10] [--composition Si49Ge51 ...]

Predict the gap of every symmetry-distinct ordering of a disordered alloy, unscaled and at the alloy's own volume.

Reads a model of structure.py (or published weights by name or path). Draws figures/SiGe-disordered-structures.pdf and
figures/SiGe-disordered-structures-scaled.pdf against the measured curve, each with a PNG, a CSV of every ordering and a
CSV of the means; writes data/metrics/alloy.json. The last line of the table is the question the project began with.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandgaps.errors import InputError, exit_code

if TYPE_CHECKING:
    import pandas as pd
    from pymatgen.core import Composition, Structure

    from bandgaps.alloys import Ordering
    from bandgaps.megnet import Model

System = tuple[str, str]
FIDELITIES = ("pbe", "gllbsc", "hse", "experiment")


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the two figures and print the table."""
    options = parser().parse_args(arguments)
    from bandgaps import experiment
    from bandgaps.files import write_json

    system = experiment.parse_system(options.system)
    constants = experiment.lattice_constant(system, [0, 1])
    if not all(constants > 0):
        known = ", ".join(experiment.DIAMOND)
        raise InputError(f"--system: no diamond lattice constant known for {'-'.join(system)}; choose two of {known}")
    wanted = [read_composition(formula, system) for formula in options.composition or []]
    found = enumerate_orderings(system, options)
    from bandgaps import megnet

    model = megnet.load(options.model)
    metrics: dict[str, Any] = {"model": Path(options.model).name, "fidelity": options.fidelity, "orderings": len(found)}
    for name, scale in (("disordered-structures", False), ("disordered-structures-scaled", True)):
        points = predict_orderings(model, found, system, scale, options.fidelity)
        metrics["scaled" if scale else "unscaled"] = draw(points, system, options.figures, name, scale)
    metrics["compositions"] = [predict_composition(model, each, system, options) for each in wanted]
    write_json(metrics, options.metrics / "alloy.json")
    print(f"wrote two PDFs to {options.figures}/ and {options.metrics / 'alloy.json'}")


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add(
        "--model",
        default="data/models/megnet-band_gap",
        help="model folder, .hdf5 file or published name (%(default)s)",
    )
    add(
        "--system",
        default="Si-Ge",
        metavar="A-B",
        help="two elements with diamond lattices (%(default)s)",
    )
    add(
        "--max-atoms",
        type=int,
        default=10,
        help="largest cell of the orderings, in atoms (%(default)s; 14 takes longer)",
    )
    add("--composition", nargs="+", metavar="FORMULA", help="print the gap (eV) of quasirandom cells of these formulas")
    add("--fidelity", choices=FIDELITIES, help="level of theory, for models that know several")
    add(
        "--enumerator",
        choices=("built-in", "pymatgen"),
        default="built-in",
        help="pymatgen needs enumlib (%(default)s)",
    )
    add("--seed", type=int, default=0, help="of the quasirandom cells (%(default)s)")
    add("--figures", type=Path, default=Path("figures"), help="folder of the PDFs (%(default)s)")
    add("--metrics", type=Path, default=Path("data/metrics"), help="folder of the metrics (%(default)s)")
    return parser


def enumerate_orderings(system: System, options: argparse.Namespace) -> list[Ordering]:
    """Every ordering on the diamond lattice, at the lattice constant of the first element."""
    from bandgaps import alloys, experiment

    parent = alloys.diamond(system[0], float(experiment.lattice_constant(system, 0)))
    enumerate_ = alloys.orderings if options.enumerator == "built-in" else alloys.orderings_by_enumlib
    found = enumerate_(parent, system, options.max_atoms)
    print(f"{len(found):,} orderings of {'-'.join(system)} in cells of up to {options.max_atoms} atoms")
    return found


def predict_orderings(
    model: Model, found: list[Ordering], system: System, scale: bool, fidelity: str | None
) -> pd.DataFrame:
    """Gap of each ordering (eV): columns x_B, n_atoms, multiplicity, band_gap, band_gap_std."""
    import pandas as pd

    gaps, std = predict(model, [ordering.structure for ordering in found], system, scale, fidelity)
    points = {
        f"x_{system[1]}": [ordering.fraction(system[1]) for ordering in found],
        "n_atoms": [len(ordering.structure) for ordering in found],
        "multiplicity": [ordering.multiplicity for ordering in found],
        "band_gap": gaps,
        "band_gap_std": std,
    }
    return pd.DataFrame(points).sort_values([f"x_{system[1]}", "n_atoms"], kind="stable", ignore_index=True)


def predict(
    model: Model, structures: list[Structure], system: System, scale: bool, fidelity: str | None
) -> tuple[Any, Any]:
    """Gap and standard deviation (eV) of superstructures, at their own volume or (`scale`) at the alloy's."""
    from bandgaps import alloys, experiment, graphs

    if scale:
        fractions = [structure.composition.get_atomic_fraction(system[1]) for structure in structures]
        constants = experiment.lattice_constant(system, fractions)
        structures = [alloys.scaled(*pair) for pair in zip(structures, constants, strict=True)]
    return model.predict(graphs.build(structures, model.hyperparameters.cutoff), fidelity)


def draw(points: pd.DataFrame, system: System, folder: Path, name: str, scale: bool) -> dict[str, float | None]:
    """Draw one figure, print its table, and return its deviation from the measured curve (eV)."""
    from bandgaps import alloys, experiment, figures
    from bandgaps.files import replacing

    x = f"x_{system[1]}"
    means = alloys.composition_means(points, x)
    means["band_gap_measured"] = experiment.gap(system, means[x])
    volume = "at the alloy's volume" if scale else f"at {system[0]}'s volume"
    path = folder / f"{''.join(system)}-{name}.pdf"
    figures.orderings(path, points, means, system, f"MEGNet, ordered superstructures {volume}")
    with replacing(path.with_name(path.stem + "-means.csv")) as temporary:
        means.to_csv(temporary, index=False, float_format="%.6g")
    print(f"\nMean gap over orderings {volume} (eV)\n{means.to_string(index=False, float_format='{:.3f}'.format)}")
    deviations = {
        "mean_absolute_deviation": (means["band_gap"] - means["band_gap_measured"]).abs().mean(),
        "mean_absolute_deviation_plain": (means["band_gap_plain"] - means["band_gap_measured"]).abs().mean(),
    }
    for label, gap in zip(("first", "middle", "last"), means["band_gap"].iloc[[0, len(means) // 2, -1]], strict=True):
        deviations[label] = gap
    if means["band_gap_measured"].notna().any():
        print(f"mean absolute deviation from the measured curve: {deviations['mean_absolute_deviation']:.3f} eV")
    return {key: float(value) if value == value else None for key, value in deviations.items()}


def read_composition(formula: str, system: System) -> Composition:
    """Read one of --composition."""
    from pymatgen.core import Composition

    from bandgaps import alloys

    try:
        composition = Composition(formula)
    except ValueError as error:
        raise InputError(f"--composition: cannot read {formula!r} ({error}); write it as in Si49Ge51") from None
    alloys.check_composition(composition, system)
    return composition


def predict_composition(
    model: Model, composition: Composition, system: System, options: argparse.Namespace
) -> dict[str, Any]:
    """Print the gap of a quasirandom cell of this composition beside those of the two elements, and return it."""
    from pymatgen.core import Composition

    from bandgaps import alloys, experiment

    formula = composition.formula.replace(" ", "")
    a, b = system
    parent = alloys.diamond(a, float(experiment.lattice_constant(system, 0)))
    wanted = [Composition(a), composition, Composition(b)]
    cells = [alloys.special_quasirandom_structure(parent, each, system, options.seed) for each in wanted]
    gaps, std = predict(model, cells, system, True, options.fidelity)
    print(f"\n{'crystal':>14} {'x_' + b:>7} {'gap (eV)':>9} {'sigma (eV)':>11} {'measured (eV)':>14}")
    for name, each, gap, sigma in zip((a, formula, b), wanted, gaps, std, strict=True):
        x = each.get_atomic_fraction(b)
        measured = float(experiment.gap(system, x))
        print(f"{name:>14} {x:7.3f} {gap:9.3f} {sigma:11.3f} {measured:14.3f}")
    between = min(gaps[0], gaps[2]) <= gaps[1] <= max(gaps[0], gaps[2])
    print(f"{formula} lies {'between' if between else 'outside'} the predicted gaps of {a} and {b}")
    x = composition.get_atomic_fraction(b)
    return {
        "formula": formula,
        "atoms": len(cells[1]),
        "band_gap": float(gaps[1]),
        "band_gap_ends": [float(gaps[0]), float(gaps[2])],
        "band_gap_measured": float(experiment.gap(system, x)),
        "between_ends": bool(between),
    }


if __name__ == "__main__":
    sys.exit(exit_code(main))
