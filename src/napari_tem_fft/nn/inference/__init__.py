"""The network in use: NumPy alone."""
