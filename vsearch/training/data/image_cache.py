"""Decode every training image once, into memory-mapped arrays in a folder named after a fingerprint of the sources."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vsearch.core.files import checksum, atomic_folder, replace_text
from vsearch.imaging.codec import Picture
from vsearch.core.progress import ProgressCallback
from vsearch.training.plan import Plan
from vsearch.training.plan import CatalogSource, CsvSource, FolderSource, Source, TagsSource, TfrecordSource
from vsearch.training.data import catalog_snapshot
from vsearch.training.loop.resume import intact
from vsearch.training.data.samples import read_samples
from vsearch.training.data.sources import SPLITS, SplitName, check_exists

T = TypeVar("T")
R = TypeVar("R")

_FORMAT = 2  # increment if the same sources would be cached differently
_AHEAD = 64  # images rendered ahead


@dataclass(frozen=True)
class Row:
    """The metadata of a cached image.

    Attributes:
        source: number of its source in the plan.
        boxes: [left, top, right, bottom] of each object, relative; None if unknown.
        held_out: see `vsearch.training.data.sources.LabeledImage`.
    """

    source: int
    name: str
    group: str
    labels: Mapping[str, str]
    boxes: Sequence[Sequence[float]] | None = None
    held_out: bool = False


@dataclass(frozen=True)
class CachedSplit:
    """Images uint8 [n, h, w, 3], memory-mapped, and a row for each."""

    pictures: NDArray[np.uint8]
    rows: tuple[Row, ...]


def load(folder: Path) -> tuple[dict[SplitName, CachedSplit], tuple[str, ...]] | None:
    """Return the splits that `build` wrote to a folder and the names of unreadable images, or None if there are none."""
    if not (folder / "rows.json").is_file():
        return None
    with intact(folder):
        content = json.loads((folder / "rows.json").read_text(encoding="utf8"))
        splits: dict[SplitName, CachedSplit] = {}
        for split in SPLITS:
            pictures = np.load(folder / f"{split}.npy", mmap_mode="r")
            splits[split] = CachedSplit(pictures, tuple(Row(*row) for row in content[split]))
        return splits, tuple(content["unreadable"])


def build(plan: Plan, root: Path, folder: Path, *, work: Path, advance: ProgressCallback) -> None:
    """Decode all sources into `folder`, which is complete or does not exist.

    Raises:
        DatasetError: a source is missing or damaged. Unreadable images are logged and skipped.
        OSError: the disk is full.
    """
    content: dict[str, list[Any]] = {"train": [], "val": [], "unreadable": []}
    with (
        atomic_folder(folder) as hidden,
        (hidden / "train.npy").open("wb") as train,
        (hidden / "val.npy").open("wb") as val,
    ):
        files = {"train": train, "val": val}
        for split in SPLITS:
            _write_header(files[split], 0, plan.cache_shape)
        rendered = map_ahead(lambda sample: sample.render(plan), read_samples(plan, root, work))
        for done, (sample, picture) in enumerate(rendered, start=1):
            image = sample.image
            if picture is not None:
                files[image.split].write(picture.tobytes())
                # A synthetic room shows several products, so the image's labels do not apply.
                labels = {} if plan.detects and sample.view else dict(image.labels)
                content[image.split].append(
                    [sample.source, image.name, image.group, labels, sample.boxes, image.held_out]
                )
            elif sample.is_first:
                content["unreadable"].append(image.name)
            advance(done, 0)
        for split in SPLITS:
            files[split].seek(0)
            _write_header(files[split], len(content[split]), plan.cache_shape)
        (hidden / "rows.json").write_text(json.dumps(content), encoding="utf8")


def map_ahead(function: Callable[[T], R], items: Iterator[T]) -> Iterator[tuple[T, R]]:
    """Yield each item with its result, in order; threads compute results ahead. Exceptions reach the caller."""
    with ThreadPoolExecutor() as threads:
        pending: list[tuple[T, Future[R]]] = []
        try:
            while batch := list(islice(items, _AHEAD)):
                submitted = [(item, threads.submit(function, item)) for item in batch]
                for item, future in pending:
                    yield item, future.result()
                pending = submitted
            for item, future in pending:
                yield item, future.result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def fingerprint(plan: Plan, root: Path, work: Path) -> str:
    """Return 16 hex digits that depend on the content of the sources, their labels and splits, and the cached shape.

    Paths are relative to `root`; checksums are cached in `work`/cache.

    Raises:
        DatasetError: a source's file does not exist.
    """
    cache = work / "cache" / "checksums.json"
    try:
        known: dict[str, list[str]] = json.loads(cache.read_text(encoding="utf8"))
    except (OSError, ValueError):
        known = {}
    before = dict(known)
    sources = []
    for source in plan.source:
        keys = source.model_dump(mode="json", exclude={"terms", "repeat", "background"})
        sources.append([keys, [_content_checksum(path, known) for path in _paths_of(source, root, work)], _version_of(source)])
    if known != before:
        cache.parent.mkdir(parents=True, exist_ok=True)
        replace_text(cache, json.dumps(known))
    content = [_FORMAT, plan.cache_shape, plan.framing, plan.seed, sources, plan.detects]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _content_checksum(path: Path, known: dict[str, list[str]]) -> str:
    """Return the SHA-256 of a file, or of the names and contents in a folder; unchanged files are not read again."""
    path = check_exists(path).resolve()
    files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
    states = [f"{file.relative_to(path)} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    state = hashlib.sha256("\n".join(states).encode()).hexdigest()
    if known.get(str(path), [""])[0] != state:
        contents = [f"{file.relative_to(path)} {checksum(file)}" for file in files]
        known[str(path)] = [state, hashlib.sha256("\n".join(contents).encode()).hexdigest()]
    return known[str(path)][1]


def _paths_of(source: Source, root: Path, work: Path) -> list[Path]:
    if isinstance(source, CatalogSource):  # images are stored under the hash of their content
        return [catalog_snapshot.snapshot_file(work)]
    if isinstance(source, CsvSource):
        return [root / source.manifest, root / source.images]
    return [root / source.folder] if isinstance(source, FolderSource | TfrecordSource) else []


def _version_of(source: Source) -> int | None:
    if not isinstance(source, TagsSource):
        return None
    from vsearch.training import tags

    return tags.TAGS_VERSION


def _write_header(file: IO[bytes], count: int, shape: tuple[int, int]) -> None:
    # numpy pads the header for a longer first axis, so it can be rewritten once the count is known.
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape, 3)}
    np.lib.format.write_array_header_1_0(file, header)
