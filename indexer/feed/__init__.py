"""Imports feeds of any supported format into the catalog."""
