"""The ranking of all methods."""
