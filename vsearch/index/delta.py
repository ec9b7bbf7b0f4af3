"""The delta of a generation: images added to the catalog and removed from it since, searched together with it.

It is one file, `generations/deltas/<generation id>.npz`, and is replaced atomically; the generation itself never
changes. The next index run builds a generation with the same images.
"""

import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from vsearch.core.errors import GenerationCorrupt
from vsearch.core.files import UNFINISHED, leftovers, write_bytes
from vsearch.core.settings import Metric
from vsearch.index.class_index import ClassIndex, Ids, ImageSet, Vectors
from vsearch.index.gallery import Gallery
from vsearch.index.merged_index import MergedIndex, SearchIndex

FOLDER = "deltas"

Version = tuple[int, int, int] | None
"""Changes whenever the file of a delta does; None without a file."""


@dataclass(frozen=True)
class Delta:
    """What has changed since a generation was built.

    Attributes:
        generation_id: of the generation.
        created_at: when the catalog was read.
        image_ids, product_ids: of m added images, int64 [m], in ascending order of image id.
        classes: m names.
        embeddings: of the added images, float32 [m, d], not normalized.
        removed: ids of images of the generation that no live product has, int64 [r], ascending.
    """

    generation_id: str
    created_at: datetime
    image_ids: Ids
    product_ids: Ids
    classes: tuple[str, ...]
    embeddings: Vectors
    removed: Ids

    def __bool__(self) -> bool:
        return bool(len(self.image_ids) or len(self.removed))


def write(folder: Path, delta: Delta) -> None:
    """Replace the delta of a generation in the folder of generations, or delete it if there is nothing in it.

    There may be only one writer at a time.
    """
    for path in leftovers(folder / FOLDER, [UNFINISHED]):
        path.unlink()
    if not delta:
        path_of(folder, delta.generation_id).unlink(missing_ok=True)
        return
    about = {"generation_id": delta.generation_id, "created_at": delta.created_at.isoformat()}
    buffer = io.BytesIO()
    np.savez(
        buffer,
        allow_pickle=False,
        about=json.dumps(about),
        image_ids=delta.image_ids,
        product_ids=delta.product_ids,
        classes=np.array(delta.classes, dtype=np.str_),
        embeddings=delta.embeddings,
        removed=delta.removed,
    )
    write_bytes(path_of(folder, delta.generation_id), buffer.getvalue(), durable=True)


def read(folder: Path, generation_id: str) -> Delta | None:
    """Return the delta of a generation, or None if there is none; `GenerationCorrupt` if its file is damaged."""
    path = path_of(folder, generation_id)
    try:
        with np.load(io.BytesIO(path.read_bytes())) as arrays:  # the zip format has a checksum of each array
            about = json.loads(str(arrays["about"]))
            delta = Delta(
                about["generation_id"],
                datetime.fromisoformat(about["created_at"]),
                arrays["image_ids"],
                arrays["product_ids"],
                tuple(arrays["classes"].tolist()),
                arrays["embeddings"],
                arrays["removed"],
            )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, str(error)) from error
    if delta.generation_id != generation_id:
        raise _damaged(path, f"it belongs to generation {delta.generation_id}")
    return delta


def version(folder: Path, generation_id: str) -> Version:
    """Return the version of the delta of a generation."""
    try:
        status = path_of(folder, generation_id).stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def path_of(folder: Path, generation_id: str) -> Path:
    """Return the file of the delta of a generation, which may not exist."""
    return folder / FOLDER / f"{generation_id}.npz"


def orphans(folder: Path, generation_ids: Iterable[str]) -> list[Path]:
    """Return the deltas of other generations than the given ones."""
    known = set(generation_ids)
    return [path for path in sorted((folder / FOLDER).glob("*.npz")) if path.stem not in known]


def merge(gallery: Gallery, delta: Delta) -> Gallery:
    """Return a gallery with the images of the delta added to, and removed from, those of its generation."""
    kept = ~np.isin(gallery.image_ids, delta.removed)
    image_ids = np.concatenate([gallery.image_ids[kept], delta.image_ids])
    product_ids = np.concatenate([gallery.product_ids[kept], delta.product_ids])
    order, removed, names = np.argsort(image_ids), ImageSet(delta.removed), np.array(delta.classes, dtype=object)
    indexes: dict[Metric, dict[str, SearchIndex]] = {}
    for metric, by_class in gallery.indexes.items():
        indexes[metric] = {}
        for name in sorted({*by_class, *delta.classes}):
            rows = names == name
            parts = [index] if isinstance(index := by_class.get(name), ClassIndex) else []
            if rows.any():
                parts.append(ClassIndex.build(delta.embeddings[rows], delta.image_ids[rows], metric))
            merged = MergedIndex(parts, removed)
            if len(merged):
                indexes[metric][name] = merged
    return Gallery(indexes, image_ids[order], product_ids[order])


def _damaged(path: Path, problem: str) -> GenerationCorrupt:
    return GenerationCorrupt(f"{path} is damaged: {problem}. Run `vsearch index update` to write it again.")
