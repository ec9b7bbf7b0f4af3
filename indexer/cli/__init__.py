"""Commands that import, index, promote and run jobs."""
