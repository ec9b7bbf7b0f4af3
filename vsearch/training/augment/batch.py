"""How training pictures are changed each time they are shown: whole batches in TensorFlow, all chance from one seed.

First cut, mirror, turn and tilt in one resampling, then what `retouch` does in place. Blending comes last, in `mix`.
What an augmentation leaves at zero costs nothing.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from vsearch.training.augment.photometric import GREY, GRID, NOISES, retouch
from vsearch.training.plan_parts import Augment

_COVERED = (0.1, 0.4)  # least and most of each side that a cover takes


class Perturbed(NamedTuple):
    """Changed pictures float32 RGB 0..255 [n, h, w, 3]; bool [n] each: which were recoloured, which scrambled.

    And where each pixel (x, y, 1) of a changed picture was in the picture: projective maps, float32 [n, 3, 3].
    """

    pictures: Any
    recoloured: Any
    scrambled: Any
    matrices: Any


class Dice:
    """Chance for n pictures; the same seed gives the same draws in the same order.

    Args:
        seed: integers [2].
        count: n.
    """

    def __init__(self, seed: Any, count: Any) -> None:
        self._seed, self.count, self._drawn = seed, count, 0

    def seed(self) -> Any:
        """Return a seed of its own for one draw, integers [2]."""
        self._drawn += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._drawn)

    def uniform(self, low: float, high: float, *shape: int) -> Any:
        """Draw float32 [n, *shape] between two numbers."""
        return tf.random.stateless_uniform((self.count, *shape), self.seed(), low, high)

    def chosen(self, share: float) -> Any:
        """Draw bool [n], about so many of them true."""
        return self.uniform(0.0, 1.0) < share


def perturb(pictures: Any, augment: Augment, *, shape: tuple[int, int], seed: Any) -> Perturbed:
    """Change each picture in its own way.

    Args:
        pictures: uint8 or float32 RGB 0..255 [n, h, w, 3].
        augment: how.
        shape: (height, width) in pixels of what comes out.
        seed: integers [2].
    """
    dice = Dice(seed, tf.shape(pictures)[0])
    found, matrices = _framed(pictures, augment, shape, dice)
    one = dice.uniform(0.0, 1.0)  # one draw for both: a picture that hides every label teaches nothing
    recoloured, scrambled = one < augment.recolour, one >= 1.0 - augment.scramble
    drawn = _colours(augment, recoloured, dice)
    if augment.scramble:
        drawn["order"] = tf.where(scrambled[:, None], tf.argsort(dice.uniform(0.0, 1.0, GRID**2)), np.arange(GRID**2))
    if augment.cover:
        drawn |= _cover(augment.cover, dice)
    if augment.ramp:
        drawn["ramp"] = dice.uniform(-augment.ramp, augment.ramp, 2)
    if augment.gamma:
        drawn["gamma"] = tf.exp(dice.uniform(-augment.gamma, augment.gamma, 1, 1, 1))
    if augment.blur:
        drawn["sigma"] = dice.uniform(0.0, augment.blur, 1, 1)
    if augment.noise:
        drawn["noise"] = tf.random.stateless_normal((NOISES, *shape, 3), dice.seed())
        drawn["strength"] = dice.uniform(-augment.noise, augment.noise, 1, 1, 1)
    return Perturbed(retouch(found, drawn), recoloured, scrambled, matrices)


def mix(pictures: Any, share: float, *, seed: Any) -> tuple[Any, Any]:
    """Blend some pictures [n, h, w, 3] with the one before them; each stays at least half itself.

    Returns:
        The pictures, and how much each is itself: float32 [n], 1 where it was not blended.
    """
    dice = Dice(seed, tf.shape(pictures)[0])
    own = tf.where(dice.chosen(share), dice.uniform(0.5, 1.0), 1.0)
    weight = own[:, None, None, None]
    return pictures * weight + tf.roll(pictures, 1, axis=0) * (1 - weight), own


def _framed(pictures: Any, augment: Augment, shape: tuple[int, int], dice: Dice) -> tuple[Any, Any]:
    """Cut, mirror, turn and tilt at once; beyond the edge the edge is repeated. See `Perturbed` for the maps."""
    boxes = _boxes(augment, dice)
    sides = pictures.shape[1:3]
    if not augment.turn and not augment.perspective:
        still = tf.zeros_like(boxes[:, 0])
        return tf.image.crop_and_resize(pictures, boxes, tf.range(dice.count), shape), _maps(boxes, still, sides, shape)
    angle = dice.uniform(-1.0, 1.0) * (augment.turn * np.pi / 180)
    tilt = _tilt(dice.uniform(-2 * augment.perspective, 2 * augment.perspective, 4, 2)) if augment.perspective else None
    matrices = _maps(boxes, angle, sides, shape, tilt)
    flat = tf.reshape(matrices, (-1, 9))
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(pictures, tf.float32),
        transforms=flat[:, :8] / flat[:, 8:],
        output_shape=shape,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )
    return warped, matrices


def _boxes(augment: Augment, dice: Dice) -> Any:
    """Draw boxes float32 [n, 4] (top, left, bottom, right) in shares of the side; left > right where mirrored."""
    size = tf.sqrt(dice.uniform(*augment.crop_area))
    stretch = tf.exp(dice.uniform(-augment.crop_shape, augment.crop_shape))
    height, width = tf.minimum(size * stretch, 1.0), tf.minimum(size / stretch, 1.0)
    top, left = dice.uniform(0.0, 1.0) * (1 - height), dice.uniform(0.0, 1.0) * (1 - width)
    mirrored = dice.chosen(0.5 if augment.mirror else 0.0)
    ends = tf.where(mirrored, left + width, left), tf.where(mirrored, left, left + width)
    return tf.stack([top, ends[0], top + height, ends[1]], axis=1)


def _maps(boxes: Any, angle: Any, before: Sequence[int], after: tuple[int, int], tilt: Any = None) -> Any:
    """Return the maps [n, 3, 3] from pixels of what comes out to pixels of the pictures, sides (height, width) each."""
    top, left, bottom, right = tf.unstack(boxes, axis=1)
    height, width = (float(side - 1) for side in before)
    zero, one = tf.zeros_like(top), tf.ones_like(top)
    cos, sin = tf.cos(angle), tf.sin(angle)
    across, down = (right - left) * width / 2, (bottom - top) * height / 2  # half a box in pixels
    middle = (left + right) * width / 2, (top + bottom) * height / 2
    # A turn in pixels, not in shares of sides, keeps right angles right.
    turned = [[cos * across, -sin * down, middle[0]], [sin * across, cos * down, middle[1]], [zero, zero, one]]
    unit = np.array([[2 / (after[1] - 1), 0, -1], [0, 2 / (after[0] - 1), -1], [0, 0, 1]], np.float32)
    whole = tf.stack([tf.stack(row, axis=1) for row in turned], axis=1)
    return (whole if tilt is None else whole @ tilt) @ unit


def _tilt(shifts: Any) -> Any:
    """Return the projective maps [n, 3, 3] that shift the corners of the square -1..1 by [n, 4, 2]."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
    moved = corners + shifts
    x, y, count = corners[:, 0], corners[:, 1], tf.shape(shifts)[0]
    plain = np.stack([x, y, np.ones(4), np.zeros(4), np.zeros(4), np.zeros(4)], axis=1).astype(np.float32)
    rows = []
    for axis, block in enumerate((plain, np.roll(plain, 3, axis=1))):
        seen = moved[:, :, axis, None]
        known = tf.broadcast_to(tf.constant(block), (count, 4, 6))
        rows.append(tf.concat([known, -seen * corners[:, 0:1], -seen * corners[:, 1:2]], axis=2))
    solved = tf.linalg.solve(tf.concat(rows, axis=1), tf.concat([moved[:, :, :1], moved[:, :, 1:]], axis=1))[..., 0]
    return tf.reshape(tf.concat([solved, tf.ones((count, 1))], axis=1), (-1, 3, 3))


def _cover(share: float, dice: Dice) -> dict[str, Any]:
    """Draw `cover` [n, 4] (top, left, bottom, right) in shares of the sides, empty for most, and its `paint` [n, 3]."""
    sides = dice.uniform(*_COVERED, 2) * tf.cast(dice.chosen(share), tf.float32)[:, None]
    start = dice.uniform(-0.2, 1.0, 2)  # mostly over an edge of the picture, as what stands before a product
    return {"cover": tf.concat([start, start + sides], axis=1), "paint": dice.uniform(0.0, 255.0, 3)}


def _colours(augment: Augment, recoloured: Any, dice: Dice) -> dict[str, Any]:
    """Draw an affine map of the colours of each picture: `matrix` [n, 3, 3], `contrast` [n, 1, 1], `shift` [n, 1, 3].

    A contrast of 1 leaves the picture's mean out of it.
    """
    saturation = dice.uniform(1 - augment.saturation, 1 + augment.saturation, 1, 1)
    contrast = dice.uniform(1 - augment.contrast, 1 + augment.contrast, 1, 1)
    light = dice.uniform(1 - augment.brightness, 1 + augment.brightness, 1, 1)
    light *= dice.uniform(1 - augment.cast, 1 + augment.cast, 1, 3)
    matrix = ((np.eye(3, dtype=np.float32) - GREY) * saturation + GREY) * light
    shift = tf.zeros((dice.count, 1, 3))
    if augment.recolour:
        other, moved = _other_colours(dice)
        chosen = recoloured[:, None, None]
        contrast = tf.where(chosen, 1.0, contrast)
        matrix, shift = tf.where(chosen, other @ matrix, matrix), tf.where(chosen, moved * light, shift)
    return {"matrix": matrix, "contrast": contrast, "shift": shift}


def _other_colours(dice: Dice) -> tuple[Any, Any]:
    """Draw maps [n, 3, 3] and offsets [n, 1, 3] under which black, white and all hues take any colour.

    Light and dark stay apart, a quarter of the time the other way round, so that shapes and textures remain.
    """
    slope = dice.uniform(0.35, 1.0, 1, 3)
    shift = dice.uniform(0.0, 1.0, 1, 3) * (1 - slope) * 255
    dark = dice.chosen(0.25)[:, None, None]
    slope, shift = tf.where(dark, -slope, slope), tf.where(dark, 255 - shift, shift)
    angle = dice.uniform(-np.pi, np.pi, 1, 1)
    axis = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], np.float32) / np.sqrt(np.float32(3))
    hue = tf.cos(angle) * (np.eye(3, dtype=np.float32) - GREY) + tf.sin(angle) * axis
    return GREY * slope + hue * dice.uniform(0.0, 1.0, 1, 1), shift
