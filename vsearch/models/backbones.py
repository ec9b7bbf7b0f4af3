"""The table of backbones: networks without their top. `vsearch.models.network` adds scaling, pooling and heads."""

from dataclasses import dataclass
from typing import Any, Literal

from vsearch.core.errors import CheckpointError

Scaling = Literal["signed", "lite", "caffe"]


@dataclass(frozen=True)
class Backbone:
    """A backbone."""

    name: str
    side: int  # input side in pixels of new checkpoints
    # "signed" maps 0..255 to -1..1; "lite" is (x - 127) / 128; "caffe" is BGR minus the ImageNet mean
    scaling: Scaling
    # layer-name prefixes of the stages that a plan can unfreeze, first to last; with `stem_layers`, the name of each
    # stage's last layer
    stages: tuple[str, ...]
    middle: str  # layer whose output is the middle feature map, downsampled 16 times or as close to it as there is one
    # layer whose output, downsampled 32 times, a boxes head reads along with the middle map; empty if it cannot detect
    coarse: str = ""
    stem_layers: int = 0  # number of layers before the first stage, if stages are named by their last layer
    application: str = ""  # class in `keras.applications`; empty for those of `vsearch.models.networks.architectures`


_LITE_STAGES = ("stem", *(f"stage{n}" for n in range(1, 8)), "head")
_LITE_COARSE = "stage7_block1_project_bn"
_POCKET_STAGES = ("stem", "stage1", "stage2", "stage3")
_RESNET_STAGES = ("conv1", "conv2", "conv3", "conv4", "conv5")
_RESIDUAL_STAGES = ("stem", "stage1", "stage2", "stage3", "stage4")
_VGG_STAGES = ("block1", "block2", "block3", "block4", "block5")
_ALEXNET_STAGES = ("conv1", "conv2", "conv3", "conv4", "conv5")
_INCEPTION_STAGES = tuple(f"mixed{n}" for n in range(11))

BACKBONES = {
    row.name: row
    for row in (
        Backbone("efficientnet_lite0", 224, "lite", _LITE_STAGES, "stage5_block3_add", _LITE_COARSE),
        Backbone("efficientnet_lite1", 240, "lite", _LITE_STAGES, "stage5_block4_add", _LITE_COARSE),
        Backbone("efficientnet_lite2", 260, "lite", _LITE_STAGES, "stage5_block4_add", _LITE_COARSE),
        Backbone("resnet50", 224, "caffe", _RESNET_STAGES, "conv4_block6_out", application="ResNet50"),
        Backbone("resnet101", 224, "caffe", _RESNET_STAGES, "conv4_block23_out", application="ResNet101"),
        Backbone("resnet152", 224, "caffe", _RESNET_STAGES, "conv4_block36_out", application="ResNet152"),
        Backbone("vgg16", 224, "caffe", _VGG_STAGES, "block4_pool", application="VGG16"),
        Backbone("vgg19", 224, "caffe", _VGG_STAGES, "block4_pool", application="VGG19"),
        Backbone("inception_v3", 299, "signed", _INCEPTION_STAGES, "mixed7", stem_layers=18, application="InceptionV3"),
        Backbone("pocket_strip", 48, "signed", _POCKET_STAGES, "stage2_block1_out"),
        Backbone("smaller_vgg", 96, "signed", _VGG_STAGES[:3], "block2_pool"),
        Backbone("alexnet_v2", 224, "signed", _ALEXNET_STAGES, "conv4"),
        Backbone("residual50", 224, "signed", _RESIDUAL_STAGES, "stage3_block6_out"),
        Backbone("residual101", 224, "signed", _RESIDUAL_STAGES, "stage3_block23_out"),
        Backbone("residual152", 224, "signed", _RESIDUAL_STAGES, "stage3_block36_out"),
    )
}


def backbone(name: str) -> Backbone:
    """Return a backbone by name.

    Raises:
        CheckpointError: there is no such backbone.
    """
    if name not in BACKBONES:
        raise CheckpointError(f"There is no backbone {name!r}. Choose one of {', '.join(BACKBONES)}.")
    return BACKBONES[name]


def build(name: str, side: int | None = None) -> Any:
    """Return the untrained `keras.Model` of a backbone: scaled float [n, side, side, 3] -> feature map [n, h, w, c].

    `side` is the input side in pixels; None accepts any.
    """
    import keras

    from vsearch.models.networks import architectures

    row = backbone(name)
    shape = (side, side, 3)
    if row.application:
        builder = getattr(keras.applications, row.application)
        return builder(include_top=False, weights=None, input_shape=shape, name=name)
    inputs = keras.Input(shape, name="pictures")
    return keras.Model(inputs, getattr(architectures, name)(inputs), name=name)
