"""Strangers: pictures of things that no shop sells, known to a checkpoint, against which every likeness is held.

A photo of a cat is a little like some chair; but it is more like other cats. What counts for the words of a match is
therefore its margin: the score less how much nearer the photo is to strangers than photos of the shop's own products
usually are. Scores are held against those of a cohort in this way where speakers are verified (Matejka et al.,
Interspeech 2017). All pure; d numbers in an embedding.
"""

import numpy as np
from numpy.typing import NDArray

from vsearch.metrics import l2_normalize

Vectors = NDArray[np.float32]

USUAL = 0.75
"""Share of the shop's own photos that are no nearer to strangers than is usual. A shop of groceries is near to them."""

NEAREST = 5
"""Strangers whose cosine counts: one may be alike by chance."""

KEPT = 0.9
"""Share of the strangers that photos are held against, the ones least like the catalogue."""


def nearness(embeddings: Vectors, strangers: Vectors) -> Vectors:
    """Return how near pictures are to strangers, the mean of the `NEAREST` greatest cosines, float32 [q].

    Args:
        embeddings: of q pictures, [q, d].
        strangers: [n, d], of unit length; where there are none, nothing is near to them: 0.
    """
    if not len(strangers):
        return np.zeros(len(embeddings), np.float32)
    return _greatest(l2_normalize(embeddings) @ strangers.T)


def unlike(strangers: Vectors, catalogue: Vectors, rows: int = 32) -> tuple[Vectors, NDArray[np.bool_]]:
    """Return the best score of each stranger in a catalogue, float32 [n], and which of them it sells nothing like.

    The latter, bool [n], are all but the tenth that is nearest: what is strange to most shops may be sold by this one.

    Args:
        strangers: [n, d], of unit length.
        catalogue: embeddings of its pictures, [p, d], at least one.
        rows: strangers compared at a time.
    """
    gallery = l2_normalize(catalogue)
    parts = [(strangers[at : at + rows] @ gallery.T).max(axis=1) for at in range(0, len(strangers), rows)]
    scores = np.concatenate(parts)
    return scores, scores <= np.quantile(scores, KEPT)


def among_themselves(strangers: Vectors, kept: NDArray[np.bool_]) -> Vectors:
    """Return how near strangers are to those of them that photos are held against, but for themselves, float32 [n].

    Args:
        strangers: [n, d], of unit length.
        kept: bool [n].
    """
    cosines = strangers @ strangers[kept].T
    cosines[np.flatnonzero(kept), np.arange(kept.sum())] = -np.inf
    return _greatest(cosines)


def excess(near: Vectors, usual: float) -> Vectors:
    """Return what is taken off scores of pictures so near to strangers, float32 [q]; nothing up to what is usual."""
    return np.asarray(np.maximum(near - usual, 0), np.float32)


def _greatest(cosines: Vectors) -> Vectors:
    count = min(NEAREST, cosines.shape[1] - 1) or 1
    return np.asarray(np.partition(cosines, -count, axis=1)[:, -count:].mean(axis=1), np.float32)
