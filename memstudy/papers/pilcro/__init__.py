"""PILCRO's tables."""
