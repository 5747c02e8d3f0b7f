"""napari's hooks: reader, writer, sample data."""
