import numpy as np
import pytest

from vsearch.core.vectors import l2_normalize
from vsearch.search.score_normalization import COHORT_NEIGHBORS, NEIGHBORS, cohort_score, penalty, select_cohort


def random_directions(count: int, seed: int = 0) -> np.ndarray:
    """Return unit vectors, float32 [count, 6]."""
    return l2_normalize(np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32))


def test_the_penalty_is_half_of_both_mean_similarities():
    scores = [0.9, *[0.4] * NEIGHBORS, 0.1]
    assert penalty(scores, 0.2) == pytest.approx((0.4 + 0.2) / 2)
    assert penalty(scores[:2], 0) == pytest.approx(0.2)
    assert penalty(scores[:1], 0.2) == penalty([], 0.2) == pytest.approx(0.1)


def test_the_cohort_score_is_the_mean_of_the_highest_cosines():
    cohort, photos = random_directions(40), random_directions(7, seed=1)
    ordered = np.sort(photos @ cohort.T, axis=1)[:, ::-1]
    for skipped in (0, 3):
        expected = ordered[:, skipped : skipped + COHORT_NEIGHBORS].mean(axis=1)
        np.testing.assert_allclose(cohort_score(3 * photos, cohort, skipped), expected, rtol=1e-5)
    np.testing.assert_array_equal(cohort_score(photos, cohort[:0]), np.zeros(7))
    np.testing.assert_array_equal(cohort_score(photos, cohort[:3], skipped=3), np.zeros(7))


def test_cohort_images_most_similar_to_the_gallery_are_dropped():
    cohort = random_directions(50)
    gallery = 2 * np.concatenate([cohort[:5], random_directions(9, seed=2)])
    assert np.flatnonzero(~select_cohort(cohort, gallery, batch_size=7)).tolist() == [0, 1, 2, 3, 4]
    assert select_cohort(cohort[:0], gallery).shape == (0,)
