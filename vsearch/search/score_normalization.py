"""The margin of a hit: its score, compared with what else resembles the photo.

A cosine alone says little: a sharp photo resembles everything more than a blurred one does, and a photo of a cat
slightly resembles some chair. The margin therefore deducts half of the mean similarity to the next products of the
catalog, and half of that to a background cohort: embeddings of images that no shop sells. A photo of a product that is
not sold resembles several products almost equally; one of something else resembles the cohort.

The first term is the query's part of cross-domain similarity local scaling (Conneau et al., "Word translation without
parallel data", ICLR 2018); the second is cohort normalization from speaker verification (Matejka et al., Interspeech
2017). docs/benchmarks.md has the measurements.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vsearch.core.vectors import l2_normalize

Vectors = NDArray[np.float32]

NEIGHBORS = 10
"""Number of products after the first whose scores are averaged."""

COHORT_NEIGHBORS = 5
"""Cohort images averaged for a score: a single one may match by chance."""

SELECTED_SHARE = 0.9
"""Share of the cohort that is used: the images least similar to the catalog."""


def penalty(scores: Sequence[float], cohort_score: float) -> float:
    """Return what to deduct from the scores of a search, given those of all its products, best first."""
    others = scores[1 : 1 + NEIGHBORS]
    return (sum(others) / max(1, len(others)) + cohort_score) / 2


def cohort_score(embeddings: Vectors, cohort: Vectors, skipped: int = 0) -> Vectors:
    """Return the mean cosine of each embedding [q, d] with its nearest cohort images, float32 [q].

    `cohort` [n, d] contains unit vectors; an empty cohort scores 0. The `skipped` nearest images are not counted.
    """
    if len(cohort) <= skipped:
        return np.zeros(len(embeddings), np.float32)
    cosines = -np.sort(-(l2_normalize(embeddings) @ cohort.T), axis=1)
    return np.asarray(cosines[:, skipped : skipped + COHORT_NEIGHBORS].mean(axis=1), np.float32)


def select_cohort(cohort: Vectors, gallery: Vectors, batch_size: int = 32) -> NDArray[np.bool_]:
    """Return which cohort images [n, d] to use, bool [n]; they and the gallery [p, d] are compared in batches.

    The tenth that is most similar to the gallery is dropped: this shop may sell what most shops do not.
    """
    if not len(cohort):
        return np.zeros(0, np.bool_)
    cohort, gallery = l2_normalize(cohort), l2_normalize(gallery)
    batches = [cohort[start : start + batch_size] for start in range(0, len(cohort), batch_size)]
    scores = np.concatenate([(batch @ gallery.T).max(axis=1) for batch in batches])
    return np.asarray(scores <= np.quantile(scores, SELECTED_SHARE))
