"""Maps of the image: components, specimen, orientation, strain."""
