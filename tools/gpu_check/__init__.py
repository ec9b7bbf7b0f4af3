"""Check vsearch on a machine with a GPU: that its answers are those of the CPU, and how fast it is."""
