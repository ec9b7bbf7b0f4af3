"""Keras models built from a backbone: the trunk that computes features, and the network with trained heads.

Scaling to the range of the backbone is part of the model.
"""

from collections.abc import Sequence
from typing import Any, Final

import keras
import numpy as np
from keras import layers

from vsearch.models.backbones import Scaling, backbone, build
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.class_heads import MIDDLE
from vsearch.models.networks.layers import DigitReader, GridPool, JoinMaps, box_head
from vsearch.models.trained_heads import HeadSpec
from vsearch.models.weights import read_packed, unpack

HEAD: Final = "head_"
"""Prefix of the layer name of a head."""

CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)  # of ImageNet, as in keras.applications

_MIDDLE_GRID: Final = 3  # regions a side
_METRIC_WIDTH: Final = 512  # of the hidden layer of a metric head


def scale(pictures: Any, scaling: Scaling) -> Any:
    """Map RGB images float 0..255 [n, h, w, 3] to the range a backbone expects."""
    if scaling == "signed":
        return layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(pictures)
    if scaling == "lite":
        return layers.Rescaling(1 / 128, offset=-127 / 128, name="scale")(pictures)
    return pictures[..., ::-1] - np.asarray(CAFFE_MEAN_BGR, np.float32)


def build_trunk(name: str, side: int | None = None) -> tuple[keras.Model, keras.Model]:
    """Return (backbone, trunk): float RGB 0..255 [n, side, side, 3] -> its features by block name, float32 [n, size].

    Block `NAME` is the average of the last feature map, which distinguishes kinds of objects; `NAME_middle` is the
    middle feature map averaged over 3 x 3 regions, row by row, which distinguishes products whose parts differ in
    detail or in arrangement. Load weights into the backbone, which is part of the trunk. The default side comes from
    the backbone table.
    """
    row = backbone(name)
    side = side or row.side
    network = build(name, side)
    maps = keras.Model(network.inputs, (network.output, network.get_layer(row.middle).output), name=name)
    pictures = keras.Input((side, side, 3), name="pictures")
    last, middle = maps(scale(pictures, row.scaling), training=False)
    pooled = {
        name: layers.GlobalAveragePooling2D(dtype="float32")(last),
        f"{name}{MIDDLE}": GridPool(_MIDDLE_GRID)(middle),
    }
    return network, keras.Model(pictures, pooled, name=f"{name}_trunk")


def load_trunk(checkpoint: Checkpoint, name: str) -> keras.Model:
    """Return a trunk with the weights of a checkpoint."""
    network, trunk = build_trunk(name, checkpoint.retrieval.sides[name])
    unpack(network.weights, read_packed(checkpoint.folder / f"{name}.weights.npz"), name)
    return trunk


def build_network(
    name: str, heads: Sequence[HeadSpec], *, dropout: float, shape: tuple[int, int] | None = None
) -> tuple[keras.Model, keras.Model]:
    """Return (backbone, network): float RGB 0..255 [n, h, w, 3] -> {head name: logits float32 [n, *logits_shape]}.

    Each head is a layer `head_NAME`, with dropout before its dense layers. `shape` is (height, width); None for any.
    """
    network = build(name)
    pictures = keras.Input((*(shape or (None, None)), 3), name="pictures")
    features = head_features(network, heads)(scale(pictures, backbone(name).scaling))
    outputs = {head.name: _head(head, dropout)(features) for head in heads}
    return network, keras.Model(pictures, outputs, name=f"{name}_network")


def head_features(network: keras.Model, heads: Sequence[HeadSpec]) -> keras.Model:
    """Return a model of the features that the heads read: the last map of the backbone, or two joined maps.

    For a boxes head they are the coarse and the middle map of the backbone table, see `JoinMaps`; for heads that read
    the middle map too, the last map averaged and the middle one averaged over 3 x 3 regions, [n, 1, 1, c].
    """
    row = backbone(network.name)
    if any(head.middle for head in heads):
        averages = [
            layers.GlobalAveragePooling2D(dtype="float32")(network.output),
            GridPool(_MIDDLE_GRID)(network.get_layer(row.middle).output),
        ]
        # Features of unit mean square, so that neither map outweighs the other.
        scaled = [layers.UnitNormalization(dtype="float32")(each) * each.shape[-1] ** 0.5 for each in averages]
        joined = layers.Reshape((1, 1, -1), dtype="float32")(layers.Concatenate(dtype="float32")(scaled))
        return keras.Model(network.inputs, joined, name=f"{network.name}_averages")
    if all(head.kind != "boxes" for head in heads):
        return network
    maps = [network.get_layer(layer).output for layer in (row.coarse, row.middle)]
    return keras.Model(network.inputs, JoinMaps()(maps), name=f"{network.name}_maps")


def build_top(network: keras.Model, channels: int) -> keras.Model:
    """Return the heads of a network as a model: features [n, h, w, channels] -> logits by head.

    It shares the layers of the network. All but digits heads also accept an averaged feature map [n, 1, 1, channels].
    """
    features = keras.Input((None, None, channels), name="features")
    heads = {name: network.get_layer(f"{HEAD}{name}") for name in network.output}
    return keras.Model(features, {name: head(features) for name, head in heads.items()}, name="top")


def _head(head: HeadSpec, dropout: float) -> keras.layers.Layer:
    name = f"{HEAD}{head.name}"
    if head.kind == "digits":
        return DigitReader(head.length, dropout=dropout, dtype="float32", name=name)
    if head.kind == "boxes":
        return box_head(head.hidden or None, dropout=dropout, name=name)
    steps = [GridPool(head.grid) if head.grid > 1 else layers.GlobalAveragePooling2D(dtype="float32")]
    hidden = head.hidden or (_METRIC_WIDTH if head.kind == "metric" else 0)
    if hidden:  # two layers learn slowly from features of widely varying scale
        steps += [
            layers.BatchNormalization(momentum=0.95, dtype="float32"),
            layers.Dropout(dropout, dtype="float32"),
            layers.Dense(hidden, activation="relu", dtype="float32"),
        ]
    steps.append(layers.Dropout(dropout, dtype="float32"))
    return keras.Sequential([*steps, layers.Dense(*head.logits_shape, dtype="float32")], name=name)
