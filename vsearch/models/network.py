"""Networks made from a backbone: the trunk that features come from, and the network with heads that trains it.

Scaling to the backbone's range is a layer inside, so nobody can feed a network the wrong numbers.
"""

from collections.abc import Sequence
from typing import Any, Final

import keras
import numpy as np
from keras import layers

from vsearch.models.backbones import Scaling, backbone, build
from vsearch.models.box_readout import box_reader
from vsearch.models.pooling import GridPool, pool_to_grid
from vsearch.models.readout import DigitReader
from vsearch.models.trained_heads import HeadSpec

HEAD: Final = "head_"
"""Begins the name of the layer that a head lives in."""

_METRIC_WIDTH: Final = 512  # of the layer before an embedding

CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)  # of ImageNet, as keras.applications subtracts it


def scale(pictures: Any, scaling: Scaling) -> Any:
    """Map RGB pictures of 0..255, float [n, h, w, 3], to the range a backbone was trained with."""
    if scaling == "signed":
        return layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(pictures)
    flipped = pictures[..., ::-1]
    return flipped - np.asarray(CAFFE_MEAN_BGR, np.float32)


def build_trunk(name: str, grid: int = 3, side: int | None = None) -> tuple[keras.Model, keras.Model]:
    """Return (backbone, trunk): float RGB 0..255 [n, side, side, 3] -> features float32 [n, grid * grid * c].

    The trunk pools the last feature map to a grid x grid average, row by row: where a part sits tells products apart
    that one global average mixes up. The backbone inside is the same object, to load weights into. Without a side it
    is that of the table.

    Raises:
        CheckpointError: no such backbone.
    """
    row = backbone(name)
    side = side or row.side
    network = build(name, side)
    pictures = keras.Input((side, side, 3), name="pictures")
    features = network(scale(pictures, row.scaling), training=False)
    return network, keras.Model(pictures, pool_to_grid(features, grid), name=f"{name}_trunk")


def build_network(
    name: str, heads: Sequence[HeadSpec], *, dropout: float, shape: tuple[int, int] | None = None
) -> tuple[keras.Model, keras.Model]:
    """Return (backbone, network): float RGB 0..255 [n, h, w, 3] -> {head name: logits float32 [n, *logits_shape]}.

    Each head is one layer of the network, `head_NAME`.

    Args:
        name: a row of the backbone table.
        heads: one output each.
        dropout: share of the pooled features that is left out in training.
        shape: (height, width) in pixels; None takes any.

    Raises:
        CheckpointError: no such backbone.
    """
    network = build(name)
    pictures = keras.Input((*(shape or (None, None)), 3), name="pictures")
    features = network(scale(pictures, backbone(name).scaling))
    outputs = {head.name: _head(head, dropout)(features) for head in heads}
    return network, keras.Model(pictures, outputs, name=f"{name}_network")


def build_top(network: keras.Model, channels: int) -> keras.Model:
    """Return the heads of a network alone: features [n, h, w, channels] -> what the network gives.

    The layers are the network's own, so what one learns the other knows. A feature map that is already averaged,
    [n, 1, 1, channels], does for every head but digits.
    """
    features = keras.Input((None, None, channels), name="features")
    heads = {name: network.get_layer(f"{HEAD}{name}") for name in network.output}
    return keras.Model(features, {name: head(features) for name, head in heads.items()}, name="top")


def _head(head: HeadSpec, dropout: float) -> keras.layers.Layer:
    """Return the layer feature map [n, h, w, c] -> logits float32 [n, *logits_shape], whatever the precision."""
    name = f"{HEAD}{head.name}"
    if head.kind == "digits":
        return DigitReader(head.length, dropout=dropout, dtype="float32", name=name)
    if head.kind == "boxes":
        return box_reader(head.hidden or None, dropout=dropout, name=name)
    pool = GridPool(head.grid, dtype="float32") if head.grid > 1 else layers.GlobalAveragePooling2D(dtype="float32")
    hidden = head.hidden or (_METRIC_WIDTH if head.kind == "metric" else 0)
    steps = [pool]
    if hidden:  # features of very different size learn slowly through two layers: brought to one scale first
        steps += [
            layers.BatchNormalization(momentum=0.95, dtype="float32"),
            layers.Dropout(dropout, dtype="float32"),
            layers.Dense(hidden, activation="relu", dtype="float32"),
        ]
    steps.append(layers.Dropout(dropout, dtype="float32"))
    return keras.Sequential([*steps, layers.Dense(*head.logits_shape, dtype="float32")], name=name)
