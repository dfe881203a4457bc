"""Where in the images networks look."""
