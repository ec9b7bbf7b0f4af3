"""Conventions for vectors and ids."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

PADDING = -1
"""Id in the unused columns of a row with fewer results than columns."""


def l2_normalize(vectors: ArrayLike) -> NDArray[np.float32]:
    """Return `vectors` [..., d] scaled to unit length along the last axis; zero vectors stay zero."""
    values = np.asarray(vectors, dtype=np.float32)
    lengths = np.sqrt(np.einsum("...d,...d->...", values, values))[..., None]  # avoids another array of that size
    return np.asarray(values / np.where(lengths > 0, lengths, 1), dtype=np.float32)
