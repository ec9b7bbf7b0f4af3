"""Keras models built from a backbone: the trunk that computes features, and the network with trained heads.

Scaling to the range of the backbone is part of the model. Networks are trained with Keras, and run by
`vsearch.models.runtime` from the graphs that are exported here. Importing this module imports Keras.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from keras import layers

from vsearch.core.files import atomic_folder
from vsearch.models.backbones import Scaling, backbone, build
from vsearch.models.checkpoint import Checkpoint, file_of
from vsearch.models.class_heads import MIDDLE
from vsearch.models.networks.layers import DigitReader, GridPool, JoinMaps, box_head
from vsearch.models.registry import check_target
from vsearch.models.runtime import IMAGES, Graph
from vsearch.models.trained_heads import HeadSpec, TrainedHeads
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


def trunk_graph(name: str, side: int) -> Graph:
    """Return the graph of a trunk: uint8 [n, side, side, 3] -> its features by block name."""
    backbone_model, trunk = build_trunk(name, side)
    return export_graph(lambda images: trunk(images, training=False), backbone_model.weights, (side, side, 3))


def heads_graph(name: str, heads: TrainedHeads) -> Graph:
    """Return the graph of a network: framed images uint8 [n, *frame, 3] -> logits by head, see `TrainedHeads`.

    Its weights are those of the backbone, then `top_weights`.
    """
    backbone_model, network = build_network(name, heads.specs, dropout=0.0, shape=heads.shape)
    weights = [*backbone_model.weights, *top_weights(backbone_model, network)]
    return export_graph(
        lambda images: network(_resize(images, heads.shape), training=False), weights, (*heads.frame, 3)
    )


def export_graph(network: Callable[[Any], Mapping[str, Any]], weights: Sequence[Any], shape: tuple[int, ...]) -> Graph:
    """Export a function of a float32 tensor [n, *shape] that returns tensors by name, and reads these variables.

    The graph takes uint8 images and does not contain the values of the variables. Needs TensorFlow as the backend.
    """
    import openvino as ov
    import tensorflow as tf

    signature = [
        tf.TensorSpec((None, *shape), tf.uint8, IMAGES),
        *(tf.TensorSpec(weight.shape, tf.float32, f"w{number:04d}") for number, weight in enumerate(weights)),
    ]

    def run(images: Any, *values: Any) -> Mapping[str, Any]:
        with keras.StatelessScope(state_mapping=list(zip(weights, values, strict=True))):
            return network(tf.cast(images, tf.float32))

    traced = tf.function(run, input_signature=signature).get_concrete_function()
    model = ov.convert_model(traced)
    for name, output in zip(sorted(traced.structured_outputs), model.outputs, strict=True):
        output.get_tensor().set_names({name})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "graph.xml"
        ov.save_model(model, file, compress_to_fp16=False)
        parts = {"topology": file, "constants": file.with_suffix(".bin")}
        return {name: np.frombuffer(part.read_bytes(), np.uint8) for name, part in parts.items()}


def _resize(images: Any, shape: tuple[int, int]) -> Any:
    """Resize [n, h, w, c] as `tf.image.resize` does with antialiasing, by matrices, which OpenVINO can run."""
    import tensorflow as tf

    for axis, size in enumerate(shape, start=1):
        if images.shape[axis] != size:
            identity = np.eye(images.shape[axis], dtype=np.float32)[:, :, None]
            with tf.init_scope():  # computed now: the operation cannot be exported
                matrix = tf.image.resize(identity, (size, len(identity)), antialias=True)[..., 0].numpy()
            images = tf.einsum("nhwc,oh->nowc" if axis == 1 else "nhwc,ow->nhoc", images, matrix)
    return images


def top_weights(backbone_model: keras.Model, network: keras.Model) -> list[Any]:
    """Return the weights of a network except those of its backbone, in Keras order."""
    inside = {id(weight) for weight in backbone_model.weights}
    return [weight for weight in network.weights if id(weight) not in inside]


def load_network(checkpoint: Checkpoint, name: str) -> keras.Model:
    """Return a network of a checkpoint with its trained heads, or a trunk if it has none."""
    heads = checkpoint.trained_heads
    if heads is None:
        backbone_model, network = build_trunk(name, checkpoint.retrieval.sides[name])
    else:
        backbone_model, network = build_network(name, heads.specs, dropout=0.0, shape=heads.shape)
        top = top_weights(backbone_model, network)
        unpack(top, read_packed(checkpoint.folder / f"{name}.top.npz"), f"the heads of {name}")
    unpack(backbone_model.weights, read_packed(file_of(checkpoint.folder, f"{name}.weights.npz")), name)
    return network


def export_networks(checkpoint: Checkpoint, target: Path) -> Path:
    """Write a folder with one TensorFlow SavedModel for each backbone, atomically.

    Each takes RGB images float32 0..255 [n, h, w, 3]. It returns the logits of each trained head, or the pooled
    features float32 [n, d] from which blocks are made if the checkpoint has no trained heads.

    Raises:
        CheckpointError: the target exists, or weights belong to a different network.
    """
    check_target(target)
    with atomic_folder(target) as hidden:
        for name in checkpoint.backbones:
            load_network(checkpoint, name).export(hidden / name, verbose=False)
    return target
