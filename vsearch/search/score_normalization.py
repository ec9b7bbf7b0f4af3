"""Score normalization against a background cohort: embeddings of images that no shop sells.

A photo of a cat resembles some chair a little, but resembles other cats more. Match labels therefore use the margin:
the score minus a penalty for photos that are closer to the cohort than the shop's own photos usually are. Cohort
normalization comes from speaker verification (Matejka et al., Interspeech 2017).
"""

import numpy as np
from numpy.typing import NDArray

from vsearch.core.vectors import l2_normalize

Vectors = NDArray[np.float32]

BASELINE_QUANTILE = 0.75
"""Quantile of the cohort scores of the shop's own photos used as their baseline; a grocer's are all high."""

COHORT_NEIGHBORS = 5
"""Cohort images averaged for a score: a single one may match by chance."""

SELECTED_SHARE = 0.9
"""Share of the cohort that is used: the images least similar to the catalog."""


def cohort_score(embeddings: Vectors, cohort: Vectors) -> Vectors:
    """Return the mean cosine of each embedding [q, d] with its nearest cohort images, float32 [q].

    `cohort` [n, d] contains unit vectors; an empty cohort scores 0.
    """
    if not len(cohort):
        return np.zeros(len(embeddings), np.float32)
    return _mean_of_nearest(l2_normalize(embeddings) @ cohort.T)


def select_cohort(cohort: Vectors, gallery: Vectors, batch_size: int = 32) -> tuple[Vectors, NDArray[np.bool_]]:
    """Return the best score of each cohort image in the gallery, float32 [n], and which images to use, bool [n].

    The tenth that is most similar to the gallery is dropped: this shop may sell what most shops do not. The cohort
    [n, d] has unit length; it is compared with the gallery [p, d] in batches.
    """
    gallery = l2_normalize(gallery)
    batches = [cohort[start : start + batch_size] for start in range(0, len(cohort), batch_size)]
    scores = np.concatenate([(batch @ gallery.T).max(axis=1) for batch in batches])
    return scores, scores <= np.quantile(scores, SELECTED_SHARE)


def leave_one_out_score(cohort: Vectors, selected: NDArray[np.bool_]) -> Vectors:
    """Return the `cohort_score` of each cohort image against the selected others, float32 [n]."""
    cosines = cohort @ cohort[selected].T
    cosines[np.flatnonzero(selected), np.arange(selected.sum())] = -np.inf
    return _mean_of_nearest(cosines)


def penalty(cohort_scores: Vectors, baseline: float) -> Vectors:
    """Return how far cohort scores exceed the baseline, float32 [q]; 0 below it."""
    return np.asarray(np.maximum(cohort_scores - baseline, 0), np.float32)


def _mean_of_nearest(cosines: Vectors) -> Vectors:
    count = min(COHORT_NEIGHBORS, cosines.shape[1] - 1) or 1
    return np.asarray(np.partition(cosines, -count, axis=1)[:, -count:].mean(axis=1), np.float32)
