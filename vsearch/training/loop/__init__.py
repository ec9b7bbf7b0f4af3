"""Training of a single backbone, phase by phase."""
