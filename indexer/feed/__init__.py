"""A feed of any supported format to catalog rows."""
