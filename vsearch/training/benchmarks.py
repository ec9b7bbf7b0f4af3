"""How quickly training pictures arrive: one after the other, ahead by several threads, and from the cache."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from vsearch.core.archives import DAMAGED, Archive, open_archive, reason
from vsearch.core.errors import DatasetError, ImageRejected
from vsearch.imaging.codec import Limits, Picture, decode, resize
from vsearch.training.data.image_cache import in_parallel

_BATCH = 32  # pictures taken from the cache at a time
_LIMITS = Limits(min_side=8)  # px


@dataclass(frozen=True)
class Loading:
    """Pictures in a second, and how many were loaded.

    Attributes:
        one_by_one: read, decoded and resized by one thread, each when it is asked for.
        parallel: the same by tf.data, decoded by several threads ahead of time.
        cached: from the memory-mapped array that the first epoch leaves.
    """

    pictures: int
    one_by_one: float
    parallel: float
    cached: float


def loading(place: Path, *, count: int = 1000, shape: tuple[int, int] = (96, 96), repeats: int = 3) -> Loading:
    """Load the first `count` pictures of a folder, tar or zip in three ways, and keep the best of some repeats.

    Args:
        place: holds the pictures, at any depth.
        count: at most so many.
        shape: (height, width) in pixels that they are resized to.
        repeats: each way is tried so often, in turn with the others.

    Raises:
        DatasetError: it is none of these, or holds no picture that can be read.
    """
    try:
        archive = open_archive(place)
    except DAMAGED as error:
        raise DatasetError(
            f"Pictures must be in a folder, tar or zip, but {place} is none ({reason(error)}); name one."
        ) from None
    with archive, tempfile.TemporaryDirectory() as folder:
        names = [name for name in islice(archive, count) if _made(archive, name, shape) is not None]
        if not names:
            raise DatasetError(f"At least one picture must be readable, but {place} has none; name another place.")
        file = Path(folder) / "pictures.npy"
        np.save(file, np.stack(list(_one_by_one(archive, names, shape))))
        ways: dict[str, Callable[[], Iterable[object]]] = {
            "one_by_one": lambda: _one_by_one(archive, names, shape),
            "parallel": lambda: in_parallel(map(archive.read, names), lambda data: _decoded(data, shape), shape),
            "cached": lambda: _from_cache(file),
        }
        for way in ways.values():
            _seconds(way)  # the first time TensorFlow starts
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(repeats):
            for name, way in ways.items():
                best[name] = min(best[name], _seconds(way))
    return Loading(len(names), **{name: len(names) / seconds for name, seconds in best.items()})


def _one_by_one(archive: Archive, names: Iterable[str], shape: tuple[int, int]) -> Iterator[Picture]:
    return (picture for name in names if (picture := _made(archive, name, shape)) is not None)


def _made(archive: Archive, name: str, shape: tuple[int, int]) -> Picture | None:
    return _decoded(archive.read(name), shape)


def _decoded(data: bytes, shape: tuple[int, int]) -> Picture | None:
    height, width = shape
    try:
        return resize(decode(data, _LIMITS), width, height)
    except ImageRejected:
        return None


def _from_cache(file: Path) -> Iterator[Picture]:
    import tensorflow as tf

    pictures = np.load(file, mmap_mode="r")
    rows = tf.data.Dataset.range(len(pictures)).batch(_BATCH)
    batches = rows.map(lambda rows: tf.numpy_function(lambda at: pictures[at], [rows], tf.uint8), num_parallel_calls=2)
    return iter(batches.prefetch(2).as_numpy_iterator())


def _seconds(way: Callable[[], Iterable[object]]) -> float:
    started = time.perf_counter()
    for _ in way():
        pass
    return time.perf_counter() - started
