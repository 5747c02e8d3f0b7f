"""Stored diffraction patterns: measured directly, without another transform."""
