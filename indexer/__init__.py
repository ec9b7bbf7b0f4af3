"""The nightly job: feed in, published generation out. Read `indexer.build.reindex` first.

May import vsearch and catalog, never webui.
"""
