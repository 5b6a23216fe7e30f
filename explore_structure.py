"""Predict the gap of a disordered alloy over its whole range from the crystal structure.

    python explore_structure.py --composition Si49Ge51                           the Si-Ge alloy, by the bundled model
    python explore_structure.py --system GaAs-AlAs --composition Al0.3Ga0.7As    an alloy of two compounds
    python explore_structure.py --ends A.cif B.cif                               an alloy of two crystals of your own

Disorder is represented in three ways: by every symmetry-distinct ordering in small cells, by special quasirandom
structures, and by sites that both elements share.

Draws figures/SiGe-disordered-structures.pdf (orderings at silicon's volume) and SiGe-disordered-structures-scaled.pdf
(all three at the alloy's own volume) with the measured curve where there is one, each with a PNG and CSVs. Writes the
predicted curve, figures/SiGe-disordered-curve.csv, and data/metrics/SiGe-structure.json. Names of files say which other
model or fidelity was asked for, as in SiGe-structure-pbe.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bandgaps.alloy.representations import REPRESENTATIONS
from bandgaps.arguments import Parser, check_outputs, seed, whole_number
from bandgaps.errors import InputError, exit_code
from bandgaps.levels import LEVELS

if TYPE_CHECKING:
    import pandas as pd

    from bandgaps.alloy.random_alloy import PredictedAlloy

Result = TypeVar("Result")


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the figures, print the tables, and write the curve."""
    options = parser().parse_args(arguments)
    check_outputs(options, folders=["figures", "metrics"])
    from bandgaps.alloy import ends, enumlib, exploration, measured_curves, orderings, random_alloy
    from bandgaps.files import write_json
    from bandgaps.formulas import parse_system
    from bandgaps.structure import model_files

    try:
        crystals = ends.of_files(options.ends) if options.ends else ends.of_system(parse_system(options.system))
    except ends.NoCommonStructureError as error:
        choices = [f"--ends {one} {other}" for one, other in error.choices]
        raise InputError(f"--system: {error}; choose one: {', '.join([*choices, '--ends A.cif B.cif'])}") from None
    except InputError as error:
        raise InputError(f"{'--ends' if options.ends else '--system'}: {error}") from None
    if options.anchor and not measured_curves.is_whole(crystals.names):
        known = ", ".join(each.label for each in measured_curves.all_measured() if each.is_whole)
        raise InputError(f"--anchor: no measured gaps of both ends known for {crystals.label}, only for {known}")
    wanted = options.composition or []
    for formula in wanted:
        naming("--composition", crystals.read, formula)
    max_atoms = options.max_atoms or max(10, len(crystals.first))
    naming("--max-atoms", orderings.check_size, crystals.first, crystals.elements[0], max_atoms)
    if options.enumerator == "pymatgen":
        found = naming("--enumerator", enumlib.orderings_by_enumlib, crystals.first, crystals.elements, max_atoms)
    else:
        found = crystals.orderings(max_atoms)
    print(f"{len(found):,} orderings of {crystals.label} in cells of up to {max_atoms} atoms")

    folder = options.model or model_files.BUNDLED
    model, model_name = model_files.load(folder), Path(folder).name
    fidelities = model.fidelities
    if options.fidelity and options.fidelity not in fidelities:
        others = f"it knows {', '.join(fidelities)}" if fidelities else "it knows only one; leave the flag out"
        raise InputError(f"--fidelity {options.fidelity}: not known to this model; {others}")
    alloy = random_alloy.PredictedAlloy(crystals, model, random_alloy.fidelity_of(model, options.fidelity))
    tell_model(alloy, model_name)
    representation = options.disorder or random_alloy.representation(alloy.fidelity)
    explored = exploration.explore(alloy, found, wanted, representation, options.seed)
    unusual = {
        model_name.removesuffix(".hdf5"): model_name != model_files.BUNDLED.name,
        str(alloy.fidelity): alloy.fidelity != random_alloy.fidelity_of(model),
    }
    path = options.metrics / name(alloy, "structure.json", unusual)
    exploration.draw(
        explored, lambda what: options.figures / name(alloy, f"disordered-{what}", unusual), options.anchor
    )
    metrics = {"model": model_name, **exploration.metrics(explored, wanted)}
    tell_means(alloy.means(explored.unscaled), f"at {crystals.names[0]}'s volume")
    tell_means(alloy.means(explored.scaled), "at the alloy's volume")
    tell_curves(metrics)
    for formula, result in zip(wanted, metrics["compositions"], strict=True):
        tell_composition(exploration.beside_ends(explored, formula), result)
    write_json(metrics, path)
    print(f"\nwrote figures and tables to {options.figures}/, and {path}")


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = Parser(__doc__)
    add = parser.add_argument
    model = "The trained model: a folder, an .hdf5 file, or a published MEGNet by name (default: the bundled model)."
    add("--model", metavar="NAME|PATH", help=model)
    fidelity = "The kind of gap to predict (default: experiment, the measured gap, where the model knows it)."
    add("--fidelity", choices=LEVELS, help=fidelity)
    which = parser.add_mutually_exclusive_group()
    system = (
        "The ends of the alloy: two of C, Si, Ge and Sn, or two bundled compounds of one structure that differ in one "
        "element, such as PbS-PbSe (default: %(default)s)."
    )
    which.add_argument("--system", default="Si-Ge", metavar="A-B", help=system)
    ends = "The crystals at both ends instead: two files (CIF, POSCAR), or bundled ones by name, such as wurtzite-Zn-O."
    which.add_argument("--ends", nargs=2, metavar=("A", "B"), help=ends)
    limit = (
        "The largest cell of the orderings, in atoms (default: 10, or the cell of the ends). Si-Ge takes 16 at most."
    )
    add("--max-atoms", type=whole_number(1, 1000), metavar="N", help=limit)
    compositions = (
        "Also print the gap (eV) of these formulas, such as Al0.3Ga0.7As, as a quasirandom structure and with shared "
        "sites."
    )
    add("--composition", nargs="+", metavar="FORMULA", help=compositions)
    curve = "The representation of disorder behind the curve (default: shared-site for measured gaps, else orderings)."
    add("--disorder", choices=REPRESENTATIONS, help=curve)
    anchor = "Also draw and write the curve shifted linearly so that its ends are the measured ones."
    add("--anchor", action="store_true", help=anchor)
    enumerator = "The code that lists the orderings; pymatgen needs the program enumlib (default: %(default)s)."
    add("--enumerator", choices=("built-in", "pymatgen"), default="built-in", help=enumerator)
    seed_of = "The seed of the quasirandom structures (default: %(default)s)."
    add("--seed", type=seed, default=0, metavar="N", help=seed_of)
    figures = "The folder to write figures to (default: %(default)s)."
    add("--figures", type=Path, default=Path("figures"), metavar="FOLDER", help=figures)
    metrics = "The folder to write the numbers to (default: %(default)s)."
    add("--metrics", type=Path, default=Path("data/metrics"), metavar="FOLDER", help=metrics)
    return parser


def naming(flag: str, call: Callable[..., Result], *values: object) -> Result:
    """The result of a call that a flag decides; the flag is added to what may be wrong with it."""
    try:
        return call(*values)
    except InputError as error:
        raise InputError(f"{flag}: {error}") from None


def name(alloy: PredictedAlloy, what: str, unusual: dict[str, bool]) -> str:
    """Name of a file: the alloy, what it holds, and where they are not the default ones, model and fidelity."""
    stem, suffix = what.rsplit(".", 1)
    return (
        "-".join(["".join(alloy.alloy.names), stem, *(word for word, told in unusual.items() if told)]) + f".{suffix}"
    )


def tell_model(alloy: PredictedAlloy, name: str) -> None:
    """Print what predicts, and how wide its intervals are."""
    members = f"{name}, {len(alloy.model.members)} member(s)"
    print(f"{members}, fidelity: {alloy.fidelity or 'the only one it knows'}, 95 % within ± {alloy.wide:.2f} sigma")


def tell_means(means: pd.DataFrame, volume: str) -> None:
    """Print the means over orderings."""
    print(f"\nMean gap over orderings {volume} (eV)\n{means.to_string(index=False, float_format='{:.3f}'.format)}")


def tell_curves(metrics: dict[str, Any]) -> None:
    """Print how far the model's curve is from the measured one."""
    if metrics["straight-line"] is None:
        return
    print("\nMean absolute deviation from the measured curve (eV)")
    for representation, scores in metrics["curves"].items():
        own, shifted = scores["mean_absolute_deviation"], scores["anchored"]["mean_absolute_deviation"]
        print(f"{representation:>14} {own:7.3f}   anchored at both ends {shifted:.3f}")
    line = metrics["straight-line"]["mean_absolute_deviation"]
    print(f"{'straight line':>14} {'':7}   between the measured ends {line:.3f}")


def tell_composition(rows: pd.DataFrame, result: dict[str, Any]) -> None:
    """Print the gap of a composition beside those of the two elements, represented twice."""
    x = rows.columns[1]
    print(f"\n{'':>14} {'':>7} {'quasirandom structure':>22} {'shared sites':>18} {'measured':>9}")
    print(f"{'crystal':>14} {x:>7} {'gap ± sigma (eV)':>22} {'gap ± sigma (eV)':>18} {'gap (eV)':>9}")
    columns = ["formula", x, "band_gap", "band_gap_std", "band_gap_shared_site", "band_gap_shared_site_std"]
    for crystal, part, *gaps, measured in rows[[*columns, "band_gap_measured"]].itertuples(index=False):
        cell, shared = (f"{gap:.3f} ± {std:.3f}" for gap, std in (gaps[:2], gaps[2:]))
        print(f"{crystal:>14} {part:7.3f} {cell:>22} {shared:>18} {measured:9.3f}")
    a, formula, b = rows["formula"]
    for representation, own in (("as a quasirandom structure", result), ("with shared sites", result["shared_site"])):
        where = "between" if own["between_ends"] else "outside"
        print(f"{formula} lies {where} the predicted gaps of {a} and {b} {representation}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
