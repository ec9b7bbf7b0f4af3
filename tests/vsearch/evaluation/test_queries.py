import numpy as np
import pytest

from vsearch.evaluation.query_sets import KINDS, Kind, Query, photo_groups, synthetic_photo
from vsearch.imaging.codec import crop
from vsearch.imaging.geometry import Box

BLANK = np.zeros((20, 20, 3), np.uint8)


def packshot() -> np.ndarray:
    """Return a blue product on white."""
    picture = np.full((120, 160, 3), 255, np.uint8)
    picture[30:90, 40:120] = (20, 40, 200)
    return picture


def blue(picture: np.ndarray) -> np.ndarray:
    light = picture.astype(int)
    return np.asarray(light[..., 2] - light[..., 0] > 60)


@pytest.mark.parametrize("kind", KINDS)
def test_photos_depend_only_on_the_seed(kind: Kind) -> None:
    one, same, other = (synthetic_photo(packshot(), kind, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one[0], same[0])
    assert one[1] == same[1]
    assert one[0].tobytes() != other[0].tobytes()


@pytest.mark.parametrize("seed", range(4))
def test_an_easy_photo_keeps_the_background_and_the_whole_product(seed: int) -> None:
    photo, box = synthetic_photo(packshot(), "easy", np.random.default_rng(seed))
    product = blue(photo)
    assert box is None
    assert photo.shape == (360, 480, 3)
    assert 0.08 < product.mean() < 0.35
    assert not product[[0, 1, 2, -3, -2, -1]].any()
    edge = np.concatenate([photo[0], photo[-1]]).astype(int)
    assert (edge.max(axis=1) - edge.min(axis=1) < 130).mean() > 0.9  # white with a color cast, not a room


@pytest.mark.parametrize("seed", range(4))
def test_a_crop_is_the_hard_photo_with_the_box_of_the_product(seed: int) -> None:
    room = np.full((200, 200, 3), (200, 190, 160), np.uint8)
    hard, nothing = synthetic_photo(packshot(), "hard", np.random.default_rng(seed), room=room)
    same, box = synthetic_photo(packshot(), "crop", np.random.default_rng(seed), room=room)
    np.testing.assert_array_equal(hard, same)
    assert nothing is None
    assert box is not None
    assert blue(crop(hard, box)).sum() >= 0.95 * blue(hard).sum()
    assert blue(crop(hard, box)).mean() > 0.3


@pytest.mark.parametrize("shape", [(16, 300), (300, 16)])
@pytest.mark.parametrize("kind", KINDS)
def test_any_shape_gives_a_photo(shape: tuple[int, int], kind: Kind) -> None:
    photo, _ = synthetic_photo(np.full((*shape, 3), 128, np.uint8), kind, np.random.default_rng(0))
    assert (photo.dtype, min(photo.shape[:2]) >= 8) == (np.uint8, True)


def test_a_query_uses_its_box() -> None:
    assert Query(BLANK, frozenset()).part.shape == (20, 20, 3)
    assert Query(BLANK, frozenset(), box=Box(0.5, 0, 1, 0.25)).part.shape == (5, 10, 3)


def test_queries_are_grouped_by_photo() -> None:
    queries = [Query(BLANK, frozenset(), photo=photo) for photo in ("a", None, "a", None)]
    assert photo_groups(queries).tolist() == [0, 1, 0, 2]
