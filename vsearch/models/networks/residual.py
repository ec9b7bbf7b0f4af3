"""Residual networks of 50, 101 and 152 layers, built from a table of stages, for training from scratch.

Bottleneck blocks (He et al., CVPR 2016) with two changes that training from scratch gains from: the stride stands in
the 3 x 3 convolution, and each block begins as the identity (Goyal et al., arXiv:1706.02677). Convolutions have no
biases, batch norm brings its own; so the 50 layers learn 25,557,032 numbers under a top of 1000 classes.
Called by `vsearch.models.backbones` alone.
"""

from typing import Any, Final

from keras import layers

Tensor = Any

STAGES: Final = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Layers -> blocks of each stage; the stages are 64, 128, 256 and 512 wide inside and four times that outside."""

_EXPANSION: Final = 4


def residual50(inputs: Tensor) -> Tensor:
    """[n, s, s, 3] -> [n, s/32, s/32, 2048]."""
    return residual(inputs, STAGES[50])


def residual101(inputs: Tensor) -> Tensor:
    """[n, s, s, 3] -> [n, s/32, s/32, 2048]."""
    return residual(inputs, STAGES[101])


def residual152(inputs: Tensor) -> Tensor:
    """[n, s, s, 3] -> [n, s/32, s/32, 2048]."""
    return residual(inputs, STAGES[152])


def residual(inputs: Tensor, stages: tuple[int, ...]) -> Tensor:
    """Stack bottleneck blocks, `stages[i]` of them 64 * 2**i wide: [n, s, s, 3] -> [n, s/32, s/32, 2048] for four."""
    x = _conv(inputs, 64, 7, stride=2, name="stem")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    for stage, blocks in enumerate(stages, start=1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _bottleneck(x, 64 * 2 ** (stage - 1), stride, f"stage{stage}_block{block}")
    return x


def _bottleneck(x: Tensor, width: int, stride: int, name: str) -> Tensor:
    shortcut = x
    if x.shape[-1] != _EXPANSION * width:
        shortcut = _conv(x, _EXPANSION * width, 1, stride=stride, name=f"{name}_shortcut", relu=False)
    x = _conv(x, width, 1, name=f"{name}_conv1")
    x = _conv(x, width, 3, stride=stride, name=f"{name}_conv2")
    x = layers.Conv2D(_EXPANSION * width, 1, use_bias=False, name=f"{name}_conv3")(x)
    x = layers.BatchNormalization(gamma_initializer="zeros", name=f"{name}_conv3_bn")(x)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, shortcut]))


def _conv(x: Tensor, width: int, size: int, *, stride: int = 1, name: str, relu: bool = True) -> Tensor:
    x = layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x
