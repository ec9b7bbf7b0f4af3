"""The SQL catalogue: products, their pictures, stored blocks and index runs.

Read `models` first, then `queries` (reads) and `changes` (writes). Imports neither vsearch nor the web.
"""
