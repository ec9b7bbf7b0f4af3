"""`vsearch bench`: measure speed relative to a baseline in the same run, since absolute times depend on the load."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import click
import numpy as np

from vsearch.cli import pass_settings, photos, photos_argument
from vsearch.cli.console import table
from vsearch.cli.load_model import load_model
from vsearch.core.settings import Settings
from vsearch.core.vectors import l2_normalize
from vsearch.imaging.codec import Limits
from vsearch.index.class_index import ClassIndex

_REPEATS = 7


@click.group()
def command() -> None:
    """Measure speed relative to a baseline."""


@command.command(epilog="Example: vsearch bench encode photos.tar --count 128")
@photos_argument
@click.option("--count", default=96, show_default=True, type=click.IntRange(2), help="Images to encode.")
@pass_settings
def encode(settings: Settings, paths: tuple[Path, ...], count: int) -> None:
    """Encode images in batches; the baseline encodes them one by one."""
    model = load_model(settings)
    readable = photos.decode_all(photos.read(paths), Limits.from_settings(settings))
    pictures = [picture for _, (_, picture) in zip(range(count), readable, strict=False)]
    size = settings.batch_size
    model.encoder.blocks(pictures[:size])
    single = _seconds(lambda: [model.encoder.blocks([picture]) for picture in pictures], repeats=3)
    batches = [pictures[start : start + size] for start in range(0, len(pictures), size)]
    batched = _seconds(lambda: [model.encoder.blocks(batch) for batch in batches], repeats=3)
    rows = (("one by one", single), (f"batches of {size}", batched))
    lines = [
        (name, f"{len(pictures) / s:.1f}", f"{1000 * s / len(pictures):.1f}", f"{single / s:.2f}") for name, s in rows
    ]
    table(f"Encode {len(pictures)} images with {model.origin}", ("", "images/s", "ms each", "speedup"), lines)


@command.command(epilog="Example: vsearch bench search --count 100000 --size 256")
@click.option("--count", default=20_000, show_default=True, type=click.IntRange(1), help="Embeddings in the index.")
@click.option("--size", default=256, show_default=True, type=click.IntRange(1), help="Dimensions.")
def search(count: int, size: int) -> None:
    """Search a class index, with and without a filter that keeps 1%; the baseline is a NumPy scan."""
    rng = np.random.default_rng(0)
    vectors = l2_normalize(rng.normal(size=(count, size)))
    ids = np.arange(count, dtype=np.int64) * 3 + 7
    query = l2_normalize(rng.normal(size=(1, size)))
    index = ClassIndex.build(vectors, ids, "cosine")
    few = ids[rng.permutation(count)[: max(1, count // 100)]]
    plain = _seconds(lambda: ids[np.argsort(-(vectors @ query[0]))[:24]])
    rows = (
        ("NumPy scan", plain),
        ("index", _seconds(lambda: index.search(query, 24))),
        ("index, filtered", _seconds(lambda: index.search(query, 24, allowed=few))),
    )
    lines = [(name, f"{1000 * seconds:.2f}", f"{plain / seconds:.1f}") for name, seconds in rows]
    table(f"Search {count} embeddings of {size} dimensions, top 24", ("", "ms", "speedup"), lines)


def _seconds(work: Callable[[], object], repeats: int = _REPEATS) -> float:
    """Return the median time of several calls after a warm-up."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return median(times)
