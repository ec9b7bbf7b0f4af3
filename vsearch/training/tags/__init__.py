"""Synthetic shelf tags with an article number, as unlimited training data for the reader."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from vsearch.imaging.codec import encode_jpeg
from vsearch.training.data.sources import SPLITS, LabeledImage, SplitName
from vsearch.training.plan import TagsSource
from vsearch.training.tags.strip import STRIP, Digits, draw_tag

__all__ = ["STRIP", "Digits", "draw_tag", "read_tags"]

TAGS_VERSION = 1
"""Increment when the same seed gives different tags, so that cached ones are not used."""

_FOLDER_SIZE = 4096  # tags; a killed run redraws its last folder
_CHUNK = 128  # tags that a process draws at a time
_JPEG_QUALITY = 95


def read_tags(source: TagsSource, work: Path) -> Iterator[LabeledImage]:
    """Yield the tags of a source, with the labels `number` and `readable` ("no" for blanks, which have no number).

    They are drawn once and stored as TFRecord shards in `work`/tags.
    """
    from vsearch.training.data import tfrecord

    fields = {name: getattr(source, name) for name in ("digits", "train", "val", "blanks", "seed")}
    text = json.dumps({**fields, "version": TAGS_VERSION, "size": STRIP[source.digits]}, sort_keys=True)
    folder = work / "tags" / hashlib.sha256(text.encode()).hexdigest()[:16]
    for split in SPLITS:
        count = source.train if split == "train" else source.val
        for start in range(0, count, _FOLDER_SIZE):
            part = folder / f"{split}-{start // _FOLDER_SIZE:03d}"
            if not part.is_dir():
                indices = range(start, min(start + _FOLDER_SIZE, count))
                tfrecord.pack(_draw(source, split, indices), part, shards=1)
            yield from tfrecord.read(part)


def _draw(source: TagsSource, split: SplitName, indices: range) -> Iterator[LabeledImage]:
    """Draw tags in order in two processes, or in the current one if there are only a few."""
    chunks = [indices[start : start + _CHUNK] for start in range(0, len(indices), _CHUNK)]
    draw = partial(_draw_chunk, source, split)
    if len(chunks) < 4:
        for chunk in chunks:
            yield from draw(chunk)
        return
    # Not forked: TensorFlow's threads may hold locks that would never be released in the child.
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for drawn in pool.map(draw, chunks):
            yield from drawn


def _draw_chunk(source: TagsSource, split: SplitName, chunk: range) -> list[LabeledImage]:
    return [_draw_one(source, split, index) for index in chunk]


def _draw_one(source: TagsSource, split: SplitName, index: int) -> LabeledImage:
    rng = np.random.default_rng([source.seed, source.digits, SPLITS.index(split), index])
    blank = bool(rng.random() < source.blanks)
    picture, number = draw_tag(rng, source.digits, blank=blank)
    labels = {"readable": "no"} if blank else {"number": number, "readable": "yes"}
    name = f"{split}-{index:06d}"
    return LabeledImage(encode_jpeg(picture, quality=_JPEG_QUALITY), labels, split, name, name)
