"""Which classes to search for a photo."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def choose_classes(probabilities: ArrayLike, classes: Sequence[str], *, mass: float, floor: float) -> tuple[str, ...]:
    """Return the fewest classes whose probabilities add up to `mass`, likeliest first.

    Never only the predicted class: a photo classified as "loveseat" must still find the identical "sofa".

    Args:
        probabilities: one per class, summing to 1.
        classes: names.
        mass: share of the probability to cover, 0 < mass <= 1.
        floor: if no class reaches this probability, the classifier is undecided and all classes are returned.

    Raises:
        ValueError: the lengths differ or there is no class.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if values.shape != (len(classes),) or not len(classes):
        raise ValueError(f"expected one probability per class, got {values.shape} for {len(classes)} classes")
    order = np.argsort(-values, kind="stable")
    undecided = not values[order[0]] >= floor  # also for NaN
    rounding = 1e-9
    count = int(np.searchsorted(np.cumsum(values[order]), mass - rounding)) + 1
    return tuple(classes[number] for number in order[: len(classes) if undecided else count])
