"""Training of checkpoints. A plan specifies the sources, heads, backbones and phases."""
