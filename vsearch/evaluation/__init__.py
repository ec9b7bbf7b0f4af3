"""Evaluation of search quality: queries, rankers, metrics and comparisons."""
