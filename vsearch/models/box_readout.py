"""Layers that say where things stand: a head that looks at each cell, and the sum of a fine map and a coarse one."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from vsearch.detection.boxes import NUMBERS

_WIDTH = 48  # of the layer before the answer
_SELDOM = 0.01  # share of cells that have something, to begin with (Lin et al., ICCV 2017)
_FAR = 0.2  # of a side, to begin with: from the middle of a thing to its sides


def box_reader(width: int | None, *, dropout: float, name: str) -> keras.Sequential:
    """Return the layer feature map [n, h, w, c] -> what is said of each cell, float32 [n, h, w, 5].

    See `vsearch.detection.boxes`.

    Args:
        width: of the layer before the answer; None takes a small one.
        dropout: share of the features that is left out in training.
        name: of the layer.
    """
    steps = [
        layers.Conv2D(width or _WIDTH, 3, padding="same", use_bias=False, dtype="float32"),
        layers.BatchNormalization(momentum=0.95, dtype="float32"),
        layers.ReLU(dtype="float32"),
        layers.Dropout(dropout, dtype="float32"),
        layers.Conv2D(NUMBERS, 1, bias_initializer=_first_guess, dtype="float32"),
    ]
    return keras.Sequential(steps, name=name)


@keras.saving.register_keras_serializable("vsearch")
class FinerSum(layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Adds a coarse feature map [n, h/2, w/2, c] to a fine one [n, h, w, c], each coarse cell to its four."""

    def call(self, maps: tuple[Any, Any]) -> Any:
        """Add; see the class."""
        fine, coarse = maps
        twice = ops.repeat(ops.repeat(coarse, 2, axis=1), 2, axis=2)
        return fine + twice[:, : ops.shape(fine)[1], : ops.shape(fine)[2]]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the fine map."""
        return input_shape[0]


def _first_guess(shape: tuple[int, ...], dtype: str | None = None) -> Any:
    """Return biases: hardly anything anywhere, of middling size."""
    values = [np.log(_SELDOM / (1 - _SELDOM)), *[np.log(_FAR)] * (NUMBERS - 1)]
    return ops.convert_to_tensor(np.array(values, np.float32), dtype)
