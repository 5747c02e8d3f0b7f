"""Results as napari's layer tuples; imports no napari."""
