"""Averages over a feature map that keep where things are."""

from typing import Any

import keras
from keras import layers, ops


def pool_to_grid(features: Any, grid: int) -> Any:
    """Average a feature map [n, h, w, c] over grid x grid cells of nearly equal size -> float32 [n, grid*grid*c]."""
    height, width = features.shape[1], features.shape[2]
    rows, columns = _cells(height, grid), _cells(width, grid)
    cells = [ops.mean(features[:, a:b, c:d], axis=(1, 2)) for a, b in rows for c, d in columns]
    return ops.cast(ops.concatenate(cells, axis=-1), "float32")


@keras.saving.register_keras_serializable("vsearch")
class GridPool(layers.Layer):  # type: ignore[misc]  # keras ships no types
    """`pool_to_grid` as a layer, for maps whose size is known when it is called and not before."""

    def __init__(self, grid: int, **options: Any) -> None:
        super().__init__(**options)
        self.grid = grid

    def call(self, features: Any) -> Any:
        """Average; see the class."""
        return pool_to_grid(ops.cast(features, "float32"), self.grid)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the averages."""
        channels = input_shape[-1]
        assert channels is not None
        return (input_shape[0], self.grid**2 * channels)

    def get_config(self) -> dict[str, Any]:
        """Return what builds an equal layer."""
        return {**super().get_config(), "grid": self.grid}


def _cells(size: int, grid: int) -> list[tuple[int, int]]:
    """Split 0..size into `grid` spans; they overlap by one where size is no multiple (adaptive pooling)."""
    return [(i * size // grid, -(-(i + 1) * size // grid)) for i in range(grid)]
