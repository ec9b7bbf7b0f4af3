"""Training one backbone phase by phase."""
