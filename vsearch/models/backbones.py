"""The table of backbones: builder, input side, scaling, stage names and where the weights come from.

A new backbone is one row. `build` gives the network without its top; `vsearch.models.network` adds scaling and pooling.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from vsearch.core.errors import CheckpointError

Scaling = Literal["signed", "caffe"]


@dataclass(frozen=True)
class Backbone:
    """One row of the table.

    Attributes:
        name: as plans, settings and checkpoints call it.
        side: input side in pixels, of checkpoints made from now on; each says what its own is.
        scaling: "signed" maps 0..255 to -1..1; "caffe" is BGR less the ImageNet mean.
        stages: layer-name prefixes that a plan may unfreeze from, first to last.
        stem_layers: where a stage is named by its last layer instead, of which it is the whole name: how many layers
            are before the first stage; each other stage begins behind the one before it.
        application: class in `keras.applications`; empty for a network of our own.
        module: of `vsearch.models.networks`, that holds the builder of a network of our own, a function called as the
        row.
    """

    name: str
    side: int
    scaling: Scaling
    stages: tuple[str, ...]
    stem_layers: int = 0
    application: str = ""
    module: str = ""


_POCKET_STAGES = ("stem", "stage1", "stage2", "stage3")
_RESNET_STAGES = ("conv1", "conv2", "conv3", "conv4", "conv5")
_RESIDUAL_STAGES = ("stem", "stage1", "stage2", "stage3", "stage4")
_VGG_STAGES = ("block1", "block2", "block3", "block4", "block5")

BACKBONES = {
    row.name: row
    for row in (
        Backbone("resnet50", 224, "caffe", _RESNET_STAGES, application="ResNet50"),
        Backbone("resnet101", 224, "caffe", _RESNET_STAGES, application="ResNet101"),
        Backbone("resnet152", 224, "caffe", _RESNET_STAGES, application="ResNet152"),
        Backbone("vgg16", 224, "caffe", _VGG_STAGES, application="VGG16"),
        Backbone("vgg19", 224, "caffe", _VGG_STAGES, application="VGG19"),
        Backbone("inception_v3", 299, "signed", tuple(f"mixed{n}" for n in range(11)), 18, "InceptionV3"),
        Backbone("pocket_resnet", 144, "signed", _POCKET_STAGES, module="pocket_networks"),
        Backbone("pocket_vgg", 144, "signed", _POCKET_STAGES, module="pocket_networks"),
        Backbone("pocket_inception", 144, "signed", _POCKET_STAGES, module="pocket_networks"),
        Backbone("pocket_strip", 48, "signed", _POCKET_STAGES, module="pocket_networks"),
        Backbone("pocket_finder", 160, "signed", (*_POCKET_STAGES, "stage4", "join"), module="pocket_networks"),
        Backbone("smaller_vgg", 96, "signed", _VGG_STAGES[:3], module="classic_networks"),
        Backbone("alexnet_v2", 224, "signed", tuple(f"conv{n}" for n in range(1, 6)), module="classic_networks"),
        Backbone("residual50", 224, "signed", _RESIDUAL_STAGES, module="residual"),
        Backbone("residual101", 224, "signed", _RESIDUAL_STAGES, module="residual"),
        Backbone("residual152", 224, "signed", _RESIDUAL_STAGES, module="residual"),
    )
}


def backbone(name: str) -> Backbone:
    """Return the row of that name.

    Raises:
        CheckpointError: no such row.
    """
    try:
        return BACKBONES[name]
    except KeyError:
        known = ", ".join(BACKBONES)
        raise CheckpointError(f"A backbone must be one of {known}, but {name!r} was named.") from None


def build(name: str, side: int | None = None) -> Any:
    """Return the `keras.Model` of a backbone, untrained: float [n, side, side, 3], scaled -> feature map [n, h, w, c].

    Args:
        name: a row of the table.
        side: input side in pixels; None leaves it open.

    Raises:
        CheckpointError: no such row.
    """
    import keras

    row = backbone(name)
    shape = (side, side, 3)
    if row.application:
        builder = getattr(keras.applications, row.application)
        return builder(include_top=False, weights=None, input_shape=shape, name=name)
    inputs = keras.Input(shape, name="pictures")
    return keras.Model(inputs, _own_builder(row)(inputs), name=name)


def _own_builder(row: Backbone) -> Callable[[Any], Any]:
    builder: Callable[[Any], Any] = getattr(importlib.import_module(f"vsearch.models.networks.{row.module}"), row.name)
    return builder
