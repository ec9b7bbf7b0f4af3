"""Our own network architectures, built by name from the table in `vsearch.models.backbones`."""
