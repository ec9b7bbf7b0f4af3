from typing import Any

import numpy as np
import pytest

from vsearch.core.vectors import l2_normalize
from vsearch.models import whitening
from vsearch.models.whitening import Projection, combine_differences, fit_differences, fit_pca, fit_whitening


def views(products: int = 60, each: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return rows [n, 12]: four dimensions distinguish products, eight with larger values only distinguish photos."""
    rng = np.random.default_rng(seed)
    identity = np.repeat(rng.normal(0, 1, (products, 4)), each, axis=0)
    nuisance = rng.normal(0, 2, (products * each, 8))
    return np.hstack([identity + rng.normal(0, 0.1, identity.shape), nuisance]), np.repeat(np.arange(products), each)


def nearest_is_same(rows: np.ndarray, groups: np.ndarray) -> float:
    """Return the fraction of rows whose nearest other row by cosine similarity shows the same product."""
    scores = l2_normalize(rows) @ l2_normalize(rows).T
    np.fill_diagonal(scores, -2)
    return float((groups[scores.argmax(axis=1)] == groups).mean())


def test_learned_whitening_suppresses_differences_between_photos() -> None:
    rows, groups = views()
    unseen, unseen_groups = views(seed=1)
    whitening = fit_whitening(rows, groups, size=4, shrink=0.1)
    assert nearest_is_same(unseen, unseen_groups) < 0.3
    assert nearest_is_same(whitening.project(unseen), unseen_groups) > 0.8


def test_an_embedding_has_no_more_dimensions_than_products() -> None:
    rows, groups = views(products=3)
    assert fit_whitening(rows, groups, size=256).size <= 3


def test_fitting_needs_two_views_of_a_product() -> None:
    with pytest.raises(ValueError, match="at least two views"):
        fit_whitening(np.eye(4), np.arange(4))


def test_a_whitening_is_rebuilt_from_its_arrays() -> None:
    rows, groups = views()
    whitening = fit_whitening(rows, groups, size=4)
    again = Projection.from_arrays(whitening.arrays())
    np.testing.assert_allclose(again.project(rows), whitening.project(rows), atol=0.05)


def test_pca_scales_blocks_to_unit_mean_square_norm() -> None:
    rows, _ = views()
    for scale in (0.01, 1, 1000):
        projection = fit_pca(rows * scale, 6)
        block = projection.project(rows * scale)
        assert block.shape == (len(rows), 6)
        np.testing.assert_allclose((block**2).sum(axis=1).mean(), 1, rtol=1e-3)
        np.testing.assert_allclose(block.mean(axis=0), 0, atol=1e-3)


def test_pca_of_a_constant_block_is_finite() -> None:
    assert np.isfinite(fit_pca(np.ones((10, 3)), 2).project(np.ones((10, 3)))).all()


def test_the_randomized_pca_spans_the_same_space(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 60)) + rng.normal(0, 0.01, (200, 60))
    exact = fit_pca(features, 5).project(features)
    monkeypatch.setattr(whitening, "_EXACT_UP_TO", 10)
    sampled = fit_pca(features, 5).project(features)
    np.testing.assert_allclose(sampled @ sampled.T, exact @ exact.T, atol=1e-3)


def test_known_differences_are_suppressed() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 4)
    moved = rng.normal(size=(240, 12)) * ([0.2] * 10 + [3.0] * 2)
    known = fit_differences(rng.normal(size=(60, 12))[groups] + moved, groups, 4)
    views = np.repeat(rng.normal(size=(100, 12)), 3, axis=0) + rng.normal(size=(300, 12)) * ([0.2] * 10 + [0.0] * 2)
    blocks, products = views.astype(np.float32), np.repeat(np.arange(100), 3)

    def weight(**more: Any) -> float:
        found = fit_whitening(blocks, products, size=12, **more)
        length = np.linalg.norm(found.matrix, axis=1)
        return float(length[10:].mean() / length[:10].mean())

    assert known.shape == (4, 12)
    scatter = known.astype(np.float64).T @ known
    np.testing.assert_allclose(np.diag(scatter)[10:], 9, rtol=0.3)
    assert weight(known=known) < 0.9 < 1.2 < weight()


def test_two_sets_of_differences_count_alike() -> None:
    small, large = np.zeros((3, 6)), np.zeros((2, 6))
    small[:, :3], large[:, 4:] = 0.01 * np.eye(3), 5 * np.eye(2)
    both = combine_differences(small, large).astype(np.float64)
    assert both.shape == (5, 6)
    np.testing.assert_allclose((both[:3] ** 2).sum(), (both[3:] ** 2).sum(), rtol=1e-2)
    np.testing.assert_array_equal(combine_differences(small[:0], large), large)


def test_single_photos_give_no_differences() -> None:
    blocks = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    known = fit_differences(blocks, np.arange(30), 4)
    groups = np.arange(30) // 3
    assert known.shape == (0, 8)
    one, other = (fit_whitening(blocks, groups, size=4, known=k) for k in (None, known))
    np.testing.assert_array_equal(one.matrix, other.matrix)


def test_true_views_decide_how_much_each_dimension_is_regularized() -> None:
    """A dimension that hardly varies within products counts for more if it is regularized less."""
    rows, groups = views(products=400, each=2)
    rows[:, 0] /= 20
    synthetic = views(products=400, each=2, seed=1)

    def weight(shrink: float) -> float:
        ridge = np.array([shrink, *[0.3] * 11])
        found = fit_whitening(*synthetic, size=4, true_views=(rows, groups), true_views_shrink=ridge)
        length = np.linalg.norm(found.matrix, axis=1)
        return float(length[0] / length[1])

    assert weight(0.01) > 2 * weight(0.3)
    same = [
        fit_whitening(*synthetic, size=4, true_views=(rows[::2], groups[::2]), true_views_shrink=ridge).matrix
        for ridge in (None, np.full(12, 0.01))
    ]
    np.testing.assert_array_equal(*same)  # no product has several images
