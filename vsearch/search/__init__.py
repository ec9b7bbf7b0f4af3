"""Search: the engine and its loaded generation, routing, score normalization, merging of results."""
