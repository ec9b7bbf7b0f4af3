"""Augment batches of training images in TensorFlow; one seed determines all randomness.

Crop, flip, rotation and perspective are a single resampling. The photometric changes follow in a single compiled pass.
A parameter of zero costs nothing.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from vsearch.training.plan import Augment

_OCCLUDED_SIDE: Final = (0.1, 0.4)  # minimum and maximum share of each side
_TILES: Final = 4  # on each side of a scrambled image
_NOISE_PATTERNS: Final = 4  # per batch, scaled for each image with a strength and sign, since drawing noise is slow
_GRAY: Final = np.full((3, 3), 1 / 3, np.float32)  # color matrix to gray
_MIN_VISIBLE: Final = 0.4  # share of a box's area; boxes that are less visible are removed


class AugmentedBatch(NamedTuple):
    """Augmented images, float32 RGB 0..255 [n, h, w, 3], and the changes made to them.

    Attributes:
        recolored, scrambled: bool [n].
        matrices: float32 [n, 3, 3], projective maps from a pixel (x, y, 1) of the result to one of the input.
    """

    pictures: Any
    recolored: Any
    scrambled: Any
    matrices: Any


class StatelessRng:
    """Random numbers for `count` images; the same seed, integers [2], always gives the same sequence."""

    def __init__(self, seed: Any, count: Any) -> None:
        self._seed, self.count, self._draws = seed, count, 0

    def next_seed(self) -> Any:
        """Return a new seed, integers [2]."""
        self._draws += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._draws)

    def uniform(self, low: float, high: float, *shape: int) -> Any:
        """Draw float32 [n, *shape] uniformly from low..high."""
        return tf.random.stateless_uniform((self.count, *shape), self.next_seed(), low, high)

    def choose(self, share: float) -> Any:
        """Draw bool [n], each true with the given probability."""
        return self.uniform(0.0, 1.0) < share


def augment_batch(pictures: Any, augment: Augment, *, shape: tuple[int, int], seed: Any) -> AugmentedBatch:
    """Augment each image independently.

    Args:
        pictures: uint8 or float32 RGB 0..255 [n, h, w, 3].
        augment: parameters.
        shape: (height, width) of the result in pixels.
        seed: integers [2].
    """
    rng = StatelessRng(seed, tf.shape(pictures)[0])
    framed, matrices = _resample(pictures, augment, shape, rng)
    draw = rng.uniform(0.0, 1.0)  # one draw for both, since an image with both labels hidden would teach nothing
    recolored, scrambled = draw < augment.recolor, draw >= 1.0 - augment.scramble
    parameters = _draw_colors(augment, recolored, rng)
    if augment.scramble:
        order = tf.argsort(rng.uniform(0.0, 1.0, _TILES**2))
        parameters["order"] = tf.where(scrambled[:, None], order, np.arange(_TILES**2))
    if augment.occlusion:
        sides = rng.uniform(*_OCCLUDED_SIDE, 2) * tf.cast(rng.choose(augment.occlusion), tf.float32)[:, None]
        start = rng.uniform(-0.2, 1.0, 2)  # usually across an edge, like an object in front of a product
        parameters["occluded"] = tf.concat([start, start + sides], axis=1)
        parameters["occluder_color"] = rng.uniform(0.0, 255.0, 3)
    if augment.lighting:
        parameters["lighting"] = rng.uniform(-augment.lighting, augment.lighting, 2)
    if augment.gamma:
        parameters["gamma"] = tf.exp(rng.uniform(-augment.gamma, augment.gamma, 1, 1, 1))
    if augment.blur:
        parameters["sigma"] = rng.uniform(0.0, augment.blur, 1, 1)
    if augment.noise:
        parameters["noise"] = tf.random.stateless_normal((_NOISE_PATTERNS, *shape, 3), rng.next_seed())
        parameters["noise_strength"] = rng.uniform(-augment.noise, augment.noise, 1, 1, 1)
    return AugmentedBatch(_change_pixels(framed, parameters), recolored, scrambled, matrices)


def transform_boxes(boxes: Any, matrices: Any, before: tuple[int, int], after: tuple[int, int]) -> Any:
    """Return the bounding boxes of the transformed corners, clipped to the image.

    A box with too little visible area becomes empty. Unknown boxes, -1, are kept.

    Args:
        boxes: float32 [n, k, 4], relative.
        matrices: see `AugmentedBatch`.
        before, after: (height, width) in pixels of the images before and after.
    """
    left, top, right, bottom = tf.unstack(boxes, axis=-1)
    x, y = tf.stack([left, right, right, left], axis=-1), tf.stack([top, top, bottom, bottom], axis=-1)
    # The center of pixel i is at (i + 1/2) / side.
    corners = tf.stack([x * before[1] - 0.5, y * before[0] - 0.5, tf.ones_like(x)], axis=-1)
    moved = tf.einsum("nij,nkcj->nkci", tf.linalg.inv(matrices), corners)
    relative = (moved[..., :2] / moved[..., 2:] + 0.5) / (after[1], after[0])
    whole = tf.concat([tf.reduce_min(relative, axis=2), tf.reduce_max(relative, axis=2)], axis=-1)
    clipped = tf.clip_by_value(whole, 0.0, 1.0)
    visible = (_areas(clipped) >= _MIN_VISIBLE * _areas(whole)) & (_areas(boxes) > 0)
    return tf.where(boxes < 0, boxes, tf.where(visible[..., None], clipped, 0.0))


def mirror_boxes(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the boxes of mirrored images, float32 [n, k, 4], relative. Unknown boxes, -1, are kept."""
    left, top, right, bottom = np.moveaxis(boxes, -1, 0)
    return np.where(boxes < 0, boxes, np.stack([1 - right, top, 1 - left, bottom], axis=-1))


def _areas(boxes: Any) -> Any:
    return tf.reduce_prod(tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0), axis=-1)


def _resample(pictures: Any, augment: Augment, shape: tuple[int, int], rng: StatelessRng) -> tuple[Any, Any]:
    """Crop, flip, rotate and tilt in one step, repeating the edges; return the images and their maps."""
    size = tf.sqrt(rng.uniform(*augment.crop_area))
    stretch = tf.exp(rng.uniform(-augment.crop_shape, augment.crop_shape))
    height, width = tf.minimum(size * stretch, 1.0), tf.minimum(size / stretch, 1.0)
    top, left = rng.uniform(0.0, 1.0) * (1 - height), rng.uniform(0.0, 1.0) * (1 - width)
    mirrored = rng.choose(0.5 if augment.mirror else 0.0)
    start, end = tf.where(mirrored, left + width, left), tf.where(mirrored, left, left + width)
    crops = tf.stack([top, start, top + height, end], axis=1)  # relative; mirrored ones run from right to left
    sides = pictures.shape[1:3]
    if not augment.rotation and not augment.perspective:
        resampled = tf.image.crop_and_resize(pictures, crops, tf.range(rng.count), shape)
        return resampled, _build_maps(crops, tf.zeros_like(top), sides, shape)
    angle = rng.uniform(-1.0, 1.0) * (augment.rotation * np.pi / 180)
    tilt = None
    if augment.perspective:
        tilt = _solve_perspective(rng.uniform(-2 * augment.perspective, 2 * augment.perspective, 4, 2))
    matrices = _build_maps(crops, angle, sides, shape, tilt)
    flat = tf.reshape(matrices, (-1, 9))
    resampled = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(pictures, tf.float32),
        transforms=flat[:, :8] / flat[:, 8:],
        output_shape=shape,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )
    return resampled, matrices


def _build_maps(crops: Any, angle: Any, before: Sequence[int], after: tuple[int, int], tilt: Any = None) -> Any:
    """Return the maps [n, 3, 3] from pixels of the result to pixels of the input, both (height, width)."""
    top, left, bottom, right = tf.unstack(crops, axis=1)
    height, width = (float(side - 1) for side in before)
    zero, one = tf.zeros_like(top), tf.ones_like(top)
    cos, sin = tf.cos(angle), tf.sin(angle)
    half_width, half_height = (right - left) * width / 2, (bottom - top) * height / 2  # pixels, to keep right angles
    center_x, center_y = (left + right) * width / 2, (top + bottom) * height / 2
    rows = [
        [cos * half_width, -sin * half_height, center_x],
        [sin * half_width, cos * half_height, center_y],
        [zero, zero, one],
    ]
    crop = tf.stack([tf.stack(row, axis=1) for row in rows], axis=1)
    to_unit = np.array([[2 / (after[1] - 1), 0, -1], [0, 2 / (after[0] - 1), -1], [0, 0, 1]], np.float32)
    return (crop if tilt is None else crop @ tilt) @ to_unit


def _solve_perspective(shifts: Any) -> Any:
    """Return the projective maps [n, 3, 3] that shift the corners of the square -1..1 by [n, 4, 2]."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
    moved = corners + shifts
    x, y, count = corners[:, 0], corners[:, 1], tf.shape(shifts)[0]
    affine = np.stack([x, y, np.ones(4), np.zeros(4), np.zeros(4), np.zeros(4)], axis=1).astype(np.float32)
    equations = []
    for axis, block in enumerate((affine, np.roll(affine, 3, axis=1))):
        target = moved[:, :, axis, None]
        known = tf.broadcast_to(tf.constant(block), (count, 4, 6))
        equations.append(tf.concat([known, -target * corners[:, 0:1], -target * corners[:, 1:2]], axis=2))
    targets = tf.concat([moved[:, :, :1], moved[:, :, 1:]], axis=1)
    solved = tf.linalg.solve(tf.concat(equations, axis=1), targets)[..., 0]
    return tf.reshape(tf.concat([solved, tf.ones((count, 1))], axis=1), (-1, 3, 3))


def _draw_colors(augment: Augment, recolored: Any, rng: StatelessRng) -> dict[str, Any]:
    """Draw an affine color map for each picture: `matrix` [n, 3, 3], `contrast` [n, 1, 1], `shift` [n, 1, 3]."""
    saturation = rng.uniform(1 - augment.saturation, 1 + augment.saturation, 1, 1)
    contrast = rng.uniform(1 - augment.contrast, 1 + augment.contrast, 1, 1)
    light = rng.uniform(1 - augment.brightness, 1 + augment.brightness, 1, 1)
    light *= rng.uniform(1 - augment.color_cast, 1 + augment.color_cast, 1, 3)
    matrix = ((np.eye(3, dtype=np.float32) - _GRAY) * saturation + _GRAY) * light
    shift = tf.zeros((rng.count, 1, 3))
    if augment.recolor:
        other, offset = _draw_recoloring(rng)
        chosen = recolored[:, None, None]
        contrast = tf.where(chosen, 1.0, contrast)
        matrix, shift = tf.where(chosen, other @ matrix, matrix), tf.where(chosen, offset * light, shift)
    return {"matrix": matrix, "contrast": contrast, "shift": shift}


def _draw_recoloring(rng: StatelessRng) -> tuple[Any, Any]:
    """Draw color maps [n, 3, 3] and offsets [n, 1, 3] that map black, white and all hues to arbitrary colors.

    The contrast between light and dark is kept, or inverted a quarter of the time, so that shapes and textures remain.
    """
    slope = rng.uniform(0.35, 1.0, 1, 3)
    offset = rng.uniform(0.0, 1.0, 1, 3) * (1 - slope) * 255
    inverted = rng.choose(0.25)[:, None, None]
    slope, offset = tf.where(inverted, -slope, slope), tf.where(inverted, 255 - offset, offset)
    angle = rng.uniform(-np.pi, np.pi, 1, 1)
    axis = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], np.float32) / np.sqrt(np.float32(3))
    hue = tf.cos(angle) * (np.eye(3, dtype=np.float32) - _GRAY) + tf.sin(angle) * axis
    return _GRAY * slope + hue * rng.uniform(0.0, 1.0, 1, 1), offset


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]  # one pass over the pixels is ten times as fast
def _change_pixels(pictures: Any, parameters: dict[str, Any]) -> Any:
    """Scramble, occlude, recolor, relight, blur and add noise, each only if its parameters are given."""
    if "order" in parameters:
        pictures = _shuffle_tiles(pictures, parameters["order"])
    if "occluded" in parameters:
        top, left, bottom, right = (parameters["occluded"][:, None, None, side, None] for side in range(4))
        rows, columns = _coordinates(pictures, 0.0)
        inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
        pictures = tf.where(inside, parameters["occluder_color"][:, None, None], pictures)
    matrix, contrast = parameters["matrix"], parameters["contrast"]
    mean = tf.reduce_mean(pictures, axis=(1, 2))[:, None]
    changed = (parameters["shift"] + (mean @ matrix) * (1 - contrast))[:, None]
    for channel in range(3):
        changed += pictures[..., channel : channel + 1] * (matrix * contrast)[:, None, None, channel]
    if "lighting" in parameters:
        rows, columns = _coordinates(changed, -1.0)
        down, across = parameters["lighting"][:, None, None, :1], parameters["lighting"][:, None, None, 1:]
        changed *= 1.0 + rows * down + columns * across
    if "gamma" in parameters:
        changed = 255.0 * tf.clip_by_value(changed / 255.0, 1e-4, 1.0) ** parameters["gamma"]
    if "sigma" in parameters:
        changed = _blur(changed, parameters["sigma"])
    if "noise" in parameters:
        count = tf.shape(changed)[0]
        noise = tf.tile(parameters["noise"], (-(-count // _NOISE_PATTERNS), 1, 1, 1))[:count]
        changed += noise * parameters["noise_strength"]
    return tf.clip_by_value(changed, 0.0, 255.0)


def _shuffle_tiles(pictures: Any, order: Any) -> Any:
    """Reorder tiles by `order` [n, tiles]; a remainder at the far edges that the grid does not cover is mirrored."""
    height, width = (side // _TILES * _TILES for side in pictures.shape[1:3])
    tile = (height // _TILES, width // _TILES)
    tiles = tf.reshape(pictures[:, :height, :width], (-1, _TILES, tile[0], _TILES, tile[1], 3))
    tiles = tf.reshape(tf.transpose(tiles, (0, 1, 3, 2, 4, 5)), (-1, _TILES**2, *tile, 3))
    tiles = tf.reshape(tf.gather(tiles, order, batch_dims=1), (-1, _TILES, _TILES, *tile, 3))
    mosaic = tf.reshape(tf.transpose(tiles, (0, 1, 3, 2, 4, 5)), (-1, height, width, 3))
    rest = [[0, 0], [0, pictures.shape[1] - height], [0, pictures.shape[2] - width], [0, 0]]
    return tf.pad(mosaic, rest, "SYMMETRIC")


def _coordinates(pictures: Any, start: float) -> tuple[Any, Any]:
    """Return the positions of rows [1, h, 1, 1] and columns [1, 1, w, 1], from `start` to 1."""
    rows, columns = (np.linspace(start, 1.0, side, dtype=np.float32) for side in pictures.shape[1:3])
    return rows[None, :, None, None], columns[None, None, :, None]


def _blur(pictures: Any, sigma: Any) -> Any:
    """Apply a Gaussian blur with one sigma per image, [n, 1, 1], as two matrix products."""
    height, width = pictures.shape[1:3]

    def kernel(side: int) -> Any:  # [n, side, side]
        positions = np.arange(side, dtype=np.float32)
        weights = tf.exp(-((positions[:, None] - positions) ** 2) / (2 * tf.maximum(sigma, 0.1) ** 2))
        return weights / tf.reduce_sum(weights, axis=2, keepdims=True)

    lines = tf.reshape(kernel(height) @ tf.reshape(pictures, (-1, height, width * 3)), tf.shape(pictures))
    return tf.einsum("nvw,nhwc->nhvc", kernel(width), lines)
