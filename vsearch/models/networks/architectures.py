"""Our own networks without their top, built by name and only by `vsearch.models.backbones`.

The bundled ones come first: those of the ensemble and the reader. Classic networks to train from scratch
follow.
"""

from functools import partial
from typing import Any

from keras import layers

Tensor = Any
Stride = int | tuple[int, int]


def efficientnet_lite(inputs: Tensor, widths: tuple[int, ...], depths: tuple[int, ...]) -> Tensor:
    """EfficientNet-Lite (Tan & Le, ICML 2019; github.com/tensorflow/tpu): inverted residual blocks in seven stages.

    Unlike EfficientNet it has ReLU6 and no squeeze and excitation. [n, s, s, 3] -> [n, s/32, s/32, 1280]
    """
    x = _conv_relu6(inputs, 32, 3, stride=2, name="stem")
    kernels, strides = (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1)
    for stage, (width, depth, kernel, stride) in enumerate(zip(widths, depths, kernels, strides, strict=True), start=1):
        for block in range(1, depth + 1):
            x = _inverted_residual(x, width, kernel, stride if block == 1 else 1, f"stage{stage}_block{block}")
    return _conv_relu6(x, 1280, 1, name="head")


_LITE_WIDTHS = (16, 24, 40, 80, 112, 192, 320)
_LITE2_WIDTHS = (16, 24, 48, 88, 120, 208, 352)
efficientnet_lite0 = partial(efficientnet_lite, widths=_LITE_WIDTHS, depths=(1, 2, 2, 3, 3, 4, 1))
efficientnet_lite1 = partial(efficientnet_lite, widths=_LITE_WIDTHS, depths=(1, 3, 3, 4, 4, 5, 1))
efficientnet_lite2 = partial(efficientnet_lite, widths=_LITE2_WIDTHS, depths=(1, 3, 3, 4, 4, 5, 1))


def pocket_strip(inputs: Tensor) -> Tensor:
    """Residual network for lines of text that preserves more of the width; 385,000 weights.

    [n, h, w, 3] -> [n, h/16, w/8, 112]
    """
    x = _conv(inputs, 24, 3, stride=2, name="stem")
    stages: tuple[tuple[int, Stride], ...] = ((48, 2), (96, 2), (112, (2, 1)))
    for stage, (width, stride) in enumerate(stages, start=1):
        x = _basic_block(x, width, stride, f"stage{stage}_block1")
    return x


def smaller_vgg(inputs: Tensor) -> Tensor:
    """Five convolutions, as in common Keras tutorials for multi-label classification; 96 px input.

    [n, s, s, 3] -> [n, s/12, s/12, 128]
    """
    x = inputs
    for block, (width, convolutions, pool) in enumerate(((32, 1, 3), (64, 2, 2), (128, 2, 2)), start=1):
        for number in range(1, convolutions + 1):
            name = f"block{block}_conv{number}"
            x = layers.Conv2D(width, 3, padding="same", name=name)(x)
            x = layers.ReLU(name=f"{name}_relu")(x)
            x = layers.BatchNormalization(name=f"{name}_bn")(x)
        x = layers.MaxPooling2D(pool, name=f"block{block}_pool")(x)
        x = layers.Dropout(0.25, name=f"block{block}_dropout")(x)
    return x


def alexnet_v2(inputs: Tensor) -> Tensor:
    """AlexNet for one device, 64-192-384-384-256 (Krizhevsky, arXiv:1404.5997, 2014); 224 px input gives 5 x 5.

    [n, s, s, 3] -> [n, about s/32 - 2, about s/32 - 2, 256]
    """
    x = layers.Conv2D(64, 11, strides=4, activation="relu", name="conv1")(inputs)
    x = layers.MaxPooling2D(3, strides=2, name="conv1_pool")(x)
    x = layers.Conv2D(192, 5, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(3, strides=2, name="conv2_pool")(x)
    for number, width in ((3, 384), (4, 384), (5, 256)):
        x = layers.Conv2D(width, 3, padding="same", activation="relu", name=f"conv{number}")(x)
    return layers.MaxPooling2D(3, strides=2, name="conv5_pool")(x)


def residual(inputs: Tensor, stages: tuple[int, ...]) -> Tensor:
    """Residual network of bottleneck blocks, `stages[i]` blocks of width 64 * 2**i: [n, s, s, 3] -> [n, s/32, s/32, c].

    As in He et al., CVPR 2016, with two changes for training from scratch: the stride is in the 3 x 3 convolution,
    and each block is the identity at first (Goyal et al., arXiv:1706.02677). Convolutions have no biases.
    """
    x = _slow_conv(inputs, 64, 7, stride=2, name="stem")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    for stage, blocks in enumerate(stages, start=1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _bottleneck(x, 64 * 2 ** (stage - 1), stride, f"stage{stage}_block{block}")
    return x


residual50 = partial(residual, stages=(3, 4, 6, 3))
residual101 = partial(residual, stages=(3, 4, 23, 3))
residual152 = partial(residual, stages=(3, 8, 36, 3))


def _conv(
    x: Tensor, width: int, size: int, *, stride: Stride = 1, name: str, relu: bool = True, momentum: float = 0.95
) -> Tensor:
    x = layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=momentum, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


_slow_conv = partial(_conv, momentum=0.99)  # as in the classic networks


def _basic_block(x: Tensor, width: int, stride: Stride, name: str) -> Tensor:
    shortcut = x
    if stride != 1 or x.shape[-1] != width:
        shortcut = _conv(x, width, 1, stride=stride, name=f"{name}_shortcut", relu=False)
    x = _conv(x, width, 3, stride=stride, name=f"{name}_conv1")
    x = _conv(x, width, 3, name=f"{name}_conv2", relu=False)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, shortcut]))


def _conv_relu6(
    x: Tensor, width: int, size: int, *, stride: int = 1, name: str, depthwise: bool = False, relu: bool = True
) -> Tensor:
    options = {"strides": stride, "padding": "same", "use_bias": False, "name": name}
    x = layers.DepthwiseConv2D(size, **options)(x) if depthwise else layers.Conv2D(width, size, **options)(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x


def _inverted_residual(x: Tensor, width: int, kernel: int, stride: int, name: str) -> Tensor:
    """Inverted residual block (Sandler et al., CVPR 2018); the first stage does not expand."""
    before, expanded = x, x.shape[-1] * (1 if name.startswith("stage1_") else 6)
    if expanded != x.shape[-1]:
        x = _conv_relu6(x, expanded, 1, name=f"{name}_expand")
    x = _conv_relu6(x, expanded, kernel, stride=stride, name=f"{name}_depthwise", depthwise=True)
    x = _conv_relu6(x, width, 1, name=f"{name}_project", relu=False)
    return layers.Add(name=f"{name}_add")([x, before]) if x.shape == before.shape and stride == 1 else x


def _bottleneck(x: Tensor, width: int, stride: int, name: str) -> Tensor:
    shortcut = x
    if x.shape[-1] != 4 * width:
        shortcut = _slow_conv(x, 4 * width, 1, stride=stride, name=f"{name}_shortcut", relu=False)
    x = _slow_conv(x, width, 1, name=f"{name}_conv1")
    x = _slow_conv(x, width, 3, stride=stride, name=f"{name}_conv2")
    x = layers.Conv2D(4 * width, 1, use_bias=False, name=f"{name}_conv3")(x)
    x = layers.BatchNormalization(gamma_initializer="zeros", name=f"{name}_conv3_bn")(x)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, shortcut]))
