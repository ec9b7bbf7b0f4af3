"""Two networks that textbooks and tutorials train from scratch. Called by `vsearch.models.backbones` alone.

Both stand here without their top: the dense layers, which hold most of their published parameters, are left to heads.
"""

from typing import Any

from keras import layers

Tensor = Any


def smaller_vgg(inputs: Tensor) -> Tensor:
    """The five convolutions of the well-known multi-label tutorials for Keras, 96 px a side; batch norm after ReLU.

    [n, s, s, 3] -> [n, s/12, s/12, 128]
    """
    x = _tutorial_conv(inputs, 32, "block1_conv1")
    x = layers.MaxPooling2D(3, name="block1_pool")(x)
    x = layers.Dropout(0.25, name="block1_dropout")(x)
    for block, width in ((2, 64), (3, 128)):
        for conv in (1, 2):
            x = _tutorial_conv(x, width, f"block{block}_conv{conv}")
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
        x = layers.Dropout(0.25, name=f"block{block}_dropout")(x)
    return x


def alexnet_v2(inputs: Tensor) -> Tensor:
    """AlexNet for one device, 64-192-384-384-256 (Krizhevsky, arXiv:1404.5997, 2014); 224 px a side give 5 x 5.

    [n, s, s, 3] -> [n, about s/32 - 2, about s/32 - 2, 256]
    """
    x = layers.Conv2D(64, 11, strides=4, activation="relu", name="conv1")(inputs)
    x = layers.MaxPooling2D(3, strides=2, name="conv1_pool")(x)
    x = layers.Conv2D(192, 5, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(3, strides=2, name="conv2_pool")(x)
    for number, width in ((3, 384), (4, 384), (5, 256)):
        x = layers.Conv2D(width, 3, padding="same", activation="relu", name=f"conv{number}")(x)
    return layers.MaxPooling2D(3, strides=2, name="conv5_pool")(x)


def _tutorial_conv(x: Tensor, width: int, name: str) -> Tensor:
    x = layers.Conv2D(width, 3, padding="same", name=name)(x)
    x = layers.ReLU(name=f"{name}_relu")(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)
