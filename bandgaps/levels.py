"""Fidelities and their columns in the table. It imports nothing, so that --help is quick."""

from __future__ import annotations

EXPERIMENT = "band_gap_experiment"
EXPERIMENT_STD = "band_gap_experiment_std"  # eV, the standard deviation of a measured gap
CALCULATED = {  # calculated fidelities and their columns of the shared table, eV
    "pbe": "band_gap",
    "gllbsc": "band_gap_gllbsc",
    "hse": "band_gap_hse",
    "snumat": "band_gap_hse_snumat",
}
LEVELS = {**CALCULATED, "experiment": EXPERIMENT}
NAMES = {"pbe": "PBE", "gllbsc": "GLLB-SC", "hse": "HSE", "snumat": "HSE (SNUMAT)", "experiment": "measured"}
"""What figures call the gaps of a fidelity."""
