"""The image as it was recorded, its calibration, and the region of interest."""
