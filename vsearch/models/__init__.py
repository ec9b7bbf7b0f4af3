"""Networks and related artifacts: backbones, heads, whitening, checkpoints, the registry."""
