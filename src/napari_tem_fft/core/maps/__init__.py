"""Maps on the image: components, specimen, orientation, strain."""
