"""How a checkpoint is made: a plan names sources, backbones and phases. Imports TensorFlow in `pipeline` and `fit` only."""
