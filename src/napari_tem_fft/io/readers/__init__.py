"""Microscopes' files."""
