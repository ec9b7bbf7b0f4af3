from typing import Any

import numpy as np
import pytest

from vsearch.training.plan import Augment

pytestmark = pytest.mark.keras

UNCHANGED = {
    "crop_area": (1, 1), "crop_shape": 0, "mirror": False, "brightness": 0, "contrast": 0, "saturation": 0,
    "color_cast": 0,
}  # fmt: skip


def pictures(count: int = 6, side: int = 32) -> np.ndarray[Any, Any]:
    """Return pictures with a red square left of the center on a gray gradient."""
    gradient = np.linspace(60, 220, side).astype(np.uint8)
    picture = np.tile(gradient[:, None, None], (1, side, 3))
    picture[side // 4 : side // 2, side // 8 : side // 2] = (200, 30, 40)
    return np.stack([picture] * count)


def augmented(given: Any = None, shape: tuple[int, int] = (32, 32), seed: int = 1, count: int = 6, **keys: Any) -> Any:
    import tensorflow as tf

    from vsearch.training.augment import augment_batch

    given = pictures(count) if given is None else given
    return augment_batch(given, Augment(**UNCHANGED | keys), shape=shape, seed=tf.constant([7, seed], tf.int64))


def changed_pixels(pictures: Any, **parameters: Any) -> Any:
    """Apply a single photometric change."""
    from vsearch.training.augment import _change_pixels

    count = len(pictures)
    identity = {
        "matrix": np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)),
        "contrast": np.ones((count, 1, 1), np.float32),
        "shift": np.zeros((count, 1, 3), np.float32),
    }
    given = identity | {name: np.asarray(value, np.float32) for name, value in parameters.items()}
    return _change_pixels(np.asarray(pictures, np.float32), given).numpy()


def test_zero_parameters_change_nothing():
    found = augmented()

    np.testing.assert_allclose(found.pictures, pictures(), atol=1e-3)
    assert not found.recolored.numpy().any()
    assert not found.scrambled.numpy().any()


@pytest.mark.parametrize(
    "keys",
    [
        {"crop_area": (0.3, 0.9)}, {"mirror": True}, {"brightness": 0.5}, {"contrast": 0.5}, {"saturation": 0.9},
        {"color_cast": 0.3}, {"rotation": 30}, {"perspective": 0.2}, {"blur": 3}, {"noise": 20}, {"recolor": 1},
        {"scramble": 1}, {"lighting": 0.5}, {"gamma": 0.5}, {"occlusion": 1},
    ],
    ids=lambda keys: next(iter(keys)),
)  # fmt: skip
def test_each_parameter_is_seeded_and_varies_between_pictures(keys):
    first, again, other = (augmented(seed=seed, count=8, **keys).pictures.numpy() for seed in (1, 1, 2))

    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1
    assert np.abs(first - first[0]).max() > 1
    assert first.min() >= 0
    assert first.max() <= 255


def test_all_parameters_at_once_in_another_shape():
    keys = {
        "rotation": 20, "perspective": 0.1, "lighting": 0.3, "gamma": 0.3, "occlusion": 0.5, "blur": 2, "noise": 9,
        "recolor": 0.5, "scramble": 0.5, "mirror": True,
    }  # fmt: skip

    found = augmented(shape=(18, 46), count=16, **keys)

    assert found.pictures.shape == (16, 18, 46, 3)
    assert 0 < found.recolored.numpy().sum() < 16
    assert 0 < found.scrambled.numpy().sum() < 16
    assert not (found.recolored.numpy() & found.scrambled.numpy()).any()


def test_both_ways_of_resampling_agree():
    by_warp = augmented(shape=(24, 40), perspective=1e-6).pictures.numpy()
    by_crop = augmented(shape=(24, 40)).pictures.numpy()

    np.testing.assert_allclose(by_warp, by_crop, atol=0.5)


def test_half_of_the_pictures_are_mirrored():
    found = augmented(mirror=True, count=20).pictures.numpy()
    flipped = [np.abs(picture - pictures()[0][:, ::-1]).max() < 1e-3 for picture in found]
    plain = [np.abs(picture - pictures()[0]).max() < 1e-3 for picture in found]

    assert all(np.array(flipped) ^ np.array(plain))
    assert 3 < sum(flipped) < 17


def test_lighting_is_a_linear_gradient():
    lighting = [[0.0, 0.4], [0.4, 0.0], [-0.2, 0.0], [0.0, 0.0]]

    found = changed_pixels(np.full((4, 33, 33, 3), 100.0), lighting=lighting)

    np.testing.assert_allclose(found[0, 16, [0, 16, 32], 0], [60, 100, 140], atol=1e-3)
    np.testing.assert_allclose(found[1, [0, 16, 32], 16, 0], [60, 100, 140], atol=1e-3)
    np.testing.assert_allclose(found[2, [0, 16, 32], 5, 0], [120, 100, 80], atol=1e-3)
    np.testing.assert_allclose(found[3], 100, atol=1e-3)


def test_an_occlusion_covers_its_box_only():
    boxes = [[0.49, 0.0, 1.2, 0.26], [0.5, 0.5, 0.5, 0.5]]

    found = changed_pixels(np.full((2, 20, 20, 3), 100.0), occluded=boxes, occluder_color=[[10.0, 20.0, 30.0]] * 2)

    assert (found[0, 10:, :5] == [10, 20, 30]).all()
    assert (found[0, :9] == 100).all()
    assert (found[0, :, 6:] == 100).all()
    assert (found[1] == 100).all()


def test_gamma_keeps_black_and_white():
    steps = np.broadcast_to(np.array([0.0, 63.75, 255.0])[None, None, :, None], (1, 2, 3, 3))

    found = changed_pixels(steps, gamma=np.full((1, 1, 1, 1), 2.0))

    np.testing.assert_allclose(found[0, 0, :, 0], [0, 63.75 / 4, 255], atol=1e-3)


def test_blur_keeps_the_mean_and_smooths():
    found = augmented(blur=3).pictures.numpy()

    np.testing.assert_allclose(found.mean(axis=(1, 2)), pictures().mean(axis=(1, 2)), rtol=0.03)
    assert all(np.diff(picture, axis=1).std() < np.diff(pictures()[0].astype(float), axis=1).std() for picture in found)


def test_recolored_pictures_keep_light_and_dark_apart():
    gray = augmented(recolor=1, count=32).pictures.numpy().mean(axis=3)[:, :, -4:].mean(axis=2)

    steps = np.sign(np.diff(gray, axis=1))
    assert (np.abs(gray[:, -1] - gray[:, 0]) > 40).all()
    assert (np.abs(steps.sum(axis=1)) > 25).all()
    assert {*steps[:, 0]} == {-1, 1}


def test_scrambled_pictures_keep_their_pixels():
    for picture in augmented(scramble=1).pictures.numpy():
        assert np.abs(picture - pictures()[0]).max() > 50
        np.testing.assert_allclose(np.sort(picture.ravel()), np.sort(pictures()[0].ravel()), atol=1e-2)


def bounding_box(picture: np.ndarray) -> np.ndarray:
    """Return the relative box around the bright part of a picture."""
    rows, columns = np.flatnonzero(picture.max(axis=(1, 2)) > 127), np.flatnonzero(picture.max(axis=(0, 2)) > 127)
    height, width = picture.shape[:2]
    return np.array([columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height])


@pytest.mark.parametrize(
    ("keys", "shape"),
    [
        ({}, (120, 160)),
        ({}, (96, 64)),
        ({"crop_area": (0.6, 0.9), "crop_shape": 0.3}, (120, 160)),
        ({"mirror": True}, (90, 100)),
        ({"rotation": 20}, (120, 160)),
        ({"perspective": 0.1}, (120, 160)),
        ({"crop_area": (0.7, 1), "mirror": True, "rotation": 10, "perspective": 0.05}, (100, 90)),
    ],
    ids=["unchanged", "resized", "cropped", "mirrored", "rotated", "tilted", "all"],
)
def test_boxes_are_transformed_like_their_pictures(keys, shape):
    from vsearch.training.augment import transform_boxes

    boxes = np.tile(np.array([0.3, 0.35, 0.6, 0.7], np.float32), (24, 1, 1))
    given = np.zeros((24, 120, 160, 3), np.uint8)
    given[:, 42:84, 48:96] = 255

    found = augmented(given, shape=shape, **keys)
    moved = transform_boxes(boxes, found.matrices, (120, 160), shape).numpy()[:, 0]

    inside = ((moved > 0.02) & (moved < 0.98)).all(axis=1)
    assert inside.sum() > 5
    if keys:
        assert np.abs(moved - boxes[:, 0]).max() > 0.05
    expected = np.stack([bounding_box(picture) for picture in found.pictures.numpy()[inside]])
    np.testing.assert_allclose(moved[inside], expected, atol=2 / min(shape))


def test_boxes_are_clipped_or_removed_if_mostly_out_of_view():
    from vsearch.training.augment import transform_boxes

    right_half = np.array([[[0.5, 0, 40], [0, 1, 0], [0, 0, 1]]], np.float32)  # of a picture 80 px wide, enlarged
    boxes = np.array([[[0.1, 0.2, 0.7, 0.4], [0.4, 0.2, 0.8, 0.4], [0, 0, 0, 0]]], np.float32)
    unknown = np.full((1, 2, 4), -1, np.float32)

    found = transform_boxes(boxes, right_half, (60, 80), (60, 80)).numpy()

    np.testing.assert_allclose(found[0, 1], [0, 0.2, 0.6, 0.4], atol=0.01)
    assert (found[0, [0, 2]] == 0).all()
    assert (transform_boxes(unknown, right_half, (60, 80), (60, 80)).numpy() == -1).all()


def test_mirrored_boxes_keep_their_size_and_height():
    from vsearch.training.augment import mirror_boxes

    boxes = np.array([[[0.1, 0.2, 0.5, 0.4], [0, 0, 0, 0]], [[-1, -1, -1, -1], [-1, -1, -1, -1]]], np.float32)
    found = mirror_boxes(boxes)
    np.testing.assert_allclose(found[0, 0], [0.5, 0.2, 0.9, 0.4], atol=1e-6)
    assert found[0, 1, 2] == found[0, 1, 0]
    assert (found[1] == -1).all()
