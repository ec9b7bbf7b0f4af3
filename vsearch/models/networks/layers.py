"""Custom layers: pooling to a grid, and the heads that read digits and detect boxes."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from vsearch.detection.boxes import GRID_CHANNELS

_FREQUENCIES = 24  # cosines that encode the position of a column
_BOX_WIDTH = 96
_BOX_PRIOR = 0.01  # initial confidence (Lin et al., ICCV 2017)
_BOX_DISTANCE = 0.2  # initial distance from a center to the sides, as a fraction of the image


class GridPool(layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Average a feature map [n, h, w, c] over grid x grid regions of nearly equal size -> float32 [n, grid*grid*c].

    Regions overlap by one pixel if the size is not a multiple of the grid (adaptive pooling).
    """

    def __init__(self, grid: int, **options: Any) -> None:
        super().__init__(**options, dtype="float32")
        self.grid = grid

    def call(self, features: Any) -> Any:
        """Return the averages."""
        rows, columns = (
            [(i * size // self.grid, -(-(i + 1) * size // self.grid)) for i in range(self.grid)]
            for size in features.shape[1:3]
        )
        regions = [ops.mean(features[:, a:b, c:d], axis=(1, 2)) for a, b in rows for c, d in columns]
        return ops.concatenate(regions, axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the averages."""
        channels = input_shape[-1]
        return (input_shape[0], channels and self.grid**2 * channels)


class DigitReader(layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Read a line of digits: feature map [n, h, w, c] -> logits float32 [n, length, 10], for any h and w.

    The height is averaged with learned weights, and a convolution mixes neighboring columns. A learned query for each
    digit attends to the columns by content and position; one classifier, shared by all digits, reads the result.
    """

    def __init__(self, length: int, *, width: int = 128, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.length, self.width = length, width
        self.height_weights = layers.Dense(1, name="height_weights", dtype=self.dtype_policy)
        self.columns = layers.Conv1D(
            width, 5, padding="same", activation="relu", name="columns", dtype=self.dtype_policy
        )
        self.keys = layers.Dense(width, name="keys", dtype=self.dtype_policy)
        self.dropout = layers.Dropout(dropout, name="dropout", dtype=self.dtype_policy)
        self.digits = layers.Dense(10, name="digits", dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        channels = input_shape[-1]
        self.height_weights.build((None, None, None, channels))
        self.columns.build((None, None, channels))
        self.keys.build((None, None, self.width))
        self.digits.build((None, self.length, self.width))
        self.queries = self.add_weight(name="queries", shape=(self.length, self.width), initializer="random_normal")
        self.positions = self.add_weight(name="places", shape=(self.length, _FREQUENCIES), initializer=_left_to_right)

    def call(self, features: Any, training: bool | None = None) -> Any:
        """Return the logits."""
        features = ops.cast(features, self.compute_dtype)
        weights = ops.exp(5 * ops.tanh(self.height_weights(features)))  # a softmax over a height of 1 makes Keras warn
        # With the height kept until the end: OpenVINO 2026.4 fails to optimize a quotient of sums without it.
        average = ops.sum(features * weights, axis=1, keepdims=True) / ops.sum(weights, axis=1, keepdims=True)
        columns = self.columns(ops.squeeze(average, axis=1))
        content = ops.einsum("ld,nwd->nlw", self.queries, self.keys(columns)) / self.width**0.5
        position = ops.matmul(self.positions, _position_cosines(ops.shape(columns)[1]))
        seen = ops.matmul(ops.softmax(content + position, axis=-1), columns)
        return self.digits(self.dropout(seen, training=training))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the logits."""
        return (input_shape[0], self.length, 10)


def _position_cosines(columns: Any) -> Any:
    """Return cosines over the width, float32 [frequencies, columns]."""
    middles = (ops.cast(ops.arange(columns), "float32") + 0.5) / ops.cast(columns, "float32")
    return ops.cos(np.pi * ops.arange(_FREQUENCIES, dtype="float32")[:, None] * middles[None, :])


def _left_to_right(shape: tuple[int, int], dtype: str | None = None) -> Any:
    """Return cosine weights with which digit i of n initially attends to the width around (i + 1/2) / n."""
    length, waves = shape
    middles = (np.arange(4 * waves) + 0.5) / (4 * waves)
    centers = (np.arange(length) + 0.5) / length
    bumps = 3 * np.exp(-(((middles[None, :] - centers[:, None]) * length) ** 2))
    cosines = np.cos(np.pi * np.arange(waves)[:, None] * middles[None, :])
    scale = np.where(np.arange(waves) == 0, 1, 2) / len(middles)
    return ops.convert_to_tensor((bumps @ cosines.T * scale).astype(np.float32), dtype)


class JoinMaps(layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Join a feature map with one of twice its size: [n, h, w, c] and [n, 2h, 2w, d] -> float32 [n, h, w, c + 4d].

    The finer map's cells become channels, so that nothing of it is lost and a single array can be cached.
    """

    def call(self, maps: tuple[Any, Any]) -> Any:
        """Return the joined map."""
        coarse, fine = maps
        _, height, width, _ = ops.shape(coarse)
        parts = ops.reshape(fine, (-1, height, 2, width, 2, fine.shape[-1]))
        cells = ops.reshape(ops.transpose(parts, (0, 1, 3, 2, 4, 5)), (-1, height, width, 4 * fine.shape[-1]))
        return ops.concatenate([coarse, cells], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the joined map."""
        coarse, fine = input_shape
        return (*coarse[:3], coarse[3] + 4 * fine[3])


class SplitCells(layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Divide each cell of a feature map into 2 x 2 cells: [n, h, w, 4c] -> [n, 2h, 2w, c]."""

    def call(self, cells: Any) -> Any:
        """Return the finer map."""
        _, height, width, channels = ops.shape(cells)
        parts = ops.reshape(cells, (-1, height, width, 2, 2, channels // 4))
        return ops.reshape(ops.transpose(parts, (0, 1, 3, 2, 4, 5)), (-1, 2 * height, 2 * width, channels // 4))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the finer map."""
        n, height, width, channels = input_shape
        return (n, height and 2 * height, width and 2 * width, channels // 4)


def box_head(width: int | None, *, dropout: float, name: str) -> keras.Sequential:
    """Return the detection head: joined maps [n, h, w, c] -> float32 [n, 2h, 2w, 5]; see `vsearch.detection.boxes`.

    `width` is that of the hidden layers; `dropout` applies before the output.
    """
    width = width or _BOX_WIDTH
    steps: list[keras.layers.Layer] = []
    for kernel in (1, 3, 3):
        steps += [
            layers.Conv2D(width, kernel, padding="same", use_bias=False, dtype="float32"),
            layers.BatchNormalization(momentum=0.95, dtype="float32"),
            layers.ReLU(dtype="float32"),
        ]
    steps += [
        layers.Dropout(dropout, dtype="float32"),
        layers.Conv2D(4 * GRID_CHANNELS, 1, bias_initializer=_box_bias, dtype="float32"),
        SplitCells(dtype="float32"),
    ]
    return keras.Sequential(steps, name=name)


def _box_bias(shape: tuple[int, ...], dtype: str | None = None) -> Any:
    """Return biases for a low confidence and boxes of medium size."""
    values = [np.log(_BOX_PRIOR / (1 - _BOX_PRIOR)), *[np.log(_BOX_DISTANCE)] * (GRID_CHANNELS - 1)]
    return ops.convert_to_tensor(np.tile(np.array(values, np.float32), shape[0] // GRID_CHANNELS), dtype)
