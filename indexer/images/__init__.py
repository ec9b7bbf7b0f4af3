"""Fetching the images that a feed names."""
