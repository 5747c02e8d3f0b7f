"""Docks in napari: controls, pictures and nothing else; all measuring is done in `core`."""
