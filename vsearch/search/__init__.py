"""One search: the engine, what it serves, routing, score normalization, merging of results."""
