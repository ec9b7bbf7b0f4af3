"""The commands `vsearch serve`, `search`, `demo` and `users`."""
