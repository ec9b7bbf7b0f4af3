"""Which classes to search for a photo: enough of them that a near miss of the classifier loses nothing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def choose_classes(probabilities: ArrayLike, classes: Sequence[str], *, mass: float, floor: float) -> tuple[str, ...]:
    """Return the fewest classes whose probabilities add up to `mass`, likeliest first.

    Never only the predicted class: a photo judged "loveseat" must still reach the identical "sofa".

    Args:
        probabilities: [c], one per class, summing to 1.
        classes: c names.
        mass: share of the probability to cover, 0 < mass <= 1.
        floor: when the likeliest class is below this, the classifier does not know: all classes are returned.

    Raises:
        ValueError: the lengths differ or there is no class.
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    if chances.shape != (len(classes),) or not len(classes):
        raise ValueError(f"each class needs one probability, got {chances.shape} for {len(classes)} classes")
    order = np.argsort(-chances, kind="stable")
    covered = np.cumsum(chances[order])
    unsure = not chances[order[0]] >= floor  # also when the probabilities are not numbers
    rounding = 1e-9
    count = len(classes) if unsure else int(np.searchsorted(covered, mass - rounding)) + 1
    return tuple(classes[number] for number in order[:count])
