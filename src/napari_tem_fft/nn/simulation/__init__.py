"""Simulated micrographs with the ground truth of all Bragg spots."""
