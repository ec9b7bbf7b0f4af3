"""What augmentation does to pictures."""

from typing import Any

import numpy as np
import pytest

from vsearch.training.plan_parts import Augment

pytestmark = pytest.mark.keras

STILL = {
    "crop_area": (1, 1), "crop_shape": 0, "mirror": False, "brightness": 0, "contrast": 0, "saturation": 0, "cast": 0
}  # fmt: skip
"""Nothing is changed."""


def pictures(count: int = 6, side: int = 32) -> np.ndarray[Any, Any]:
    """Return pictures with a red square left of the middle on a slope of grey."""
    slope = np.linspace(60, 220, side).astype(np.uint8)
    picture = np.tile(slope[:, None, None], (1, side, 3))
    picture[side // 4 : side // 2, side // 8 : side // 2] = (200, 30, 40)
    return np.stack([picture] * count)


def changed(shape: tuple[int, int] = (32, 32), seed: int = 1, count: int = 6, **how: Any) -> Any:
    """Return pictures changed in one way alone."""
    import tensorflow as tf

    from vsearch.training.augment.batch import perturb

    return perturb(pictures(count), Augment(**STILL | how), shape=shape, seed=tf.constant([7, seed], tf.int64))


def retouched(pictures: Any, **drawn: Any) -> Any:
    """Return the pictures with only this done to them."""
    from vsearch.training.augment.photometric import retouch

    count = len(pictures)
    still = {
        "matrix": np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)),
        "contrast": np.ones((count, 1, 1), np.float32),
        "shift": np.zeros((count, 1, 3), np.float32),
    }
    given = still | {name: np.asarray(value, np.float32) for name, value in drawn.items()}
    return retouch(np.asarray(pictures, np.float32), given).numpy()


def test_nothing_is_changed_by_nothing() -> None:
    """Not by a thousandth of a grey level."""
    found = changed()

    np.testing.assert_allclose(found.pictures, pictures(), atol=1e-3)
    assert not found.recoloured.numpy().any()
    assert not found.scrambled.numpy().any()


@pytest.mark.parametrize(
    "how",
    [
        {"crop_area": (0.3, 0.9)}, {"mirror": True}, {"brightness": 0.5}, {"contrast": 0.5}, {"saturation": 0.9},
        {"cast": 0.3}, {"turn": 30}, {"perspective": 0.2}, {"blur": 3}, {"noise": 20}, {"recolour": 1}, {"scramble": 1},
        {"ramp": 0.5}, {"gamma": 0.5}, {"cover": 1},
    ],
    ids=lambda how: next(iter(how)),
)  # fmt: skip
def test_each_augmentation_changes_pictures_its_own_way(how: dict[str, Any]) -> None:
    """Seeded: the same seed gives the same; another seed, and the next picture, another. Always within 0..255."""
    first, again, other = (changed(seed=seed, count=8, **how).pictures.numpy() for seed in (1, 1, 2))

    assert first.shape == (8, 32, 32, 3)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1
    assert np.abs(first - first[0]).max() > 1
    assert first.min() >= 0
    assert first.max() <= 255


def test_all_at_once_in_another_shape() -> None:
    """Height and width are kept apart, also where tiles do not fit."""
    everything = {
        "turn": 20,
        "perspective": 0.1,
        "ramp": 0.3,
        "gamma": 0.3,
        "cover": 0.5,
        "blur": 2,
        "noise": 9,
        "recolour": 0.5,
        "scramble": 0.5,
        "mirror": True,
    }

    found = changed((18, 46), count=16, **everything)

    assert found.pictures.shape == (16, 18, 46, 3)
    assert 0 < found.recoloured.numpy().sum() < 16
    assert 0 < found.scrambled.numpy().sum() < 16


def test_a_warp_that_changes_nothing_is_a_resize() -> None:
    """The two ways of resampling agree on where a pixel is."""
    by_warp = changed((24, 40), perspective=1e-6).pictures.numpy()
    by_crop = changed((24, 40)).pictures.numpy()

    np.testing.assert_allclose(by_warp, by_crop, atol=0.5)


def test_a_turn_keeps_the_middle_and_right_angles() -> None:
    """A square turned in a wide picture is still a square: its area stays."""
    red = changed(turn=25, count=12).pictures.numpy()
    areas = ((red[..., 0] - red[..., 1]) > 80).sum(axis=(1, 2))

    assert areas.min() > 0.85 * areas.max()


def test_a_mirrored_picture_is_the_other_way_round() -> None:
    """About half of them, exactly."""
    found = changed(mirror=True, count=20).pictures.numpy()
    flipped = [np.abs(picture - pictures()[0][:, ::-1]).max() < 1e-3 for picture in found]
    plain = [np.abs(picture - pictures()[0]).max() < 1e-3 for picture in found]

    assert all(np.array(flipped) ^ np.array(plain))
    assert 3 < sum(flipped) < 17


def test_light_falls_from_one_side() -> None:
    """Brighter on one side by what it is darker on the other; the middle stays."""
    flat = np.full((4, 33, 33, 3), 100.0)
    ramp = [[0.0, 0.4], [0.4, 0.0], [-0.2, 0.0], [0.0, 0.0]]

    found = retouched(flat, ramp=ramp)

    np.testing.assert_allclose(found[0, 16, [0, 16, 32], 0], [60, 100, 140], atol=1e-3)
    np.testing.assert_allclose(found[1, [0, 16, 32], 16, 0], [60, 100, 140], atol=1e-3)
    np.testing.assert_allclose(found[2, [0, 16, 32], 5, 0], [120, 100, 80], atol=1e-3)
    np.testing.assert_allclose(found[3], 100, atol=1e-3)


def test_a_cover_hides_a_box_and_nothing_else() -> None:
    """In shares of the sides; an empty box hides nothing."""
    flat = np.full((2, 20, 20, 3), 100.0)
    boxes = [[0.49, 0.0, 1.2, 0.26], [0.5, 0.5, 0.5, 0.5]]

    found = retouched(flat, cover=boxes, paint=[[10.0, 20.0, 30.0]] * 2)

    assert (found[0, 10:, :5] == [10, 20, 30]).all()
    assert (found[0, :9] == 100).all()
    assert (found[0, :, 6:] == 100).all()
    assert (found[1] == 100).all()


def test_gamma_leaves_black_and_white() -> None:
    """And moves what lies between."""
    steps = np.broadcast_to(np.array([0.0, 63.75, 255.0])[None, None, :, None], (1, 2, 3, 3))

    found = retouched(steps, gamma=np.full((1, 1, 1, 1), 2.0))

    np.testing.assert_allclose(found[0, 0, :, 0], [0, 63.75 / 4, 255], atol=1e-3)


def test_blur_keeps_the_light() -> None:
    """Each row of the Gaussian adds up to one."""
    found = changed(blur=3).pictures.numpy()

    np.testing.assert_allclose(found.mean(axis=(1, 2)), pictures().mean(axis=(1, 2)), rtol=0.03)
    assert all(np.diff(picture, axis=1).std() < np.diff(pictures()[0].astype(float), axis=1).std() for picture in found)


def test_recoloured_pictures_keep_light_and_dark_apart() -> None:
    """Whatever colours they get, the slope from dark to light stays one, up or down."""
    grey = changed(recolour=1, count=32).pictures.numpy().mean(axis=3)[:, :, -4:].mean(axis=2)

    steps = np.sign(np.diff(grey, axis=1))
    assert (np.abs(grey[:, -1] - grey[:, 0]) > 40).all()
    assert (np.abs(steps.sum(axis=1)) > 25).all()
    assert {*steps[:, 0]} == {-1, 1}


def test_scrambled_pictures_keep_their_pixels() -> None:
    """Tiles change places; nothing is lost and nothing added."""
    found = changed(scramble=1).pictures.numpy()

    for picture in found:
        assert np.abs(picture - pictures()[0]).max() > 50
        np.testing.assert_allclose(np.sort(picture.ravel()), np.sort(pictures()[0].ravel()), atol=1e-2)


def test_mixed_pictures_are_mostly_themselves() -> None:
    """Each is blended with the one before it, and says how much."""
    import tensorflow as tf

    from vsearch.training.augment.batch import mix

    flat = np.arange(40, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 2, 3), np.float32)
    found, own = mix(tf.constant(flat), 0.5, seed=tf.constant([1, 2], tf.int64))

    weight = own.numpy()
    assert (weight >= 0.5).all()
    assert 8 < (weight < 1).sum() < 32
    before = np.roll(np.arange(40), 1)
    np.testing.assert_allclose(found.numpy()[:, 0, 0, 0], np.arange(40) * weight + before * (1 - weight), rtol=1e-5)
