"""The nightly job: from a feed to a published generation. Start reading at `indexer.build.reindex`.

May import vsearch and catalog, never webui.
"""
