"""The search engine: images in, ranked ids out. Independent of SQL, HTTP and the other packages."""

# TensorFlow bundles an SQLite without full-text search. Python uses whichever is loaded first.
import sqlite3  # noqa: F401
