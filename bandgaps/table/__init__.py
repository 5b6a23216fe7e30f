"""Which materials, with which gaps? The table on disk: where its rows come from, cleaning, splitting."""
