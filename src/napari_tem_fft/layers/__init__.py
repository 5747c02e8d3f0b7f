"""Results as napari layer tuples; does not import napari."""
