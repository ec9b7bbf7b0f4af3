"""What is done to the pixels of training pictures in place, one pass over a whole batch.

The order: tiles that change places; something before the product; one affine map of the colours; light from one side;
gamma; blur; noise.
"""

from typing import Any, Final

import numpy as np
import tensorflow as tf

GRID: Final = 4
"""Tiles on each side of a scrambled picture."""

NOISES: Final = 4
"""Patterns of noise in a batch, each in its own strength and sign; drawing is what noise costs."""

GREY: Final = np.full((3, 3), 1 / 3, np.float32)
"""The map of colours that leaves grey."""


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]  # one pass over the pixels, ten times as quick
def retouch(pictures: Any, drawn: dict[str, Any]) -> Any:
    """Do what a picture can have done to it in place.

    Args:
        pictures: float32 RGB 0..255 [n, h, w, 3].
        drawn: for each picture: `matrix` [n, 3, 3], `contrast` [n, 1, 1] and `shift` [n, 1, 3] of its colours, and what
            the augmentation has of `order` [n, tiles], `cover` [n, 4] and `paint` [n, 3], `ramp` [n, 2], `gamma`
            [n, 1, 1, 1], `sigma` [n, 1, 1], and `noise` [NOISES, h, w, 3] with `strength` [n, 1, 1, 1].
    """
    if "order" in drawn:
        pictures = _scramble(pictures, drawn["order"])
    if "cover" in drawn:
        pictures = _covered(pictures, drawn["cover"], drawn["paint"])
    pictures = _colour(pictures, drawn)
    if "ramp" in drawn:
        pictures = _lit(pictures, drawn["ramp"])
    if "gamma" in drawn:
        pictures = 255.0 * tf.clip_by_value(pictures / 255.0, 1e-4, 1.0) ** drawn["gamma"]
    if "sigma" in drawn:
        pictures = _blur(pictures, drawn["sigma"])
    if "noise" in drawn:
        count = tf.shape(pictures)[0]
        patterns = tf.tile(drawn["noise"], (-(-count // NOISES), 1, 1, 1))[:count]
        pictures += patterns * drawn["strength"]
    return tf.clip_by_value(pictures, 0.0, 255.0)


def _scramble(pictures: Any, order: Any) -> Any:
    """Let tiles change places by `order` [n, tiles]; what the grid does not cover at the far edges is mirrored."""
    height, width = (side // GRID * GRID for side in pictures.shape[1:3])
    tiles = tf.reshape(pictures[:, :height, :width], (-1, GRID, height // GRID, GRID, width // GRID, 3))
    tiles = tf.reshape(tf.transpose(tiles, (0, 1, 3, 2, 4, 5)), (-1, GRID**2, height // GRID, width // GRID, 3))
    tiles = tf.reshape(tf.gather(tiles, order, batch_dims=1), (-1, GRID, GRID, height // GRID, width // GRID, 3))
    mosaic = tf.reshape(tf.transpose(tiles, (0, 1, 3, 2, 4, 5)), (-1, height, width, 3))
    missing = [[0, 0], [0, pictures.shape[1] - height], [0, pictures.shape[2] - width], [0, 0]]
    return tf.pad(mosaic, missing, "SYMMETRIC")


def _covered(pictures: Any, boxes: Any, paint: Any) -> Any:
    """Paint a box of each picture [n, 4] in one colour [n, 3]."""
    top, left, bottom, right = (boxes[:, None, None, side, None] for side in range(4))
    rows, columns = _places(pictures, 0.0)
    inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    return tf.where(inside, paint[:, None, None], pictures)


def _lit(pictures: Any, ramp: Any) -> Any:
    """Let light fall from one side: factors 1 +- ramp [n, 2] at the edges, down and across."""
    rows, columns = _places(pictures, -1.0)
    down, across = ramp[:, None, None, :1], ramp[:, None, None, 1:]
    return pictures * (1.0 + rows * down + columns * across)


def _places(pictures: Any, start: float) -> tuple[Any, Any]:
    """Return where rows [1, h, 1, 1] and columns [1, 1, w, 1] lie, from `start` to 1."""
    height, width = pictures.shape[1:3]
    rows, columns = (np.linspace(start, 1.0, side, dtype=np.float32) for side in (height, width))
    return rows[None, :, None, None], columns[None, None, :, None]


def _colour(pictures: Any, drawn: dict[str, Any]) -> Any:
    matrix, contrast = drawn["matrix"], drawn["contrast"]
    mean = tf.reduce_mean(pictures, axis=(1, 2))[:, None]
    found = (drawn["shift"] + (mean @ matrix) * (1 - contrast))[:, None]
    for channel in range(3):
        found += pictures[..., channel : channel + 1] * (matrix * contrast)[:, None, None, channel]
    return found


def _blur(pictures: Any, sigma: Any) -> Any:
    """Blur each picture by a Gaussian of its own sigma [n, 1, 1]; two matrix products, whatever the sigma."""
    height, width = pictures.shape[1:3]
    lines = tf.reshape(_gaussian(height, sigma) @ tf.reshape(pictures, (-1, height, width * 3)), tf.shape(pictures))
    return tf.einsum("nvw,nhwc->nhvc", _gaussian(width, sigma), lines)


def _gaussian(side: int, sigma: Any) -> Any:
    """Return [n, side, side]: rows that weigh neighbours, each adding up to one."""
    places = np.arange(side, dtype=np.float32)
    weights = tf.exp(-((places[:, None] - places) ** 2) / (2 * tf.maximum(sigma, 0.1) ** 2))
    return weights / tf.reduce_sum(weights, axis=2, keepdims=True)
