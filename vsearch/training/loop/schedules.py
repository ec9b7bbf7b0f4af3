"""The learning rate at every step of a phase."""

import math

from vsearch.training.plan_parts import Phase


def learning_rate(phase: Phase, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step, counted from 0 over the whole phase.

    It rises in a straight line over the warm-up, then follows the phase's schedule: "cosine" reaches zero after the
    last step; the stretches of "step" are counted from the phase's start.
    """
    warm_up = round(phase.warm_up_epochs * steps_per_epoch)
    if step < warm_up:
        return phase.learning_rate * (step + 1) / warm_up
    if phase.schedule == "step":
        stretch = phase.every_steps or phase.every_epochs * steps_per_epoch
        return phase.learning_rate * phase.factor ** math.floor(step / stretch)
    if phase.schedule == "cosine":
        share = (step - warm_up) / max(1, phase.epochs * steps_per_epoch - warm_up)
        return phase.learning_rate * (1 + math.cos(math.pi * min(1.0, share))) / 2
    return phase.learning_rate
