"""Radial profiles of a spectrum."""
