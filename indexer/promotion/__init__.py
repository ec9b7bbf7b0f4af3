"""Comparing a candidate model with the one in use and promoting it."""
