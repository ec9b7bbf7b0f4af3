"""The search engine: images in, ranked ids out. It knows neither SQL nor HTTP, and imports no other package of ours."""

# TensorFlow bundles an SQLite without full-text search. The one loaded first is used by Python.
import sqlite3  # noqa: F401
