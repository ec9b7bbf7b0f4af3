"""The engine: pictures in, ranked ids out. Knows no SQL and no HTTP.

Read `engine` first, then `gallery`, `generation` and `model.checkpoint`. Imports nothing of the other packages,
except in `vsearch.cli`, the thin table of commands that is the only place that knows them all.
"""

# TensorFlow brings an SQLite of its own, without full-text search; whichever is loaded first is the one Python gets.
import sqlite3  # noqa: F401
