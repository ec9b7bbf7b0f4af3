"""Our own networks without their top, built by name and only by `vsearch.models.backbones`.

The bundled ones come first: small versions of ResNet, VGG and Inception, which downsample 16 times (144 px give a 9 x 9
feature map), and the networks of the reader and the detector. Classic networks to train from scratch follow.
"""

from functools import partial
from typing import Any

import keras
from keras import layers

from vsearch.models.networks.layers import UpsampleAdd

Tensor = Any
Stride = int | tuple[int, int]


def pocket_resnet(inputs: Tensor) -> Tensor:
    """Residual network of basic blocks (He et al., CVPR 2016): 3 stages of 2 blocks.

    [n, s, s, 3] -> [n, s/16, s/16, 160]
    """
    x = _stem(inputs, 40)
    for stage, width in enumerate((40, 80, 160), start=1):
        for block in (1, 2):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _basic_block(x, width, stride, f"stage{stage}_block{block}")
    return x


def pocket_vgg(inputs: Tensor) -> Tensor:
    """Plain stacks of 3 x 3 convolutions and 2 x 2 pooling (Simonyan & Zisserman, ICLR 2015).

    [n, s, s, 3] -> [n, s/16, s/16, 176]
    """
    x = _stem(inputs, 40)
    for stage, (width, depth) in enumerate(((72, 2), (128, 2), (176, 2)), start=1):
        if stage > 1:
            x = layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
        for conv in range(1, depth + 1):
            x = _conv(x, width, 3, name=f"stage{stage}_conv{conv}")
    return x


def pocket_inception(inputs: Tensor) -> Tensor:
    """Inception modules with factorized 5 x 5 branches (Szegedy et al., CVPR 2016).

    [n, s, s, 3] -> [n, s/16, s/16, 192]
    """
    x = _stem(inputs, 40)
    for stage, (width, modules) in enumerate(((96, 1), (144, 2), (192, 3)), start=1):
        if stage > 1:
            x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"stage{stage}_pool")(x)
        for module in range(1, modules + 1):
            x = _inception_module(x, width, f"stage{stage}_module{module}")
    return x


def pocket_strip(inputs: Tensor) -> Tensor:
    """Residual network for lines of text that preserves more of the width; 385,000 weights.

    [n, h, w, 3] -> [n, h/16, w/8, 112]
    """
    x = _conv(inputs, 24, 3, stride=2, name="stem")
    stages: tuple[tuple[int, Stride], ...] = ((48, 2), (96, 2), (112, (2, 1)))
    for stage, (width, stride) in enumerate(stages, start=1):
        x = _basic_block(x, width, stride, f"stage{stage}_block1")
    return x


def pocket_detector(inputs: Tensor) -> Tensor:
    """Residual network with the finest level of a feature pyramid (Lin et al., CVPR 2017); 310,000 weights.

    [n, s, s, 3] -> [n, s/8, s/8, 48]
    """
    x = _conv(inputs, 16, 3, stride=2, name="stem")
    levels = []
    for stage, width in enumerate((24, 48, 72, 96), start=1):
        x = _basic_block(x, width, 2, f"stage{stage}_block1")
        levels.append(x)
    joined = _conv(x, 48, 1, name="join4", relu=False)
    for level in (3, 2):
        finer = _conv(levels[level - 1], 48, 1, name=f"join{level}", relu=False)
        joined = UpsampleAdd(name=f"join{level}_sum")([finer, joined])
    return _conv(joined, 48, 3, name="join_out")


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


def _stem(x: Tensor, width: int) -> Tensor:
    x = _conv(x, width, 3, stride=2, name="stem")
    return layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)


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


def _inception_module(x: Tensor, width: int, name: str) -> Tensor:
    quarter, third = width // 4, width // 3
    one = _conv(x, quarter, 1, name=f"{name}_1x1")
    three = _conv(_conv(x, third, 1, name=f"{name}_3x3_reduce"), quarter, 3, name=f"{name}_3x3")
    five = _conv(x, third, 1, name=f"{name}_5x5_reduce")
    five = _conv(five, third, 3, name=f"{name}_5x5_a")
    five = _conv(five, quarter, 3, name=f"{name}_5x5_b")
    pooled = layers.AveragePooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    pooled = _conv(pooled, quarter, 1, name=f"{name}_pool_proj")
    return keras.layers.Concatenate(name=f"{name}_out")([one, three, five, pooled])


def _bottleneck(x: Tensor, width: int, stride: int, name: str) -> Tensor:
    shortcut = x
    if x.shape[-1] != 4 * width:
        shortcut = _slow_conv(x, 4 * width, 1, stride=stride, name=f"{name}_shortcut", relu=False)
    x = _slow_conv(x, width, 1, name=f"{name}_conv1")
    x = _slow_conv(x, width, 3, stride=stride, name=f"{name}_conv2")
    x = layers.Conv2D(4 * width, 1, use_bias=False, name=f"{name}_conv3")(x)
    x = layers.BatchNormalization(gamma_initializer="zeros", name=f"{name}_conv3_bn")(x)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, shortcut]))
