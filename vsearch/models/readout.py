"""Reading a line of digits from a feature map: every position looks along the columns for its own digit."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

_WAVES = 24  # cosines that say where a column is; the finest tells a 24th of the width apart


@keras.saving.register_keras_serializable("vsearch")
class DigitReader(layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Feature map [n, h, w, c] -> logits float32 [n, length, 10], for any h and w.

    The height is averaged with learned weights, then a convolution lets each column see its neighbours. Each position
    has a learned query; it attends over the columns by what they show and by where they are, and one classifier of ten
    digits, shared by all positions, reads what it saw.

    Attributes:
        length: positions.
        width: numbers that a column and a query have.
        dropout: share of what a position saw that is left out in training.
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
        """Make the weights for feature maps of `input_shape`."""
        channels = input_shape[-1]
        self.height_weights.build((None, None, None, channels))
        self.columns.build((None, None, channels))
        self.keys.build((None, None, self.width))
        self.digits.build((None, self.length, self.width))
        self.queries = self.add_weight(name="queries", shape=(self.length, self.width), initializer="random_normal")
        self.places = self.add_weight(name="places", shape=(self.length, _WAVES), initializer=_in_order)

    def call(self, features: Any, training: bool | None = None) -> Any:
        """Read; see the class."""
        features = ops.cast(features, self.compute_dtype)
        weights = ops.exp(5 * ops.tanh(self.height_weights(features)))  # Keras warns of a softmax over a height of 1
        columns = self.columns(ops.sum(features * weights, axis=1) / ops.sum(weights, axis=1))
        content = ops.einsum("ld,nwd->nlw", self.queries, self.keys(columns)) / self.width**0.5
        place = ops.matmul(self.places, _waves(ops.shape(columns)[1]))
        seen = ops.matmul(ops.softmax(content + place, axis=-1), columns)
        return self.digits(self.dropout(seen, training=training))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the logits."""
        return (input_shape[0], self.length, 10)

    def get_config(self) -> dict[str, Any]:
        """Return what builds an equal layer."""
        own = {"length": self.length, "width": self.width, "dropout": self.dropout.rate}
        return {**super().get_config(), **own}


def _waves(columns: Any) -> Any:
    """Return cosines over the width, float32 [_WAVES, columns]."""
    middles = (ops.cast(ops.arange(columns), "float32") + 0.5) / ops.cast(columns, "float32")
    return ops.cos(np.pi * ops.arange(_WAVES, dtype="float32")[:, None] * middles[None, :])


def _in_order(shape: tuple[int, int], dtype: str | None = None) -> Any:
    """Return weights of the cosines that let position i of n begin with a bump at (i + 1/2) / n of the width."""
    length, waves = shape
    middles = (np.arange(4 * waves) + 0.5) / (4 * waves)
    centres = (np.arange(length) + 0.5) / length
    bumps = 3 * np.exp(-(((middles[None, :] - centres[:, None]) * length) ** 2))
    cosines = np.cos(np.pi * np.arange(waves)[:, None] * middles[None, :])
    scale = np.where(np.arange(waves) == 0, 1, 2) / len(middles)
    return ops.convert_to_tensor((bumps @ cosines.T * scale).astype(np.float32), dtype)
