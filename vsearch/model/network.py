"""Networks made from a backbone: the trunk that features come from, and the classifier that trains it.

Scaling to the backbone's range is a layer inside, so nobody can feed a network the wrong numbers.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from vsearch.model.backbones import Scaling, backbone, build

CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)  # of ImageNet, as keras.applications subtracts it


def scale(pictures: Any, scaling: Scaling) -> Any:
    """Map RGB pictures of 0..255, float [n, h, w, 3], to the range a backbone was trained with."""
    if scaling == "signed":
        return layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(pictures)
    flipped = pictures[..., ::-1]
    return flipped - np.asarray(CAFFE_MEAN_BGR, np.float32)


def build_trunk(name: str, grid: int = 3) -> tuple[keras.Model, keras.Model]:
    """Return (backbone, trunk): float RGB 0..255 [n, side, side, 3] -> features float32 [n, grid * grid * c].

    The trunk pools the last feature map to a grid x grid average, row by row: where a part sits tells products apart
    that one global average mixes up. The backbone inside is the same object, to load weights into.

    Raises:
        CheckpointError: no such backbone.
    """
    row = backbone(name)
    network = build(name, row.side)
    pictures = keras.Input((row.side, row.side, 3), name="pictures")
    features = network(scale(pictures, row.scaling), training=False)
    return network, keras.Model(pictures, _pool_to_grid(features, grid), name=f"{name}_trunk")


def build_classifier(name: str, class_count: int, *, dropout: float = 0.2) -> tuple[keras.Model, keras.Model]:
    """Return (backbone, classifier): float RGB 0..255 [n, any, any, 3] -> logits float32 [n, class_count].

    Raises:
        CheckpointError: no such backbone.
    """
    network = build(name)
    pictures = keras.Input((None, None, 3), name="pictures")
    features = network(scale(pictures, backbone(name).scaling))
    pooled = layers.GlobalAveragePooling2D(name="pool", dtype="float32")(features)
    pooled = layers.Dropout(dropout, name="dropout")(pooled)
    logits = layers.Dense(class_count, name="logits", dtype="float32")(pooled)
    return network, keras.Model(pictures, logits, name=f"{name}_classifier")


def _pool_to_grid(features: Any, grid: int) -> Any:
    """Average a feature map [n, h, w, c] over grid x grid cells of nearly equal size -> float32 [n, grid*grid*c]."""
    height, width = features.shape[1], features.shape[2]
    rows, columns = _cells(height, grid), _cells(width, grid)
    cells = [ops.mean(features[:, a:b, c:d], axis=(1, 2)) for a, b in rows for c, d in columns]
    return ops.cast(ops.concatenate(cells, axis=-1), "float32")


def _cells(size: int, grid: int) -> list[tuple[int, int]]:
    """Split 0..size into `grid` spans; they overlap by one where size is no multiple (adaptive pooling)."""
    return [(i * size // grid, -(-(i + 1) * size // grid)) for i in range(grid)]
