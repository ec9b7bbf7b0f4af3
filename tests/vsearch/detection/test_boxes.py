import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vsearch.detection.boxes import (
    MIN_LOG_DISTANCE,
    cell_centers,
    decode_grid,
    iou,
    non_max_suppression,
    shared_area,
)


def random_boxes(seed: int, count: int) -> np.ndarray:
    """Return random boxes, some of them empty."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 1, (count, 4))
    corners[rng.random(count) < 0.1] = 0.5
    low, high = np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])
    return np.concatenate([low, high], axis=1).astype(np.float32)


def iou_of_pair(one: np.ndarray, other: np.ndarray) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = float(max(width, 0) * max(height, 0))
    both = float((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])) - common
    return common / both if both > 0 else 0.0


@given(seed=st.integers(0, 10_000), count=st.integers(0, 8))
def test_iou_of_many_boxes_matches_that_of_each_pair(seed: int, count: int) -> None:
    one, other = random_boxes(seed, count), random_boxes(seed + 1, 5)
    found = iou(one, other)
    assert (found.shape, found.dtype) == ((count, 5), np.float32)
    expected = np.array([[iou_of_pair(a, b) for b in other] for a in one]).reshape(count, 5)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_shared_area_is_relative_to_the_smaller_box() -> None:
    large, inside, beside = [0.0, 0.0, 0.5, 1.0], [0.1, 0.1, 0.2, 0.2], [0.25, 0.0, 0.75, 1.0]
    found = shared_area(np.array([large]), np.array([inside, beside, [0.5, 0.0, 1.0, 1.0], [0.1, 0.1, 0.1, 0.9]]))
    np.testing.assert_allclose(found, [[1, 0.5, 0, 0]], atol=1e-6)


def test_decoding_a_grid_gives_confidences_and_clipped_sides() -> None:
    """They are finite for any logits, since an untrained network may return anything."""
    grid = np.zeros((1, 2, 4, 5), np.float32)
    grid[0, 1, 2] = [2.0, np.log(0.1), np.log(0.2), np.log(0.3), np.log(0.05)]
    found = decode_grid(grid, temperature=2.0)
    np.testing.assert_allclose(cell_centers(2, 4)[1, 2], [0.625, 0.75])
    np.testing.assert_allclose(found[0, 1, 2], [1 / (1 + np.exp(-1)), 0.525, 0.55, 0.925, 0.8], rtol=1e-5)
    np.testing.assert_allclose(found[0, 0, 0], [0.5, 0, 0, 1, 1])
    assert found.dtype == np.float32
    extreme = decode_grid(np.array([[[[1e9, 1e9, -1e9, 1e9, -1e9]]]]))[0, 0, 0]
    smallest = np.exp(MIN_LOG_DISTANCE)
    np.testing.assert_allclose(extreme, [1, 0, 0.5 - smallest, 1, 0.5 + smallest], atol=1e-6)


@given(seed=st.integers(0, 10_000), count=st.integers(0, 20), most=st.integers(0, 6))
def test_suppression_keeps_the_most_confident_of_duplicates(seed: int, count: int, most: int) -> None:
    confidences = np.random.default_rng(seed).permutation(count)[:, None] / max(count, 1)
    rows = np.concatenate([confidences, random_boxes(seed, count)], axis=1).astype(np.float32)
    expected: list[np.ndarray] = []
    for row in sorted(rows, key=lambda row: -row[0]):
        if row[0] >= np.float32(0.3) and all(iou_of_pair(row[1:], other[1:]) <= 0.5 for other in expected):
            expected.append(row)
    found = non_max_suppression(rows, most, min_confidence=0.3)
    assert found.tolist() == [row.tolist() for row in expected[:most]]
    assert found.shape == (len(found), 5)


def test_boxes_that_contain_one_another_are_one_detection() -> None:
    """The most confident one is kept, whether it is the larger or the smaller."""
    whole, part, other = [0.0, 0.0, 0.5, 1.0], [0.1, 0.1, 0.3, 0.3], [0.6, 0.0, 1.0, 1.0]
    for first, second in ((whole, part), (part, whole)):
        rows = np.array([[0.9, *first], [0.8, *second], [0.7, *other]], np.float32)
        kept = non_max_suppression(rows, 3, max_shared_area=0.5)
        np.testing.assert_array_equal(kept, rows[[0, 2]])
        assert len(non_max_suppression(rows, 3)) == 3
