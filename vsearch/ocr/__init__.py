"""Article numbers read from a photo."""
