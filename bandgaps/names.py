"""Names that the scripts and several modules share. It imports nothing, so that --help is quick."""

EXPERIMENT = "band_gap_experiment"
ESTIMATE = "band_gap_experiment_estimate"  # guessed by `bandgaps.estimates`

LEVELS = {  # of theory and their columns of the shared table, eV; in the order in which published models know them
    "pbe": "band_gap",
    "gllbsc": "band_gap_gllbsc",
    "hse": "band_gap_hse",
    "experiment": EXPERIMENT,
}

REPRESENTATIONS = {  # of disorder and their columns of an alloy's curve, eV
    "shared-site": "band_gap_shared_site",
    "orderings": "band_gap_orderings",
}
