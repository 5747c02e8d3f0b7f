"""Bragg spots: detected, refined, and filtered back to the image."""
