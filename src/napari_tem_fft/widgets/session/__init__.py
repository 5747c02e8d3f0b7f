"""State of the images of a viewer, and running work."""
