"""python explore_structure.py [--model FOLDER | NAME] [--fidelity experiment] [--composition Si49Ge51 ...] [--anchor].

Predict the gap of a disordered alloy from the crystal structure, over its whole range: of every symmetry-distinct
ordering, of special quasirandom structures, and of one site that both elements share.

Reads the bundled model, another folder of structure.py, or published weights by name or path. Draws
figures/SiGe-disordered-structures.pdf (orderings at silicon's volume) and SiGe-disordered-structures-scaled.pdf (all of
them at the alloy's own) against the measured curve, each with a PNG, a CSV of every ordering and a CSV of the means;
writes the model's curve, figures/SiGe-disordered-curve.csv, and data/metrics/alloy.json. With --anchor it also draws
SiGe-disordered-curve-anchored.pdf, the curve shifted so that its ends are the measured ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandgaps.alloy.representations import REPRESENTATIONS
from bandgaps.errors import InputError, exit_code
from bandgaps.levels import LEVELS

if TYPE_CHECKING:
    import pandas as pd
    from pymatgen.core import Composition

    from bandgaps.alloy.orderings import Ordering
    from bandgaps.alloy.random_alloy import Alloy
    from bandgaps.structure.ensemble import Model

System = tuple[str, str]


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the figures, print the tables, and write the curve."""
    options = parser().parse_args(arguments)
    from bandgaps import formulas
    from bandgaps.files import write_json

    try:
        system = formulas.parse_system(options.system)
    except InputError as error:
        raise InputError(f"--system: {error}") from None
    check(system, options.anchor)
    wanted = [read_composition(formula, system) for formula in options.composition or []]
    found = enumerate_orderings(system, options)
    from bandgaps.alloy import random_alloy
    from bandgaps.structure import model_files

    model = model_files.load(options.model)
    alloy = random_alloy.Alloy(system, model, level_of_theory(model, options.fidelity), not options.uncorrected)
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
        "unscaled": draw_orderings(alloy, found, options.figures),
        **draw_curves(alloy, found, cells, options),
        "compositions": [report_composition(each, cells, alloy) for each in wanted],
    }
    write_json(metrics, options.metrics / "alloy.json")
    print(f"\nwrote figures and tables to {options.figures}/, and {options.metrics / 'alloy.json'}")


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    bundled = "data/models/megnet-multifidelity"
    add("--model", default=bundled, help="model folder, .hdf5 file or published name (%(default)s)")
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
    from bandgaps.alloy import measured_curves

    if not all(measured_curves.lattice_constant(system, [0, 1]) > 0):
        known = ", ".join(measured_curves.DIAMOND)
        raise InputError(f"--system: no diamond lattice constant known for {'-'.join(system)}; choose two of {known}")
    if anchor and measured_curves.gap_citation(system) is None:
        known = ", ".join("-".join(each) for each in measured_curves.GAPS)
        raise InputError(f"--anchor: no measured gaps known for {'-'.join(system)}, only for {known}; leave it out")


def level_of_theory(model: Model, wanted: str | None) -> str | None:
    """The level to predict at: what is asked for, else experiment, else the model's first; None if it has but one."""
    known = model.hyperparameters.fidelities
    if wanted or not known:
        return wanted
    return "experiment" if "experiment" in known else known[0]


def enumerate_orderings(system: System, options: argparse.Namespace) -> list[Ordering]:
    """Every ordering on the diamond lattice, at the lattice constant of the first element."""
    from bandgaps.alloy import enumlib, measured_curves, orderings, pseudobinary

    parent = pseudobinary.diamond(system[0], float(measured_curves.lattice_constant(system, 0)))
    enumerate_ = orderings.orderings if options.enumerator == "built-in" else enumlib.orderings_by_enumlib
    found = enumerate_(parent, system, options.max_atoms)
    print(f"{len(found):,} orderings of {'-'.join(system)} in cells of up to {options.max_atoms} atoms")
    return found


def read_composition(formula: str, system: System) -> Composition:
    """Read one of --composition."""
    from pymatgen.core import Composition

    from bandgaps.alloy import quasirandom

    try:
        composition = Composition(formula)
    except ValueError as error:
        raise InputError(f"--composition: cannot read {formula!r} ({error}); write it as in Si49Ge51") from None
    quasirandom.check_composition(composition, system)
    return composition


def quasirandom(alloy: Alloy, wanted: list[Composition], options: argparse.Namespace) -> pd.DataFrame:
    """Gaps of quasirandom cells: both elements, three compositions between, and those that are asked for."""
    from pymatgen.core import Composition

    a, b = alloy.system
    always = [Composition(formula) for formula in (a, f"{a}3{b}", f"{a}{b}", f"{a}{b}3", b)]
    return alloy.quasirandom(list(dict.fromkeys([*always, *wanted])), options.seed)


def draw_orderings(alloy: Alloy, found: list[Ordering], folder: Path) -> dict[str, Any]:
    """Draw the orderings as they are, at the volume of the first element."""
    from bandgaps.alloy import figures, measured_curves, random_alloy

    volume = f"at {alloy.system[0]}'s volume"
    points = alloy.orderings(found, scale=False)
    means = report_means(alloy, points, folder / name(alloy, "structures-means.csv"), volume)
    figures.orderings(
        folder / name(alloy, "structures.pdf"),
        points,
        means,
        alloy.system,
        measured_curves.drawn(alloy.system),
        title(alloy, volume),
    )
    return random_alloy.mean_scores(means)


def draw_curves(
    alloy: Alloy, found: list[Ordering], cells: pd.DataFrame, options: argparse.Namespace
) -> dict[str, Any]:
    """Draw all representations of disorder at the alloy's own volume, and write and report the model's curve."""
    from bandgaps.alloy import figures, measured_curves, random_alloy

    volume, folder = "at the alloy's volume", options.figures
    points = alloy.orderings(found, scale=True)
    means = report_means(alloy, points, folder / name(alloy, "structures-scaled-means.csv"), volume)
    representation = options.disorder or random_alloy.representation(alloy.fidelity)
    curve = alloy.curve(means, representation)
    lowered = (
        "\ncurves lowered by the bowing by disorder of other alloys" if alloy.disorder_bowing(representation) else ""
    )
    path, label = folder / name(alloy, "structures-scaled.pdf"), title(alloy, volume) + lowered
    computed = alloy.first_principles()
    random = alloy.lowered(means, "orderings")
    figures.disorder(
        path,
        points,
        random,
        curve,
        cells,
        alloy.system,
        measured_curves.drawn(alloy.system),
        alloy.wide,
        label,
        computed,
    )
    write_table(cells, folder / name(alloy, "structures-scaled-quasirandom.csv"))
    write_table(curve, folder / name(alloy, "curve.csv"))
    if options.anchor:
        shifted = random_alloy.anchored_curve(curve)
        label = title(alloy, "curve, anchored") + lowered
        figures.anchored(
            folder / name(alloy, "curve-anchored.pdf"),
            shifted,
            alloy.system,
            measured_curves.drawn(alloy.system),
            label,
        )
    results = random_alloy.results(curve, alloy.wide)
    report_curves(results)
    return {
        "scaled": random_alloy.mean_scores(means),
        "disorder": representation,
        **results,
        "first-principles": None if computed is None else first_principles_scores(alloy, computed),
    }


def first_principles_scores(alloy: Alloy, computed: pd.DataFrame) -> dict[str, Any]:
    """Means of calculated gaps and how far they are from the measured curve (eV), which no model of such gaps mends."""
    from bandgaps.alloy import random_alloy

    means = alloy.means(computed)
    own = {
        f"{x:.3g}": {"orderings": count, "band_gap": gap}
        for x, count, gap in means[[alloy.x, "orderings", "band_gap"]].itertuples(index=False)
    }
    return {
        "level": computed["level"].iloc[0],
        "orderings": len(computed),
        **random_alloy.mean_scores(means),
        "means": own,
    }


def name(alloy: Alloy, rest: str) -> str:
    """Name of a file, such as SiGe-disordered-curve.csv."""
    return f"{''.join(alloy.system)}-disordered-{rest}"


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
    from bandgaps.alloy import measured_curves, random_alloy

    a, b = alloy.system
    formula = random_alloy.formula(composition)
    rows = cells.set_index("formula").loc[[a, formula, b]]
    shared = alloy.shared_sites(rows[alloy.x])
    measured = measured_curves.gap(alloy.system, rows[alloy.x])
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
