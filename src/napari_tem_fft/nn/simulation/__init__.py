"""Simulated micrographs with the truth of every Bragg spot."""
