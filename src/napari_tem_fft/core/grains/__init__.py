"""Grains: found by their spots, outlined, separated, measured."""
