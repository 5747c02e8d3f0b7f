"""Inference with a trained network, with NumPy alone."""
