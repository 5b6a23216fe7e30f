"""Fidelities and their columns in the table. It imports nothing, so that --help is quick."""

from __future__ import annotations

EXPERIMENT = "band_gap_experiment"
PSEUDO_LABEL = "band_gap_experiment_estimate"  # from `bandgaps.composition.pseudo_labels`
LEVELS = {  # fidelities and their columns of the shared table, eV; in the order in which published models know them
    "pbe": "band_gap",
    "gllbsc": "band_gap_gllbsc",
    "hse": "band_gap_hse",
    "snumat": "band_gap_hse_snumat",
    "experiment": EXPERIMENT,
}
