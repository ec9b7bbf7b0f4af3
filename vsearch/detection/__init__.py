"""Product detection: boxes around the products in a photo."""
