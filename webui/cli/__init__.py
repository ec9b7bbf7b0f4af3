"""Commands that run the web server and search from the terminal."""
