"""From the catalog to a published generation: the nightly job."""
