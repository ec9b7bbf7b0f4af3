"""The Flask pages and the JSON API. Read `create_app` first, then `shop`.

May import vsearch and catalog, never indexer.
"""
