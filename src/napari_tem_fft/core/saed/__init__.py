"""Stored diffraction patterns: measured as they are, never transformed again."""
