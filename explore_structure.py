"""python explore_structure.py [--model FOLDER | NAME] [--fidelity experiment] [--composition Si49Ge51 ...] [--anchor].

Predict the gap of a disordered alloy from the crystal structure, over its whole range: of every symmetry-distinct
ordering, of special quasirandom structures, and of one site that both elements share.

Reads the bundled model, another folder of structure.py, or published weights by name or path. Draws
figures/SiGe-disordered-structures.pdf (orderings at silicon's volume) and SiGe-disordered-structures-scaled.pdf (all of
them at the alloy's own) against the measured curve, each with a PNG, a CSV of every ordering and a CSV of the means;
writes the model's curve, figures/SiGe-disordered-curve.csv, and data/metrics/SiGe-structure.json. With --anchor it also
draws SiGe-disordered-curve-anchored.pdf, the curve shifted so that its ends are the measured ones. Every name says what
other model or level of theory was asked for: SiGe-structure-pbe.json, SiGe-disordered-curve-uncorrected.csv.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandgaps.errors import InputError, exit_code
from bandgaps.names import LEVELS, REPRESENTATIONS

if TYPE_CHECKING:
    import pandas as pd
    from pymatgen.core import Composition

    from bandgaps.alloys import Ordering
    from bandgaps.disorder import Alloy
    from bandgaps.megnet import Model

System = tuple[str, str]
BUNDLED = "data/models/megnet-multifidelity"


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the figures, print the tables, and write the curve."""
    options = parser().parse_args(arguments)
    from bandgaps import experiment
    from bandgaps.files import write_json

    system = experiment.parse_system(options.system)
    check(system, options.anchor)
    wanted = [read_composition(formula, system) for formula in options.composition or []]
    found = enumerate_orderings(system, options)
    from bandgaps import disorder, megnet

    model = megnet.load(options.model)
    alloy = disorder.Alloy(system, model, level_of_theory(model, options.fidelity), not options.uncorrected)
    bowing = {representation: alloy.disorder_bowing(representation) for representation in REPRESENTATIONS}
    print(
        f"{Path(options.model).name}, {len(model.members)} member(s), "
        f"level of theory: {alloy.fidelity or 'the only one it knows'}, 95 % within ± {alloy.wide:.2f} sigma"
    )
    if any(bowing.values()):
        print(f"bowing by disorder taken off: {', '.join(f'{name} {b:.2f} eV' for name, b in bowing.items())}")
    cells = quasirandom(alloy, wanted, options)
    metrics = {
        "model": Path(options.model).name,
        "fidelity": alloy.fidelity,
        "disorder_bowing": bowing,
        "orderings": len(found),
        "unscaled": draw_orderings(alloy, found, options),
        **draw_curves(alloy, found, cells, options),
        "compositions": [report_composition(each, cells, alloy) for each in wanted],
    }
    path = options.metrics / name(alloy, "structure.json", options)
    write_json(metrics, path)
    print(f"\nwrote figures and tables to {options.figures}/, and {path}")


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", default=BUNDLED, help="model folder, .hdf5 file or published name (%(default)s)")
    add("--fidelity", choices=LEVELS, help="level of theory (experiment where the model knows it)")
    add("--system", default="Si-Ge", metavar="A-B", help="two elements with diamond lattices (%(default)s)")
    limit = "largest cell of the orderings, in atoms (%(default)s; 14 takes longer)"
    add("--max-atoms", type=int, default=10, help=limit)
    add("--composition", nargs="+", metavar="FORMULA", help="print the gap (eV) of these formulas, represented twice")
    curve = "what is the model's curve (shared-site at the level of experiment, else orderings)"
    add("--disorder", choices=REPRESENTATIONS, help=curve)
    raw = "leave out the bowing by disorder, known from alloys of other systems, that the curve is lowered by"
    add("--uncorrected", action="store_true", help=raw)
    add("--anchor", action="store_true", help="also shift the curve linearly, so that its ends are the measured ones")
    enumerators = ("built-in", "pymatgen")
    add("--enumerator", choices=enumerators, default="built-in", help="pymatgen needs enumlib (%(default)s)")
    add("--seed", type=int, default=0, help="of the quasirandom cells (%(default)s)")
    add("--figures", type=Path, default=Path("figures"), help="folder of the PDFs (%(default)s)")
    add("--metrics", type=Path, default=Path("data/metrics"), help="folder of the metrics (%(default)s)")
    return parser


def check(system: System, anchor: bool) -> None:
    """Raise InputError where too little is known of the alloy."""
    from bandgaps import experiment

    if not all(experiment.lattice_constant(system, [0, 1]) > 0):
        known = ", ".join(experiment.DIAMOND)
        raise InputError(f"--system: no diamond lattice constant known for {'-'.join(system)}; choose two of {known}")
    if anchor and experiment.gap_citation(system) is None:
        known = ", ".join("-".join(each) for each in experiment.GAPS)
        raise InputError(f"--anchor: no measured gaps known for {'-'.join(system)}, only for {known}; leave it out")


def level_of_theory(model: Model, wanted: str | None) -> str | None:
    """The level to predict at: what is asked for, else experiment, else the model's first; None if it has but one."""
    known = model.hyperparameters.fidelities
    if wanted or not known:
        return wanted
    return "experiment" if "experiment" in known else known[0]


def enumerate_orderings(system: System, options: argparse.Namespace) -> list[Ordering]:
    """Every ordering on the diamond lattice, at the lattice constant of the first element."""
    from bandgaps import alloys, experiment

    parent = alloys.diamond(system[0], float(experiment.lattice_constant(system, 0)))
    enumerate_ = alloys.orderings if options.enumerator == "built-in" else alloys.orderings_by_enumlib
    found = enumerate_(parent, system, options.max_atoms)
    print(f"{len(found):,} orderings of {'-'.join(system)} in cells of up to {options.max_atoms} atoms")
    return found


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


def quasirandom(alloy: Alloy, wanted: list[Composition], options: argparse.Namespace) -> pd.DataFrame:
    """Gaps of quasirandom cells: both elements, three compositions between, and those that are asked for."""
    from pymatgen.core import Composition

    a, b = alloy.system
    always = [Composition(formula) for formula in (a, f"{a}3{b}", f"{a}{b}", f"{a}{b}3", b)]
    return alloy.quasirandom(list(dict.fromkeys([*always, *wanted])), options.seed)


def draw_orderings(alloy: Alloy, found: list[Ordering], options: argparse.Namespace) -> dict[str, Any]:
    """Draw the orderings as they are, at the volume of the first element."""
    from bandgaps import disorder, figures

    volume = f"at {alloy.system[0]}'s volume"
    points = alloy.orderings(found, scale=False)
    means = report_means(alloy, points, figure(alloy, "structures-means.csv", options), volume)
    figures.orderings(figure(alloy, "structures.pdf", options), points, means, alloy.system, title(alloy, volume))
    return disorder.mean_scores(means)


def draw_curves(
    alloy: Alloy, found: list[Ordering], cells: pd.DataFrame, options: argparse.Namespace
) -> dict[str, Any]:
    """Draw all representations of disorder at the alloy's own volume, and write and report the model's curve."""
    from bandgaps import disorder, figures

    volume = "at the alloy's volume"
    points = alloy.orderings(found, scale=True)
    means = report_means(alloy, points, figure(alloy, "structures-scaled-means.csv", options), volume)
    representation = options.disorder or disorder.representation(alloy.fidelity)
    curve = alloy.curve(means, representation)
    lowered = (
        "\ncurves lowered by the bowing by disorder of other alloys" if alloy.disorder_bowing(representation) else ""
    )
    path, label = figure(alloy, "structures-scaled.pdf", options), title(alloy, volume) + lowered
    computed = alloy.first_principles()
    random = alloy.lowered(means, "orderings")
    figures.disorder(path, points, random, curve, cells, alloy.system, alloy.wide, label, computed)
    write_table(cells, figure(alloy, "structures-scaled-quasirandom.csv", options))
    write_table(curve, figure(alloy, "curve.csv", options))
    if options.anchor:
        shifted = disorder.anchored_curve(curve)
        label = title(alloy, "curve, anchored") + lowered
        figures.anchored(figure(alloy, "curve-anchored.pdf", options), shifted, alloy.system, label)
    results = disorder.results(curve, alloy.wide)
    report_curves(results)
    return {
        "scaled": disorder.mean_scores(means),
        "disorder": representation,
        **results,
        "first-principles": None if computed is None else first_principles_scores(alloy, computed),
    }


def first_principles_scores(alloy: Alloy, computed: pd.DataFrame) -> dict[str, Any]:
    """Means of calculated gaps and how far they are from the measured curve (eV), which no model of such gaps mends."""
    from bandgaps import disorder

    means = alloy.means(computed)
    own = {
        f"{x:.3g}": {"orderings": count, "band_gap": gap}
        for x, count, gap in means[[alloy.x, "orderings", "band_gap"]].itertuples(index=False)
    }
    return {
        "level": computed["level"].iloc[0],
        "orderings": len(computed),
        **disorder.mean_scores(means),
        "means": own,
    }


def figure(alloy: Alloy, what: str, options: argparse.Namespace) -> Path:
    """Where a figure or its table goes, such as figures/SiGe-disordered-curve.csv."""
    return options.figures / name(alloy, f"disordered-{what}", options)


def name(alloy: Alloy, what: str, options: argparse.Namespace) -> str:
    """Name of a file: the alloy, what it holds, and where they are not the default ones, model and level of theory."""
    model = Path(options.model)
    others = [
        (model.name.removesuffix(".hdf5"), model != Path(BUNDLED)),
        (alloy.fidelity, alloy.fidelity != level_of_theory(alloy.model, None)),
        ("uncorrected", options.uncorrected),
    ]
    stem, suffix = what.rsplit(".", 1)
    return "-".join(["".join(alloy.system), stem, *(str(word) for word, other in others if other)]) + f".{suffix}"


def title(alloy: Alloy, what: str) -> str:
    """Title of a figure: the model's level of theory, and what is shown."""
    return f"MEGNet{f', {alloy.fidelity}' if alloy.fidelity else ''}: {'-'.join(alloy.system)} {what}"


def report_means(alloy: Alloy, points: pd.DataFrame, path: Path, volume: str) -> pd.DataFrame:
    """Print and write the means over orderings."""
    means = alloy.means(points)
    write_table(means, path)
    print(f"\nMean gap over orderings {volume} (eV)\n{means.to_string(index=False, float_format='{:.3f}'.format)}")
    return means


def report_curves(results: dict[str, Any]) -> None:
    """Print how far the model's curve is from the measured one."""
    if results["straight-line"] is None:
        return
    print("\nMean absolute deviation from the measured curve (eV)")
    for representation, scores in results["curves"].items():
        own, shifted = scores["mean_absolute_deviation"], scores["anchored"]["mean_absolute_deviation"]
        print(f"{representation:>14} {own:7.3f}   anchored at both ends {shifted:.3f}")
    line = results["straight-line"]["mean_absolute_deviation"]
    print(f"{'straight line':>14} {'':7}   between the measured ends {line:.3f}")


def report_composition(composition: Composition, cells: pd.DataFrame, alloy: Alloy) -> dict[str, Any]:
    """Print the gap of this composition beside those of the two elements, represented twice, and return it."""
    from bandgaps import disorder, experiment

    a, b = alloy.system
    formula = disorder.formula(composition)
    rows = cells.set_index("formula").loc[[a, formula, b]]
    shared = alloy.shared_sites(rows[alloy.x])
    measured = experiment.gap(alloy.system, rows[alloy.x])
    print(f"\n{'':>14} {'':>7} {'quasirandom cell':>18} {'shared site':>18} {'measured':>9}")
    print(f"{'crystal':>14} {alloy.x:>7} {'gap ± sigma (eV)':>18} {'gap ± sigma (eV)':>18} {'gap (eV)':>9}")
    for k, crystal in enumerate(rows.index):
        pairs = [f"{table['band_gap'].iloc[k]:.3f} ± {table['band_gap_std'].iloc[k]:.3f}" for table in (rows, shared)]
        print(f"{crystal:>14} {rows[alloy.x].iloc[k]:7.3f} {pairs[0]:>18} {pairs[1]:>18} {measured[k]:9.3f}")
    found = {"quasirandom cell": between(rows), "shared site": between(shared)}
    for representation, result in found.items():
        where = "between" if result["between_ends"] else "outside"
        print(f"{formula} lies {where} the predicted gaps of {a} and {b} as a {representation}")
    own = {"formula": formula, "atoms": int(rows["n_atoms"].iloc[1]), "band_gap_measured": float(measured[1])}
    return {**own, **found["quasirandom cell"], "shared_site": found["shared site"]}


def between(rows: pd.DataFrame) -> dict[str, Any]:
    """Of three rows, the gap of the middle one (eV), and whether it lies between the others'."""
    first, gap, last = map(float, rows["band_gap"])
    inside = min(first, last) <= gap <= max(first, last)
    return {
        "band_gap": gap,
        "band_gap_std": float(rows["band_gap_std"].iloc[1]),
        "band_gap_ends": [first, last],
        "between_ends": inside,
    }


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write the numbers behind a figure."""
    from bandgaps.files import replacing

    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")


if __name__ == "__main__":
    sys.exit(exit_code(main))
