"""Image bytes to arrays: decoding, geometry, preprocessing, synthetic views, descriptors."""
