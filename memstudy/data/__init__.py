"""Image sets, corruption rules, and the corrupted data set that a run trains on."""
