"""`vsearch bench`: speed as ratios against a baseline in the same run; times alone tell how busy the machine was."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray

from vsearch.cli import pass_settings, photos
from vsearch.cli.console import progress, table
from vsearch.cli.load_model import load_model
from vsearch.core.settings import Settings
from vsearch.core.vectors import l2_normalize
from vsearch.imaging.codec import Limits, encode_jpeg, resize
from vsearch.index.class_index import ClassIndex
from vsearch.models.backbones import BACKBONES, backbone
from vsearch.models.tensorflow_startup import import_tensorflow

if TYPE_CHECKING:
    from vsearch.training.benchmarks import Loading
    from vsearch.training.trunk_benchmark import StillTrunk

_REPEATS = 7


@click.group()
def command() -> None:
    """Measure speed as ratios against a baseline."""


@command.command(epilog="Example: vsearch bench encode photos.tar --count 128")
@click.argument("paths", metavar="PHOTO|DIR|TAR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--count", default=96, show_default=True, type=click.IntRange(2), help="Pictures to encode.")
@pass_settings
def encode(settings: Settings, paths: tuple[Path, ...], count: int) -> None:
    """Encode pictures in batches, against one after the other (the baseline)."""
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
    table(f"Encode {len(pictures)} pictures by {model.origin}", ("", "pictures/s", "ms each", "times faster"), lines)


@command.command(epilog="Example: vsearch bench search --count 100000 --size 256")
@click.option("--count", default=20_000, show_default=True, type=click.IntRange(1), help="Embeddings in the index.")
@click.option("--size", default=256, show_default=True, type=click.IntRange(1), help="Numbers of each.")
def search(count: int, size: int) -> None:
    """Search one class index for one query, against a plain numpy scan (the baseline); filters keep 1 percent."""
    rng = np.random.default_rng(0)
    vectors = l2_normalize(rng.normal(size=(count, size)))
    ids = np.arange(count, dtype=np.int64) * 3 + 7
    query = l2_normalize(rng.normal(size=(1, size)))
    index = ClassIndex.build(vectors, ids, "cosine")
    few = ids[rng.permutation(count)[: max(1, count // 100)]]
    plain = _seconds(lambda: ids[np.argsort(-(vectors @ query[0]))[:24]])
    rows = (
        ("numpy scan", plain),
        ("index", _seconds(lambda: index.search(query, 24))),
        ("index, filtered", _seconds(lambda: index.search(query, 24, allowed=few))),
    )
    lines = [(name, f"{1000 * seconds:.2f}", f"{plain / seconds:.1f}") for name, seconds in rows]
    table(f"Search {count} embeddings of {size} numbers, best 24", ("", "ms", "times faster"), lines)


@command.command(epilog="Example: vsearch bench training --photos furniture_photos/images.tar")
@click.option(
    "--photos", "place", type=click.Path(exists=True, path_type=Path),
    help="Folder or tar of pictures; some are drawn when left out.",
)  # fmt: skip
@click.option("--backbone", "name", default="resnet50", show_default=True, type=click.Choice(list(BACKBONES)))
@click.option("--count", default=128, show_default=True, type=click.IntRange(32), help="Pictures at most.")
@click.option("--epochs", default=5, show_default=True, type=click.IntRange(1), help="Epochs of the head.")
def training(place: Path | None, name: str, count: int, epochs: int) -> None:
    """Train a head on kept outputs, against the trunk in the loop; load pictures ahead, against one by one.

    A trunk that stays still sees each picture once instead of in every epoch: filling the cache included, that is as
    many times faster as there are epochs, at most; every further phase, plan or fold on the same trunk begins filled.
    """
    import_tensorflow()
    from vsearch.training.benchmarks import loading
    from vsearch.training.trunk_benchmark import still_trunk

    with tempfile.TemporaryDirectory() as folder, progress("bench") as advance:
        advance(0, 2)
        source = place or _drawn(Path(folder) / "drawn", count)
        loaded = loading(source, count=count)
        advance(1, 2)
        pictures = _squares(source, backbone(name).side, count)
        head = still_trunk(name, pictures, work=Path(folder), epochs=epochs)
    _trunk_table(name, head)
    _loading_table(loaded)


def _trunk_table(name: str, head: "StillTrunk") -> None:
    rows = (
        ("trunk in the loop", head.in_loop),
        ("kept outputs", head.cached),
        ("filling the cache, once", head.filling),
        ("filling and kept outputs", head.filling + head.cached),
    )
    lines = [(label, f"{seconds:.2f}", f"{head.in_loop / seconds:.1f}") for label, seconds in rows]
    lines[2] = (*lines[2][:2], "")
    title = f"{head.epochs} epochs of a head on {name}, {head.pictures} pictures"
    table(title, ("", "seconds", "times faster"), lines, right=("seconds", "times faster"))


def _loading_table(loaded: "Loading") -> None:
    rows = (
        ("one by one", loaded.one_by_one),
        ("ahead, by tf.data", loaded.parallel),
        ("kept decoded (epochs after the first)", loaded.cached),
    )
    lines = [(label, f"{rate:.0f}", f"{rate / loaded.one_by_one:.1f}") for label, rate in rows]
    title = f"Load {loaded.pictures} pictures"
    table(title, ("", "pictures/s", "times faster"), lines, right=("pictures/s", "times faster"))


def _drawn(folder: Path, count: int) -> Path:
    """Write pictures of soft blots, 500 px a side, into a new folder."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        blots = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        (folder / f"{number}.jpg").write_bytes(encode_jpeg(resize(blots, 500, 500)))
    return folder


def _squares(place: Path, side: int, count: int) -> NDArray[np.uint8]:
    """Return up to `count` pictures, uint8 [n, side, side, 3]; as many as a batch has by repeating them."""
    found = photos.decode_all(photos.read([place]), Limits(min_side=8))
    pictures = np.stack([resize(picture, side, side) for _, (_, picture) in zip(range(count), found, strict=False)])
    return np.resize(pictures, (max(len(pictures), 32), side, side, 3))


def _seconds(work: Callable[[], object], repeats: int = _REPEATS) -> float:
    """Return the median time of some calls, after one that does not count."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return median(times)
