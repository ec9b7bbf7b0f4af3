"""Commands that serve the page and search from the terminal."""
