"""The recorded image, its calibration, and the region of interest."""
