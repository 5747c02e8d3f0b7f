"""Spectra of an image: diffractogram, local spectra, noise, masks and inverse transforms."""
