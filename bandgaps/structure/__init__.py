"""What does the crystal say? Crystal graphs, the MEGNet network, its training and its calibration."""
