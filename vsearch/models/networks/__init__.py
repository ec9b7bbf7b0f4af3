"""Network architectures of our own, built by name from the table in `vsearch.models.backbones`."""
