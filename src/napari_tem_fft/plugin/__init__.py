"""npe2 hooks of napari: reader, writer, sample data."""
