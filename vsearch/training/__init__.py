"""Training of checkpoints: a plan names sources, heads, backbones and phases."""
