"""The catalogue's schema history, run by Alembic."""
