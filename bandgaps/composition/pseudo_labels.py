"""Measured gaps guessed from compositions, for training rows that nobody has measured.

Lists of measured gaps name many more formulas than a table has crystals of. A forest of Magpie features learns from all
of them, and what it has learnt reaches a network of crystal structures through its guesses for the table's own crystals
(pseudo-labels: Lee, ICML workshop on representation learning 2013; a model that teaches another: Hinton et al., arXiv
1503.02531).
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from bandgaps import levels
from bandgaps.composition import forest, magpie
from bandgaps.levels import EXPERIMENT
from bandgaps.table import columns
from bandgaps.table.measured_gaps import together
from bandgaps.table.sources import Filters, Source

FEWEST = 50  # measured gaps that a forest is grown on


def pseudo_labels(table: pd.DataFrame, formulas: pd.Series, gaps: pd.Series) -> np.ndarray:
    """A guess at the measured gap of each training row that represents its formula and was not measured itself.

    Where PBE, which underestimates gaps, has one, there is one: these rows ask a forest of measured non-metals, all
    others one of all measured gaps. Neither has seen a formula that the table sets aside for validation or test.

    Args:
        table: with the columns formula, band_gap (PBE, eV), band_gap_experiment and split.
        formulas: of the list of measured gaps, as pymatgen reduces them.
        gaps: of the list, eV.

    Returns:
        eV, shape (rows,); NaN where there is no guess, which is everywhere if the list has too few gaps.
    """
    measured = teachers(table, formulas, gaps)
    wanted = (table["split"] == "train") & table[EXPERIMENT].isna() & columns.represents_composition(table)
    guesses = np.full(len(table), np.nan)
    for rows, known in (
        (wanted & (table["band_gap"] > 0), measured[measured > 0]),
        (wanted & (table["band_gap"] == 0), measured),
    ):
        if rows.any() and len(known) >= FEWEST:
            guesses[rows.to_numpy()] = _guessed(known, table["formula"][rows])
    return guesses


def teachers(table: pd.DataFrame, formulas: pd.Series, gaps: pd.Series) -> pd.Series:
    """The measured gaps that the forests are fitted to, eV, indexed by formula: none that the table sets aside.

    Args:
        table: with the columns formula and split.
        formulas: as for `pseudo_labels`.
        gaps: as for `pseudo_labels`, eV.
    """
    set_aside = set(table["formula"][table["split"] != "train"])
    return gaps.groupby(formulas).mean().drop(labels=set_aside, errors="ignore")


def _guessed(known: pd.Series, formulas: pd.Series) -> np.ndarray:
    """The median over trees, which takes a metal for one where most of the trees do, eV, shape (formulas,)."""
    grown = forest.new().fit(magpie.features(known.index.tolist()), known.to_numpy())
    X = magpie.features(formulas.tolist()).astype(np.float32)
    return np.median([tree.predict(X) for tree in grown.estimators_], axis=0)


def with_pseudo_labels(table: pd.DataFrame, measured: Collection[Source], filters: Filters) -> pd.DataFrame:
    """Add what `pseudo_labels` makes of lists of measured gaps, without the formulas that are to be left out.

    Raises:
        InputError: a list has no gaps, or the table has no PBE gaps.
    """
    columns.require_columns(table, ["band_gap"], "the table, for --estimate")
    return table.assign(**{levels.PSEUDO_LABEL: pseudo_labels(table, *together(measured, filters))})
