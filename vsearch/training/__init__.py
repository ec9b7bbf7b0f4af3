"""How a checkpoint is made: a plan names sources, heads, backbones and phases.

What batches go through on their way (`perturb`, `pipeline`, `losses`, `steps`, `phases`, `fit` and the like) imports
TensorFlow; sources, plans, schedules and scoring do not.
"""
