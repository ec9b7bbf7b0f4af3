"""Compute the features of a frozen trunk once; epochs of the heads then read features instead of pictures.

They are cached in `folder/<key>`, where the key is a hash of the trunk's weights, in files of 256 pictures. A picture
is found by the hash of its pixels, so a killed run continues after its last file and splits share pictures.
"""

import hashlib
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from vsearch.core.files import UNFINISHED, atomic_write, modified_before
from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.models.backbones import Scaling
from vsearch.models.network import scale
from vsearch.training.data.dataset import Split
from vsearch.training.loop.resume import intact

_BATCH = 32
_FILE_SIZE = 256  # pictures
_STALE_SECONDS = 3600  # age of a temporary file that a killed run left
_FORMAT = 1  # increase it if the same trunk and pictures would give other features
_MAX_HALF = 65_504.0  # largest float16


@dataclass(frozen=True)
class FrozenTrunk:
    """A backbone that does not learn.

    Attributes:
        backbone: a `keras.Model`.
        shape: (height, width) of its input in pixels.
        keep_map: keep the feature map, as float16; otherwise its average, a map of 1 x 1.
        precision: Keras dtype policy it was built with.
    """

    backbone: Any
    scaling: Scaling
    shape: tuple[int, int]
    keep_map: bool = False
    precision: str = "float32"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the features."""
        return np.dtype(np.float16 if self.keep_map else np.float32)

    @cached_property
    def run(self) -> Any:
        """Compiled function: uint8 [n, any, any, 3] -> features [n, h, w, c]."""

        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])  # type: ignore[untyped-decorator]
        def run(pictures: Any) -> Any:
            resized = tf.image.resize(tf.cast(pictures, tf.float32), self.shape, antialias=True)
            features = tf.cast(self.backbone(scale(resized, self.scaling), training=False), tf.float32)
            if not self.keep_map:
                features = tf.reduce_mean(features, axis=(1, 2), keepdims=True)
            return tf.cast(tf.clip_by_value(features, -_MAX_HALF, _MAX_HALF), self.dtype)

        return run

    def key(self) -> str:
        """Return 16 hex digits of everything the features depend on besides the pictures."""
        digest = hashlib.sha256(repr((_FORMAT, self.scaling, self.shape, self.keep_map, self.precision)).encode())
        for weights in self.backbone.get_weights():
            digest.update(np.ascontiguousarray(weights).data)
        return digest.hexdigest()[:16]


def features(
    trunk: FrozenTrunk, split: Split, folder: Path, *, views: int = 1, advance: ProgressCallback = no_progress
) -> NDArray[Any]:
    """Return the features of a split from the cache, computing those it lacks: [views, n, h, w, c].

    Args:
        trunk: computes them.
        split: n pictures.
        folder: holds a cache folder for each trunk.
        views: 2 to add the mirrored pictures.
        advance: reports how many of the missing features are computed.

    Raises:
        OSError: the disk is full; files written so far are kept.
    """
    cache = folder / trunk.key()
    cache.mkdir(parents=True, exist_ok=True)
    for left in modified_before(cache.glob(f"{UNFINISHED}*"), time.time() - _STALE_SECONDS):
        left.unlink(missing_ok=True)
    digests = [
        hashlib.sha256(bytes([view]) + picture.tobytes()).digest()[:8]
        for view in range(views)
        for picture in split.pictures
    ]
    all_keys = np.frombuffer(b"".join(digests), np.uint64)
    keys, first, inverse = np.unique(all_keys, return_index=True, return_inverse=True)
    shape = tuple(trunk.run(np.zeros((1, *split.pictures.shape[1:]), np.uint8)).shape[1:])
    values = np.zeros((len(keys), *shape), trunk.dtype)
    known = np.zeros(len(keys), np.bool_)
    for file in cache.glob("*.npy"):
        with intact(file):
            part = np.load(file)
        _, ours, theirs = np.intersect1d(keys, part["key"], return_indices=True)
        values[ours], known[ours] = part["features"][theirs], True
    missing = np.flatnonzero(~known)
    for start in range(0, len(missing), _FILE_SIZE):
        rows = missing[start : start + _FILE_SIZE]
        values[rows] = _compute(trunk, split, first[rows])
        part = np.zeros(len(rows), [("key", np.uint64), ("features", values.dtype, values.shape[1:])])
        part["key"], part["features"] = keys[rows], values[rows]
        with atomic_write(cache / f"{hashlib.sha256(keys[rows].tobytes()).hexdigest()[:16]}.npy") as out:
            np.save(out, part)
        advance(start + len(rows), len(missing))
    return values[inverse].reshape(views, len(split), *shape)


def _compute(trunk: FrozenTrunk, split: Split, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return the features of some views; view v of picture i is row v * n + i."""
    found = []
    for start in range(0, len(rows), _BATCH):
        mirrored, at = np.divmod(rows[start : start + _BATCH], len(split))
        pictures = split.pictures[at]
        viewed = np.where(mirrored[:, None, None, None] == 1, pictures[:, :, ::-1], pictures)
        found.append(trunk.run(viewed).numpy())
    return np.concatenate(found)
