"""The outputs of a trunk that stays still, computed once: epochs of the heads then read numbers, not pictures.

Kept under `folder/<key>`; the key is a hash of the trunk's weights and of the pictures themselves. The file grows batch
by batch and a killed run goes on where it ends; `whole.json` beside it says that nothing is missing.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from vsearch.files import replace_text
from vsearch.model.backbones import Scaling
from vsearch.model.headspec import HeadSpec
from vsearch.model.network import scale
from vsearch.progress import Advance, unseen
from vsearch.training.dataset import Split
from vsearch.training.pipeline import encode, row_order

Batch = tuple[Any, Mapping[str, Any]]
"""Features float32 [b, h, w, c] and the targets of each head."""

BATCH = 32
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

    def compiled(self) -> Any:
        """Return a compiled function: uint8 [n, any, any, 3], mirrored -> features [n, h, w, c]."""

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def run(pictures: Any) -> Any:
            resized = tf.image.resize(tf.cast(pictures, tf.float32), self.shape, antialias=True)
            features = tf.cast(self.backbone(scale(resized, self.scaling), training=False), tf.float32)
            if not self.whole:
                features = tf.reduce_mean(features, axis=(1, 2), keepdims=True)
            return tf.cast(tf.clip_by_value(features, -_MOST, _MOST), self.dtype)

        return run

    def key(self, split: Split, views: int) -> str:
        """Return 16 hex digits of all that determines the features."""
        known = hashlib.sha256(repr((_FORMAT, self.scaling, self.shape, self.whole, self.precision, views)).encode())
        for weights in self.backbone.get_weights():
            known.update(np.ascontiguousarray(weights).data)
        for start in range(0, len(split), 1024):
            known.update(np.ascontiguousarray(split.pictures[start : start + 1024]).data)
        return known.hexdigest()[:16]


def features(trunk: Trunk, split: Split, folder: Path, *, views: int = 1, advance: Advance = unseen) -> NDArray[Any]:
    """Return a trunk's features of a split, computed now or by an earlier run: [views, n, h, w, c].

    Args:
        trunk: what computes them.
        split: n pictures.
        folder: holds a folder for each trunk and split.
        views: 2 for the mirrored pictures as well.
        advance: is told how many of the views * n pictures are done.

    Raises:
        OSError: the disk is full; what is written so far is kept for the next run.
    """
    run = trunk.compiled()
    cells = tuple(run(np.zeros((1, *split.pictures.shape[1:]), np.uint8)).shape[1:])
    shape = (views, len(split), *cells)
    if not len(split):
        return np.empty(shape, trunk.dtype)
    place = folder / trunk.key(split, views)
    place.mkdir(parents=True, exist_ok=True)
    file, whole = place / "features.bin", place / "whole.json"
    if not whole.is_file():
        _fill(run, split, file, row=int(np.prod(cells)) * trunk.dtype.itemsize, views=views, advance=advance)
        replace_text(whole, json.dumps({"shape": shape, "dtype": trunk.dtype.name}))
    advance(views * len(split), views * len(split))
    found = np.memmap(file, trunk.dtype, "r", shape=shape)
    return found if trunk.whole else np.array(found)


def _fill(run: Any, split: Split, file: Path, *, row: int, views: int, advance: Advance) -> None:
    """Append the rows of `row` bytes that the file lacks."""
    count, total = len(split), views * len(split)
    with file.open("ab") as out:
        done = out.tell() // row
        out.truncate(done * row)
        while done < total:
            end = min(done + BATCH, total, (done // count + 1) * count)  # a batch is of one view
            pictures = split.pictures[done % count : end - done // count * count]
            out.write(run(pictures[:, :, ::-1] if done >= count else pictures).numpy().tobytes())
            out.flush()
            done = end
            advance(done, total)


def training_batches(
    kept: NDArray[Any], split: Split, heads: Sequence[HeadSpec], *, batch: int, seed: int, start_step: int = 0
) -> Iterator[Batch]:
    """Yield endless batches from a step on, in the order that pictures would have; each shows one of its views.

    With a metric head a batch has both views of `batch` pictures, the first views before the second.
    """
    order = row_order(split, batch, seed)
    paired = any(head.kind == "metric" for head in heads)
    for step in itertools.count(start_step):
        rows = order(step)
        if paired:
            yield _pairs(kept, split, heads, rows)
        else:
            view = np.random.default_rng([seed, 1, step]).integers(0, len(kept), len(rows))
            yield _batch(kept, split, heads, view, rows)


def validation_batches(
    kept: NDArray[Any], split: Split, heads: Sequence[HeadSpec], batch: int = 256
) -> Iterator[Batch]:
    """Yield each picture once, not mirrored; with a metric head both its views."""
    paired = any(head.kind == "metric" for head in heads)
    for start in range(0, len(split), batch):
        rows = np.arange(start, min(start + batch, len(split)))
        yield _pairs(kept, split, heads, rows) if paired else _batch(kept, split, heads, np.zeros_like(rows), rows)


def _pairs(kept: NDArray[Any], split: Split, heads: Sequence[HeadSpec], rows: NDArray[np.int64]) -> Batch:
    """Return the first and then the last view of some rows."""
    return _batch(kept, split, heads, np.repeat([0, len(kept) - 1], len(rows)), np.tile(rows, 2))


def _batch(
    kept: NDArray[Any], split: Split, heads: Sequence[HeadSpec], view: NDArray[np.int64], rows: NDArray[np.int64]
) -> Batch:
    targets = {head.name: encode(head, split.targets[head.name][rows]) for head in heads}
    return np.asarray(kept[view, rows], np.float32), targets
