"""Compute the features of a frozen trunk once, so that the epochs of its heads read features instead of images."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from vsearch.core.files import atomic_write
from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.models.backbones import Scaling
from vsearch.models.network import scale
from vsearch.training.loop.resume import intact

_BATCH = 32
_FILE_SIZE = 256  # images
_FORMAT = 1  # increment if the same trunk and images would give different features
_MAX_HALF = 65_504.0  # largest float16


@dataclass(frozen=True)
class FrozenTrunk:
    """A backbone that is not trained.

    Attributes:
        backbone: a `keras.Model`.
        shape: (height, width) of its input in pixels.
        keep_map: keep the feature map, as float16; otherwise its average, a 1 x 1 map.
        precision: Keras dtype policy that it was built with.
    """

    backbone: Any
    scaling: Scaling
    shape: tuple[int, int]
    keep_map: bool = False
    precision: str = "float32"

    @cached_property
    def run(self) -> Any:
        """Compiled function: uint8 [n, any, any, 3] -> features [n, h, w, c]."""

        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])  # type: ignore[untyped-decorator]
        def run(pictures: Any) -> Any:
            resized = tf.image.resize(tf.cast(pictures, tf.float32), self.shape, antialias=True)
            features = tf.cast(self.backbone(scale(resized, self.scaling), training=False), tf.float32)
            if not self.keep_map:
                return tf.reduce_mean(features, axis=(1, 2), keepdims=True)
            return tf.cast(tf.clip_by_value(features, -_MAX_HALF, _MAX_HALF), tf.float16)

        return run

    def key(self) -> str:
        """Return a hash, 16 hex digits, of everything that determines the features except the images."""
        options = self.scaling, self.shape, self.keep_map, self.precision, self.backbone.output_shape
        digest = hashlib.sha256(repr((_FORMAT, *options)).encode())
        for weights in self.backbone.get_weights():
            digest.update(np.ascontiguousarray(weights).data)
        return digest.hexdigest()[:16]


def features(
    trunk: FrozenTrunk, pictures: NDArray[np.uint8], folder: Path, advance: ProgressCallback = no_progress
) -> NDArray[Any]:
    """Return the features of n images, [n, h, w, c], computing those that are not cached.

    Features are cached in `folder/<key of the trunk>`, in files of 256 images named after the hash of their pixels.

    Raises:
        OSError: the disk is full; complete files are kept.
    """
    cache = folder / trunk.key()
    cache.mkdir(parents=True, exist_ok=True)
    parts = [trunk.run(np.zeros((1, *pictures.shape[1:]), np.uint8)).numpy()[:0]]
    for start in range(0, len(pictures), _FILE_SIZE):
        batch = np.ascontiguousarray(pictures[start : start + _FILE_SIZE])
        file = cache / f"{hashlib.sha256(batch.data).hexdigest()[:16]}.npy"
        if file.is_file():
            with intact(file):
                parts.append(np.load(file))
        else:
            computed = [trunk.run(batch[at : at + _BATCH]).numpy() for at in range(0, len(batch), _BATCH)]
            parts.append(np.concatenate(computed))
            with atomic_write(file) as out:
                np.save(out, parts[-1])
            advance(start + len(batch), len(pictures))
    return np.concatenate(parts)
