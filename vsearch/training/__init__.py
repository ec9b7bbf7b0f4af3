"""How a checkpoint is made: a plan names sources, backbones and phases.

Only `pipeline`, `fit` and `assemble` import TensorFlow.
"""
