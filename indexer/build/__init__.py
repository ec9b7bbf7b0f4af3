"""The nightly job, which builds a generation from the catalog and publishes it."""
