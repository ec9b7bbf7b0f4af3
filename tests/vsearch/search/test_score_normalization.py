import numpy as np
import pytest

from vsearch.core.vectors import l2_normalize
from vsearch.search.score_normalization import (
    COHORT_NEIGHBORS,
    cohort_score,
    leave_one_out_score,
    penalty,
    select_cohort,
)


def random_directions(count: int, seed: int = 0) -> np.ndarray:
    """Return unit vectors, float32 [count, 6]."""
    return l2_normalize(np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32))


def test_the_cohort_score_is_the_mean_of_the_highest_cosines() -> None:
    cohort, photos = random_directions(40), random_directions(7, seed=1)
    greatest = np.sort(photos @ cohort.T, axis=1)[:, -COHORT_NEIGHBORS:]
    np.testing.assert_allclose(cohort_score(3 * photos, cohort), greatest.mean(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(cohort_score(photos, cohort[:0]), np.zeros(7))
    np.testing.assert_allclose(penalty(np.array([0.1, 0.3, 0.5], np.float32), 0.3), [0, 0, 0.2], atol=1e-6)


def test_cohort_images_most_similar_to_the_gallery_are_dropped() -> None:
    cohort = random_directions(50)
    gallery = 2 * np.concatenate([cohort[:5], random_directions(9, seed=2)])
    scores, selected = select_cohort(cohort, gallery, batch_size=7)
    assert np.flatnonzero(~selected).tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(scores, (cohort @ l2_normalize(gallery).T).max(axis=1), rtol=1e-5)


def test_a_cohort_image_is_not_scored_against_itself() -> None:
    cohort = random_directions(30)
    selected = np.arange(30) > 2
    found = leave_one_out_score(cohort, selected)
    for row in range(30):
        others = cohort[[other for other in range(30) if selected[other] and other != row]]
        assert found[row] == pytest.approx(np.sort(others @ cohort[row])[-COHORT_NEIGHBORS:].mean(), abs=1e-5)
