"""Networks and what is stored with them: backbones, heads, whitening, checkpoints, the registry."""
