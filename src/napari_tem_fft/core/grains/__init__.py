"""Grains: found by their spots, outlined, separated and measured."""
