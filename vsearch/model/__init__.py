"""Networks and what reads their features. Keras is imported in `network`, `pocket_networks` and `ensemble` only."""
