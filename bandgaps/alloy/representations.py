"""The two ways in which a model of crystals is shown a random alloy. It imports nothing, so that --help is quick."""

from __future__ import annotations

REPRESENTATIONS = {  # of disorder and their columns of an alloy's curve, eV
    "shared-site": "band_gap_shared_site",
    "orderings": "band_gap_orderings",
}
