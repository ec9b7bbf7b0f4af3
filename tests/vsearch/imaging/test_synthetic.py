import numpy as np
import pytest

from vsearch.imaging import synthetic
from vsearch.imaging.geometry import Box

WHITE = np.full((120, 160, 3), 255, np.uint8)


def packshot() -> np.ndarray:
    """Return a blue product with a white center on white."""
    picture = WHITE.copy()
    picture[30:100, 40:120] = (30, 60, 200)
    picture[50:70, 60:90] = 255
    return picture


def test_photos_depend_only_on_the_seed() -> None:
    one, same, other = (synthetic.shopper_view(packshot(), np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert one.shape != other.shape or (one != other).any()
    photo, boxes = synthetic.photo_of_room([packshot()] * 3, np.random.default_rng(0))
    assert photo.shape[0] == synthetic.SIDE
    assert 1 <= len(boxes) <= 3


def test_the_cutout_keeps_enclosed_background_colors_and_thin_parts() -> None:
    """Without a uniform border, nothing is cut out."""
    alpha = synthetic.cutout(packshot())
    assert (alpha[60, 75], alpha[40, 50], alpha[5, 5]) == (1, 1, 0)
    lamp = WHITE.copy()
    lamp[10:110, 80:82] = 20
    assert synthetic.cutout(lamp)[60, 80:82].min() > 0.5
    room = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    assert synthetic.cutout(room).min() == 1


@pytest.mark.parametrize("seed", range(4))
def test_the_box_contains_the_product(seed: int) -> None:
    room = np.full((200, 200, 3), (200, 190, 160), np.uint8)
    photo, box = synthetic.photo_in_room(packshot(), np.random.default_rng(seed), room=room)
    light = photo.astype(int)
    blue = light[..., 2] - light[..., 0] > 40
    top, bottom = np.quantile(np.nonzero(blue)[0] / blue.shape[0], (0.05, 0.95))
    left, right = np.quantile(np.nonzero(blue)[1] / blue.shape[1], (0.05, 0.95))

    assert 0 <= box.x0 < box.x1 <= 1
    assert 0 <= box.y0 < box.y1 <= 1
    assert blue.mean() > 0.02
    assert box.y0 - 0.1 < top < bottom < box.y1 + 0.1  # an occluder may also be blue
    assert box.x0 - 0.1 < left < right < box.x1 + 0.1


def test_a_margin_stays_within_the_photo() -> None:
    box = synthetic.add_margin(Box(0, 0.25, 0.5, 0.75))
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((0, 0.225, 0.525, 0.775))
