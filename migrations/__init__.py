"""The schema history of the catalog, run by Alembic."""
