"""Scores of a structure model on rows of a table: what is printed, written and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandgaps import metrics, plotting
from bandgaps.errors import InputError
from bandgaps.files import write_json
from bandgaps.structure import ensemble, evaluation, faults, measured_scores, tables
from bandgaps.structure.calibration import Calibration
from bandgaps.structure.ensemble import Model
from bandgaps.structure.evaluation import Predictions
from bandgaps.structure.graphs import Graphs

PARTS = ("non-metals", "all")
SMALL = 5_000  # training rows; a model of fewer has seen too little to be trusted on its own
FEW_ROWS = "a model of so few rows shows trends among crystals like those it has seen; trust none of its gaps alone"
PUBLISHED = "these weights were trained on Materials Project entries, perhaps these very ones: their score is no test"


def score(
    model: Model,
    name: str,
    rows: pd.DataFrame,
    path: Path,
    target: str,
    fidelity: str | None,
    scores: Path,
    figure: Path,
) -> dict[str, Any]:
    """Score a model on rows; print the scores, write them, and draw predicted against actual gaps.

    Args:
        model: a model of structures.
        name: what to call it.
        rows: part of a table. Rows that the model cannot predict are left out and counted.
        path: where the table lies.
        target: the column that models of one fidelity are scored on.
        fidelity: the only fidelity to score; None scores all that model and table know.
        scores: the JSON file.
        figure: the PDF.

    Returns:
        What is in the JSON file; errors in eV.

    Raises:
        InputError: the model gives probabilities, does not know the fidelity, or can predict no row.
    """
    if model.hyperparameters.probability:
        raise InputError(f"{name}: gives a probability, not {target}; it can predict files but not be scored")
    kept, graphs, left_out = usable(model, rows, path)
    if not len(kept):
        raise InputError(f"{path}: none of the {len(rows):,} rows to score can be predicted; see the lines above")
    columns = evaluation.fidelity_columns(model, rows, target, fidelity)
    found = evaluation.predictions(model, kept, graphs, columns)
    return publish(model, name, found, columns, path, target, left_out, scores, figure)


def usable(model: Model, rows: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, Graphs, dict[str, int]]:
    """The rows that a model can predict and their graphs; how many it cannot, by reason, which is printed as well."""
    graphs, found = tables.graphs_and_faults(rows, path, model.hyperparameters.cutoff)
    found = {**ensemble.unknown_elements(graphs, model.hyperparameters), **found}
    if not found:
        return rows, graphs, {}
    names = tables.names(rows, path)
    print("\n".join(faults.summary(found, names)))
    kept = np.setdiff1d(np.arange(len(rows)), list(found))
    return rows.iloc[kept], graphs.select(kept), faults.counts(found)


def publish(
    model: Model,
    name: str,
    found: Mapping[str | None, Predictions],
    columns: Mapping[str | None, str],
    path: Path,
    target: str,
    left_out: Mapping[str, int],
    scores: Path,
    figure: Path,
) -> dict[str, Any]:
    """Print, write and draw predictions; see `score`."""
    by_fidelity = {fidelity: each.scores() for fidelity, each in found.items()}
    first = next(iter(found))
    own = {"table": path.name, "model": name, "target": target, "fidelity": first}
    result: dict[str, Any] = {**own, **by_fidelity[first], **_note(model)}
    if len(found) > 1:
        result["fidelities"] = by_fidelity
    if left_out:
        result["left_out"] = dict(left_out)
    if model.measured is not None:
        result["measured"] = measured_scores.scores(model.measured)
        print("\n".join(measured_lines(result["measured"])))
    for fidelity, column in columns.items():
        label = f"{column}, fidelity {fidelity}" if fidelity else column
        _print(f"{name} on {len(found[fidelity].actual):,} rows of {path.name} ({label})", by_fidelity[fidelity])
    if model.formulas is not None:
        compositions = np.concatenate([each.composition for each in found.values()])
        unseen = np.concatenate([each.composition[~each.seen] for each in found.values()])
        count, total = len(np.unique(unseen)), len(np.unique(compositions))
        print(f"{count:,} of the {total:,} compositions were not in its training")
    if "note" in result:
        print(f"note: {result['note']}")
    write_json(result, scores)
    shown = found[first]
    plotting.parity(figure, shown.actual, shown.predicted, shown.std, f"MEGNet, {name}")
    print(f"wrote {scores}, {figure}")
    return result


def _note(model: Model) -> dict[str, str]:
    """What to keep in mind with these scores."""
    if model.published:
        return {"note": PUBLISHED}
    few = int(model.card.get("trained_on", {}).get("rows", SMALL)) < SMALL
    return {"note": FEW_ROWS} if few else {}


def _print(title: str, scores: Mapping[str, Any]) -> None:
    """Print the scores of one fidelity."""
    print(f"\n{title}\n{metrics.format_table({part: scores[part] for part in PARTS})}")
    if "predicted-non-metals" in scores:
        held = scores["predicted-non-metals"]
        shares = f"{held['within_68']:.1%} and {held['within_95']:.1%}"
        rows = f"the {held['n']:,} rows in which it sees a gap ({held['compositions']:,} compositions)"
        print(f"intervals of 68 and 95 % hold {shares} of {rows}")
    if "mean_guess_mae" in scores:
        print(
            f"always guessing the training mean, {scores['mean_guess']:.2f} eV: MAE {scores['mean_guess_mae']:.4f} eV"
        )


def for_card(result: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `score`'s result that a model's card holds."""
    return {"test": {key: result[key] for key in (*PARTS, "fidelities", "measured") if key in result}}


def measured_lines(scores: Mapping[str, Any]) -> list[str]:
    """What cross-validation says of a model of measured gaps."""
    gapped, overlooked = scores["non-metals"], scores["pbe-metals"]
    return [
        f"\nmeasured gaps of compositions left out in turn\n{metrics.format_table({p: scores[p] for p in PARTS})}",
        f"intervals of 68 and 95 % hold {gapped['within_68']:.1%} and {gapped['within_95']:.1%} of the non-metals; "
        f"half of those of 68 % are narrower than {gapped['width_68']:.2f} eV",
        f"{overlooked['n']} non-metals that are metals by the network's PBE gap: MAE {overlooked['mae']:.3f} eV",
    ]


def calibration_lines(found: Mapping[str, Calibration]) -> list[str]:
    """What each fidelity's sigma was calibrated on, one line each."""
    if not found:
        return ["sigma is the members' spread: there are too few compositions to calibrate it on"]
    return [
        f"sigma{f' of {name}' if name else ''} calibrated on {each.compositions:,} compositions ({each.rows})"
        for name, each in found.items()
    ]
