"""Shelf tags with an article number, drawn from a seed: training data that costs no photographer.

`draw_tag` draws the strip around a number, `draw_tag_photo` a whole photo; `examples` keeps a set of strips on disk.
"""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from vsearch.imaging.codec import encode_jpeg
from vsearch.training.data.examples import SIDES, Example, Side
from vsearch.training.plan_sources import TagsSource
from vsearch.training.tags.photo import draw_tag_photo
from vsearch.training.tags.strip import STRIP, Digits, draw_tag

__all__ = ["STRIP", "Digits", "draw_tag", "draw_tag_photo", "examples"]

DRAWING = 1
"""Raise it when the same seed draws another picture, so that sets drawn before are not taken for new ones."""

_PART = 4096  # tags kept together; after a kill only the part that was being drawn is drawn again
_CHUNK = 128  # tags a process draws at a time
_QUALITY = 95


def examples(source: TagsSource, work: Path) -> Iterator[Example]:
    """Yield the tags of a source: labels `number` and `readable` ("yes"; a blank has "no" and no number).

    They are drawn once, into TFRecord shards under `work`/tags, and read from there afterwards.
    """
    from vsearch.training.data import records

    folder = work / "tags" / _key(source)
    for split in SIDES:
        count = source.train if split == "train" else source.val
        for start in range(0, count, _PART):
            part = folder / f"{split}-{start // _PART:03d}"
            if not part.is_dir():
                wanted = range(start, min(start + _PART, count))
                about = {"drawn": source.model_dump(mode="json"), "drawing": DRAWING}
                records.pack(_drawn(source, split, wanted), part, shards=1, about=about)
            yield from records.read(part)


def example(source: TagsSource, split: Side, index: int) -> Example:
    """Draw one tag of a source; it depends on nothing else."""
    rng = np.random.default_rng([source.seed, source.digits, SIDES.index(split), index])
    blank = bool(rng.random() < source.blanks)
    picture, number = draw_tag(rng, source.digits, blank=blank)
    labels = {"readable": "no"} if blank else {"number": number, "readable": "yes"}
    name = f"{split}-{index:06d}"
    return Example(encode_jpeg(picture, quality=_QUALITY), labels, split, name, name)


def _drawn(source: TagsSource, split: Side, wanted: range) -> Iterator[Example]:
    """Draw tags in two processes, in order; few are drawn in this one, which starts at once."""
    chunks = [wanted[start : start + _CHUNK] for start in range(0, len(wanted), _CHUNK)]
    draw = partial(_drawn_chunk, source, split)
    if len(chunks) < 4:
        for chunk in chunks:
            yield from draw(chunk)
        return
    # Not forked: TensorFlow's threads may hold locks that would never be released in the child.
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for drawn in pool.map(draw, chunks):
            yield from drawn


def _drawn_chunk(source: TagsSource, split: Side, chunk: range) -> list[Example]:
    return [example(source, split, index) for index in chunk]


def _key(source: TagsSource) -> str:
    said = {name: getattr(source, name) for name in ("digits", "train", "val", "blanks", "seed")}
    text = json.dumps({**said, "drawing": DRAWING, "size": STRIP[source.digits]}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
