"""python explore_structure.py [--model FOLDER | NAME] [--fidelity experiment] [--composition Si49Ge51 ...] [--anchor].

Predict the gap of a disordered alloy from the crystal structure, over its whole range: of every symmetry-distinct
ordering, of special quasirandom structures, and of one site that both elements share.

Reads the bundled model, another folder of structure.py, or published weights by name or path. Draws
figures/SiGe-disordered-structures.pdf (orderings at silicon's volume) and SiGe-disordered-structures-scaled.pdf (all of
them at the alloy's own) against the measured curve, each with a PNG, a CSV of every ordering and a CSV of the means;
writes the model's curve, figures/SiGe-disordered-curve.csv, and data/metrics/SiGe-structure.json. With --anchor it also
draws SiGe-disordered-curve-anchored.pdf, the curve shifted so that its ends are the measured ones. Every name says what
other model or fidelity was asked for: SiGe-structure-pbe.json, SiGe-disordered-curve-uncorrected.csv.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bandgaps.alloy.representations import REPRESENTATIONS
from bandgaps.arguments import seed, whole_number
from bandgaps.errors import InputError, exit_code
from bandgaps.levels import LEVELS

if TYPE_CHECKING:
    import pandas as pd

    from bandgaps.alloy.random_alloy import PredictedAlloy

BUNDLED = "data/models/megnet-multifidelity"
Result = TypeVar("Result")


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the figures, print the tables, and write the curve."""
    options = parser().parse_args(arguments)
    from bandgaps import formulas
    from bandgaps.alloy import enumlib, exploration, measured_curves, orderings, quasirandom, random_alloy
    from bandgaps.alloy.pseudobinary import PseudobinaryAlloy
    from bandgaps.files import write_json
    from bandgaps.structure import model_files

    system = naming("--system", formulas.parse_system, options.system)
    crystals = naming("--system", PseudobinaryAlloy.of_elements, system)
    if options.anchor and measured_curves.gap_citation(system) is None:
        known = ", ".join("-".join(each) for each in measured_curves.GAPS)
        raise InputError(f"--anchor: no measured gaps known for {crystals.label}, only for {known}; leave it out")
    sites = len(crystals.sublattice)
    wanted = [
        naming("--composition", quasirandom.read_composition, formula, system, sites)
        for formula in options.composition or ()
    ]
    naming("--max-atoms", orderings.check_size, options.max_atoms, len(crystals.first), sites)
    if options.enumerator == "pymatgen":
        found = naming("--enumerator", enumlib.orderings_by_enumlib, crystals.first, system, options.max_atoms)
    else:
        found = crystals.orderings(options.max_atoms)
    print(f"{len(found):,} orderings of {crystals.label} in cells of up to {options.max_atoms} atoms")

    model = model_files.load(options.model)
    fidelities = model.hyperparameters.fidelities
    if options.fidelity and options.fidelity not in fidelities:
        others = f"it knows {', '.join(fidelities)}" if fidelities else "it knows only one; leave the flag out"
        raise InputError(f"--fidelity {options.fidelity}: not known to this model; {others}")
    alloy = random_alloy.PredictedAlloy(
        crystals, model, random_alloy.fidelity_of(model, options.fidelity), not options.uncorrected
    )
    tell_model(alloy, Path(options.model).name)
    representation = options.disorder or random_alloy.representation(alloy.fidelity)
    explored = exploration.explore(alloy, found, wanted, representation, options.seed)
    unusual = {
        Path(options.model).name.removesuffix(".hdf5"): Path(options.model) != Path(BUNDLED),
        str(alloy.fidelity): alloy.fidelity != random_alloy.fidelity_of(model),
        "uncorrected": options.uncorrected,
    }
    path = options.metrics / name(alloy, "structure.json", unusual)
    exploration.draw(
        explored, lambda what: options.figures / name(alloy, f"disordered-{what}", unusual), options.anchor
    )
    metrics = {"model": Path(options.model).name, **exploration.metrics(explored, wanted)}
    tell_means(alloy.means(explored.unscaled), f"at {system[0]}'s volume")
    tell_means(alloy.means(explored.scaled), "at the alloy's volume")
    tell_curves(metrics)
    for composition, result in zip(wanted, metrics["compositions"], strict=True):
        tell_composition(exploration.beside_ends(explored, composition), result)
    write_json(metrics, path)
    print(f"\nwrote figures and tables to {options.figures}/, and {path}")


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", default=BUNDLED, help="model folder, .hdf5 file or published name (%(default)s)")
    add("--fidelity", choices=LEVELS, help="which gap to predict (experiment where the model knows it)")
    add("--system", default="Si-Ge", metavar="A-B", help="two elements with diamond lattices (%(default)s)")
    limit = "largest cell of the orderings, in atoms (%(default)s; 16 is the most and takes minutes)"
    add("--max-atoms", type=whole_number(1, 1000), default=10, metavar="N", help=limit)
    add("--composition", nargs="+", metavar="FORMULA", help="print the gap (eV) of these formulas, represented twice")
    curve = "what is the model's curve (shared-site for the fidelity experiment, else orderings)"
    add("--disorder", choices=REPRESENTATIONS, help=curve)
    raw = "leave out the residual bowing correction, known from held-out alloys of other systems"
    add("--uncorrected", action="store_true", help=raw)
    add("--anchor", action="store_true", help="also shift the curve linearly, so that its ends are the measured ones")
    enumerators = ("built-in", "pymatgen")
    add("--enumerator", choices=enumerators, default="built-in", help="pymatgen needs enumlib (%(default)s)")
    add("--seed", type=seed, default=0, metavar="N", help="seed of the quasirandom cells (%(default)s)")
    add("--figures", type=Path, default=Path("figures"), help="folder of the PDFs (%(default)s)")
    add("--metrics", type=Path, default=Path("data/metrics"), help="folder of the metrics (%(default)s)")
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
    """Print what predicts, and the correction with the evidence for it."""
    members = f"{name}, {len(alloy.model.members)} member(s)"
    print(f"{members}, fidelity: {alloy.fidelity or 'the only one it knows'}, 95 % within ± {alloy.wide:.2f} sigma")
    for representation, correction in alloy.corrections().items():
        if correction.mean is not None:
            done = "taken off" if correction.used else "cannot be told from zero, not taken off"
            print(f"residual bowing, {representation}: {correction}, {done}")


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
    print(f"\n{'':>14} {'':>7} {'quasirandom cell':>18} {'shared site':>18} {'measured':>9}")
    print(f"{'crystal':>14} {x:>7} {'gap ± sigma (eV)':>18} {'gap ± sigma (eV)':>18} {'gap (eV)':>9}")
    columns = ["formula", x, "band_gap", "band_gap_std", "band_gap_shared_site", "band_gap_shared_site_std"]
    for crystal, part, *gaps, measured in rows[[*columns, "band_gap_measured"]].itertuples(index=False):
        cell, shared = (f"{gap:.3f} ± {std:.3f}" for gap, std in (gaps[:2], gaps[2:]))
        print(f"{crystal:>14} {part:7.3f} {cell:>18} {shared:>18} {measured:9.3f}")
    a, formula, b = rows["formula"]
    for representation, own in (("quasirandom cell", result), ("shared site", result["shared_site"])):
        where = "between" if own["between_ends"] else "outside"
        print(f"{formula} lies {where} the predicted gaps of {a} and {b} as a {representation}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
