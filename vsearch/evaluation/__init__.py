"""How well a search finds: queries, rankers, metrics, comparisons."""
