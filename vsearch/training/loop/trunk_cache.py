"""The outputs of a trunk that stays still, computed once: epochs of the heads then read numbers, not pictures.

Kept under `folder/<key>`, the key a hash of the trunk's weights, in parts of 256 pictures. Each picture is found again
by the hash of its pixels: a killed run goes on after its last whole part, and splits that share pictures share them.
"""

import hashlib
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
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
from vsearch.models.trained_heads import HeadSpec
from vsearch.training.data.dataset import Split
from vsearch.training.loop.pipeline import encode, partners, row_order
from vsearch.training.loop.resume import whole

Batch = tuple[Any, Mapping[str, Any]]
"""Features float32 [b, h, w, c] and the targets of each head."""

_BATCH = 32
_PART = 256  # pictures of a file
_STALE = 3600  # seconds after which a hidden file is what a killed run left
_JUDGED = 256  # rows of a batch to judge
_FORMAT = 1  # counted up when the same trunk and pictures would give other numbers
_MOST = 65_504.0  # that half precision holds


@dataclass(frozen=True)
class Trunk:
    """A backbone that stays still.

    Attributes:
        backbone: its `keras.Model`.
        scaling: of its row in the table.
        shape: (height, width) of its input in pixels.
        whole: keep the feature map, in half precision; else its average, a map of one cell.
        precision: name of the Keras policy it was built with.
    """

    backbone: Any
    scaling: Scaling
    shape: tuple[int, int]
    whole: bool = False
    precision: str = "float32"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the features kept."""
        return np.dtype(np.float16 if self.whole else np.float32)

    @cached_property
    def run(self) -> Any:
        """A compiled function: uint8 [n, any, any, 3] -> features [n, h, w, c]."""

        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])  # type: ignore[untyped-decorator]
        def run(pictures: Any) -> Any:
            resized = tf.image.resize(tf.cast(pictures, tf.float32), self.shape, antialias=True)
            features = tf.cast(self.backbone(scale(resized, self.scaling), training=False), tf.float32)
            if not self.whole:
                features = tf.reduce_mean(features, axis=(1, 2), keepdims=True)
            return tf.cast(tf.clip_by_value(features, -_MOST, _MOST), self.dtype)

        return run

    def key(self) -> str:
        """Return 16 hex digits of all that determines what it makes of a picture."""
        known = hashlib.sha256(repr((_FORMAT, self.scaling, self.shape, self.whole, self.precision)).encode())
        for weights in self.backbone.get_weights():
            known.update(np.ascontiguousarray(weights).data)
        return known.hexdigest()[:16]


def features(
    trunk: Trunk, split: Split, folder: Path, *, views: int = 1, advance: ProgressCallback = no_progress
) -> NDArray[Any]:
    """Return a trunk's features of a split, computed now or by an earlier run: [views, n, h, w, c].

    Args:
        trunk: what computes them.
        split: n pictures.
        folder: holds a folder for each trunk.
        views: 2 for the mirrored pictures as well.
        advance: is told how many pictures of those that lack features are done.

    Raises:
        OSError: the disk is full; the parts written so far stay, whole, for the next run.
    """
    place = folder / trunk.key()
    place.mkdir(parents=True, exist_ok=True)
    _sweep(place)
    keys, first, where = np.unique(_keys(split, views), return_index=True, return_inverse=True)
    cells = tuple(trunk.run(np.zeros((1, *split.pictures.shape[1:]), np.uint8)).shape[1:])
    values = np.zeros((len(keys), *cells), trunk.dtype)
    known = np.zeros(len(keys), np.bool_)
    for file in place.glob("*.npy"):
        with whole(file):
            part = np.load(file)
        _, ours, theirs = np.intersect1d(keys, part["key"], return_indices=True)
        values[ours], known[ours] = part["features"][theirs], True
    lacking = np.flatnonzero(~known)
    for start in range(0, len(lacking), _PART):
        wanted = lacking[start : start + _PART]
        values[wanted] = _computed(trunk, split, first[wanted])
        _write(place, keys[wanted], values[wanted])
        advance(start + len(wanted), len(lacking))
    return values[where].reshape(views, len(split), *cells)


def _keys(split: Split, views: int) -> NDArray[np.uint64]:
    """Return a number for each view of each picture, [views * n]: the same for the same pixels."""
    digests = [
        hashlib.sha256(bytes([view]) + picture.tobytes()).digest()[:8]
        for view in range(views)
        for picture in split.pictures
    ]
    return np.frombuffer(b"".join(digests), np.uint64)


def _computed(trunk: Trunk, split: Split, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return the features of some views; view v of picture i is row v * n + i."""
    found = []
    for start in range(0, len(rows), _BATCH):
        mirrored, at = np.divmod(rows[start : start + _BATCH], len(split))
        pictures = split.pictures[at]
        shown = np.where(mirrored[:, None, None, None] == 1, pictures[:, :, ::-1], pictures)
        found.append(trunk.run(shown).numpy())
    return np.concatenate(found)


def _write(place: Path, keys: NDArray[np.uint64], values: NDArray[Any]) -> None:
    """Keep the features of some views: a file of its own, whole or not at all."""
    part = np.zeros(len(keys), [("key", np.uint64), ("features", values.dtype, values.shape[1:])])
    part["key"], part["features"] = keys, values
    with atomic_write(place / f"{hashlib.sha256(keys.tobytes()).hexdigest()[:16]}.npy") as file:
        np.save(file, part)


def _sweep(place: Path) -> None:
    """Remove what a kill left, and leave what another run may be writing."""
    for left in modified_before(place.glob(f"{UNFINISHED}*"), time.time() - _STALE):
        left.unlink(missing_ok=True)


def training_batches(
    kept: NDArray[Any], split: Split, heads: Sequence[HeadSpec], *, batch: int, seed: int, start_step: int = 0
) -> Iterator[Batch]:
    """Yield endless batches from a step on, in the order that pictures would have; each shows one of its views.

    With a metric head a batch has two views of `batch` products, the first views before the second.
    """
    order, other = row_order(split, batch, seed), partners(split, heads, seed)
    for step in itertools.count(start_step):
        rows = order(step)
        if other:
            yield _pairs(kept, split, heads, np.concatenate([rows, other(rows, step)]))
        else:
            view = np.random.default_rng([seed, 1, step]).integers(0, len(kept), len(rows))
            yield _batch(kept, split, heads, view, rows)


def validation_batches(kept: NDArray[Any], split: Split, heads: Sequence[HeadSpec]) -> Iterator[Batch]:
    """Yield each picture once, not mirrored; with a metric head both its views."""
    paired = any(head.kind == "metric" for head in heads)
    for start in range(0, len(split), _JUDGED):
        rows = np.arange(start, min(start + _JUDGED, len(split)))
        yield (
            _pairs(kept, split, heads, np.tile(rows, 2))
            if paired
            else _batch(kept, split, heads, np.zeros_like(rows), rows)
        )


def _pairs(kept: NDArray[Any], split: Split, heads: Sequence[HeadSpec], rows: NDArray[np.int64]) -> Batch:
    """Return the first view of the first half of some rows, and the last view of the others."""
    return _batch(kept, split, heads, np.repeat([0, len(kept) - 1], len(rows) // 2), rows)


def _batch(
    kept: NDArray[Any], split: Split, heads: Sequence[HeadSpec], view: NDArray[np.int64], rows: NDArray[np.int64]
) -> Batch:
    targets = {head.name: encode(head, split.targets[head.name][rows]) for head in heads}
    return np.asarray(kept[view, rows], np.float32), targets
