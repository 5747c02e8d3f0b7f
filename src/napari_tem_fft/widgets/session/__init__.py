"""What is known of the images of a viewer, and the work under way."""
