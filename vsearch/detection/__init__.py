"""Boxes of products in a photo."""
