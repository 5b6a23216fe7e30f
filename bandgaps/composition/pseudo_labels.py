"""Pseudo-labels: measured gaps predicted from compositions, for training rows that nobody has measured.

Lists of measured gaps name many more formulas than a table has crystals of. A forest of Magpie features learns from all
of them, and what it has learnt reaches a network of crystal structures through its predictions for the table's own
crystals (pseudo-labels: Lee, ICML workshop on representation learning 2013; a model that teaches another: Hinton et
al., arXiv 1503.02531).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bandgaps import levels, magpie
from bandgaps.composition import forest
from bandgaps.formulas import composition_keys
from bandgaps.levels import EXPERIMENT
from bandgaps.table import columns
from bandgaps.table.measured_gaps import together
from bandgaps.table.sources import Filters, Source

FEWEST = 50  # measured gaps that a forest is grown on


def with_pseudo_labels(table: pd.DataFrame, measured: Sequence[Source], filters: Filters) -> pd.DataFrame:
    """Add the column of pseudo-labels (eV) that forests of lists of measured gaps predict.

    Args:
        table: as for `pseudo_labels`.
        measured: the lists; what a later one says of a composition counts.
        filters: the systems that are to be left out teach nothing.

    Raises:
        InputError: a list has no gaps, or the table has no PBE gaps.
    """
    columns.require_columns(table, ["band_gap"], "the table, which is to get pseudo-labels")
    return table.assign(**{levels.PSEUDO_LABEL: pseudo_labels(table, *together(measured, filters))})


def pseudo_labels(table: pd.DataFrame, formulas: pd.Series, gaps: pd.Series) -> np.ndarray:
    """The pseudo-label of each training row that represents its composition and was not measured itself.

    Where PBE, which underestimates gaps, has one, there is one: these rows ask a forest of measured non-metals, all
    others one of all measured gaps. Both are grown on `teachers` alone.

    Args:
        table: with the columns formula, band_gap (PBE, eV), band_gap_experiment and split.
        formulas: of the list of measured gaps.
        gaps: of the list, eV.

    Returns:
        eV, shape (rows,); NaN where there is no pseudo-label, which is everywhere if the list has too few gaps.
    """
    measured = teachers(table, formulas, gaps)
    wanted = (table["split"] == "train") & table[EXPERIMENT].isna() & columns.represents_composition(table)
    labels = np.full(len(table), np.nan)
    for rows, known in (
        (wanted & (table["band_gap"] > 0), measured[measured > 0]),
        (wanted & (table["band_gap"] == 0), measured),
    ):
        if rows.any() and len(known) >= FEWEST:
            labels[rows.to_numpy()] = _predicted(known, table["formula"][rows])
    return labels


def teachers(table: pd.DataFrame, formulas: pd.Series, gaps: pd.Series) -> pd.Series:
    """The measured gaps that the forests are grown on: none of a composition that the table keeps from training.

    Args:
        table: with the columns formula and split.
        formulas: of the list of measured gaps.
        gaps: of the list, eV.

    Returns:
        The mean gap of each composition, eV, indexed by its first formula, in alphabetical order.
    """
    keys = pd.Series(composition_keys(formulas), index=gaps.index)
    set_aside = composition_keys(table["formula"][table["split"] != "train"])
    taught = ~keys.isin(set_aside)
    grouped = pd.DataFrame({"formula": formulas, "gap": gaps})[taught].groupby(keys[taught])
    return grouped.agg({"formula": "first", "gap": "mean"}).set_index("formula")["gap"].sort_index()


def _predicted(known: pd.Series, formulas: pd.Series) -> np.ndarray:
    """The median over trees, which takes a metal for one where most of the trees do, eV, shape (formulas,)."""
    grown = forest.new().fit(magpie.features(known.index.tolist()), known.to_numpy())
    X = magpie.features(formulas.tolist()).astype(np.float32)
    return np.median([tree.predict(X) for tree in grown.estimators_], axis=0)
