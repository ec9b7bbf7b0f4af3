"""Classic networks to train from scratch, without their top. Called by `vsearch.models.backbones` only."""

from functools import partial
from typing import Any

from keras import layers

Tensor = Any


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

    As He et al., CVPR 2016, with two changes that help training from scratch: the stride is in the 3 x 3 convolution,
    and each block is the identity at first (Goyal et al., arXiv:1706.02677). Convolutions have no biases.
    """
    x = _conv(inputs, 64, 7, stride=2, name="stem")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    for stage, blocks in enumerate(stages, start=1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _bottleneck(x, 64 * 2 ** (stage - 1), stride, f"stage{stage}_block{block}")
    return x


residual50 = partial(residual, stages=(3, 4, 6, 3))
residual101 = partial(residual, stages=(3, 4, 23, 3))
residual152 = partial(residual, stages=(3, 8, 36, 3))


def _bottleneck(x: Tensor, width: int, stride: int, name: str) -> Tensor:
    shortcut = x
    if x.shape[-1] != 4 * width:
        shortcut = _conv(x, 4 * width, 1, stride=stride, name=f"{name}_shortcut", relu=False)
    x = _conv(x, width, 1, name=f"{name}_conv1")
    x = _conv(x, width, 3, stride=stride, name=f"{name}_conv2")
    x = layers.Conv2D(4 * width, 1, use_bias=False, name=f"{name}_conv3")(x)
    x = layers.BatchNormalization(gamma_initializer="zeros", name=f"{name}_conv3_bn")(x)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, shortcut]))


def _conv(x: Tensor, width: int, size: int, *, stride: int = 1, name: str, relu: bool = True) -> Tensor:
    x = layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x
