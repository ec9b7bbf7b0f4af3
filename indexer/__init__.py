"""The nightly job: feed in, published generation out. Read `run` first.

May import vsearch and catalog, never webui.
"""
