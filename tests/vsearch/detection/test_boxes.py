"""Boxes as arrays, against loops that say the same in the plainest way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsearch.detection.boxes import LEAST_LOG, MOST_LOG, areas, decoded, distinct, middles, overlaps


def some_boxes(seed: int, count: int) -> np.ndarray:
    """Return boxes anywhere, some of them empty."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 1, (count, 4))
    corners[rng.random(count) < 0.1] = 0.5
    low, high = np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])
    return np.concatenate([low, high], axis=1).astype(np.float32)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the overlap of two boxes."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    common = float(max(wide, 0) * max(high, 0))
    both = float((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])) - common
    return common / both if both > 0 else 0.0


@given(seed=st.integers(0, 10_000), count=st.integers(0, 8))
def test_overlaps_are_those_of_each_pair(seed: int, count: int) -> None:
    """However many there are, empty ones too."""
    one, other = some_boxes(seed, count), some_boxes(seed + 1, 5)

    found = overlaps(one, other)

    assert found.shape == (count, 5)
    assert found.dtype == np.float32
    expected = np.array([[overlap(a, b) for b in other] for a in one]).reshape(count, 5)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_empty_box_has_no_area() -> None:
    """Nor has one whose sides are the wrong way round."""
    assert areas(np.array([[0, 0, 0, 0], [0.5, 0.5, 0.2, 0.2], [0, 0, 0.5, 0.2]])).tolist() == pytest.approx(
        [0, 0, 0.1]
    )


def test_cells_say_confidence_and_sides() -> None:
    """From the middle of the cell; cut to the picture; a temperature cools the confidence alone."""
    cells = np.zeros((1, 2, 4, 5), np.float32)
    cells[0, 1, 2] = [2.0, np.log(0.1), np.log(0.2), np.log(0.3), np.log(0.05)]

    found = decoded(cells, temperature=2.0)

    np.testing.assert_allclose(middles(2, 4)[1, 2], [0.625, 0.75])
    np.testing.assert_allclose(found[0, 1, 2], [1 / (1 + np.exp(-1)), 0.525, 0.55, 0.925, 0.8], rtol=1e-5)
    np.testing.assert_allclose(found[0, 0, 0], [0.5, 0, 0, 1, 1])
    assert found.dtype == np.float32


def test_wild_numbers_stay_numbers() -> None:
    """What a network says before it has learned anything."""
    found = decoded(np.array([[[[1e9, 1e9, -1e9, 1e9, -1e9]]]]))[0, 0, 0]

    assert np.isfinite(found).all()
    assert found[0] == pytest.approx(1)
    np.testing.assert_allclose(found[1:], [0, 0.5 - np.exp(LEAST_LOG), 1, 0.5 + np.exp(LEAST_LOG)], atol=1e-6)
    assert np.exp(MOST_LOG) > 1


def plainly_distinct(rows: np.ndarray, most: int, least: float) -> list[list[float]]:
    """Return the surest that overlap no surer one, by a loop over all."""
    kept: list[np.ndarray] = []
    for row in sorted(rows, key=lambda row: -row[0]):
        if row[0] >= least and all(overlap(row[1:], other[1:]) <= 0.5 for other in kept):
            kept.append(row)
    return [row.tolist() for row in kept[:most]]


@given(seed=st.integers(0, 10_000), count=st.integers(0, 20), most=st.integers(0, 6))
def test_proposals_are_the_surest_that_differ(seed: int, count: int, most: int) -> None:
    """As a loop over all of them finds."""
    chances = np.random.default_rng(seed).permutation(count)[:, None] / max(count, 1)
    rows = np.concatenate([chances, some_boxes(seed, count)], axis=1).astype(np.float32)

    found = distinct(rows, most, least=0.3)

    assert found.tolist() == plainly_distinct(rows, most, least=np.float32(0.3))
    assert found.shape == (len(found), 5)
