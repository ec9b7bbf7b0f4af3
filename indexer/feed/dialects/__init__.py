"""Exports of other systems: those recognized by their header, and those read with a mapping (`woocommerce_magento`).

A dialect has `MARKERS` (the columns by which it is recognized), `column_name`, `TRANSLATED_COLUMNS` and `translate`.
"""

from indexer.feed.dialects import google_merchant, shopify

DIALECTS = (google_merchant, shopify)
"""Exports that need no mapping."""
