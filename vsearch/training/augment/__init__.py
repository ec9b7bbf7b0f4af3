"""Random changes to training batches."""
