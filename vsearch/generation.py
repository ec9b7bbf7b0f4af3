"""Generations on disk: written hidden, published by one atomic step, loaded whole, never edited.

    generations/
      CURRENT                       one line: the id that is served; replacing this file is publishing
      20261121T013000Z-3f9c/
        manifest.json               see `vsearch.manifest`
        class-000.cosine.faiss ...  one index for each class and metric
        whitening.npz               blocks -> embeddings
        images.npz                  image_ids, product_ids: int64 [n]
        strangers.npy               float32 [s, d], see `vsearch.strangers`; generations before these have none
      .building-<id>/               not published yet, or left by a killed run

One writer at a time (the index run holds a lock); any number of readers, who need none.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from vsearch.errors import GenerationCorrupt, NoGeneration
from vsearch.files import checksum, replace_text, sync
from vsearch.gallery import Gallery
from vsearch.index import ClassIndex, Vectors
from vsearch.index_types import index_key
from vsearch.manifest import ID_PATTERN, ClassEntry, Likeness, Manifest, Origin, Quality
from vsearch.model.whitening import Whitening

CURRENT = "CURRENT"
MANIFEST = "manifest.json"
WHITENING = "whitening.npz"
IMAGES = "images.npz"
STRANGERS = "strangers.npy"
BUILDING = ".building-"


@dataclass(frozen=True)
class Generation:
    """One published set of class indexes, loaded whole; immutable."""

    manifest: Manifest
    gallery: Gallery
    whitening: Whitening
    strangers: Vectors

    @property
    def generation_id(self) -> str:
        """The folder's name."""
        return self.manifest.generation_id

    @property
    def checkpoint_id(self) -> str:
        """The checkpoint whose heads and encoder belong to this generation."""
        return self.manifest.checkpoint_id

    @property
    def blocks_id(self) -> str:
        """What a query's blocks must be made with."""
        return self.manifest.blocks_id


def write(
    folder: Path,
    origin: Origin,
    *,
    gallery: Gallery,
    whitening: Whitening,
    likeness: Likeness,
    strangers: Vectors,
    quality: Quality | None = None,
) -> Path:
    """Write a generation into a hidden folder of `folder` and return that; nothing is visible yet."""
    target = folder / f"{BUILDING}{origin.generation_id}"
    target.mkdir(parents=True)
    entries = []
    for number, name in enumerate(gallery.classes):
        files = {metric: f"class-{number:03d}.{metric}.faiss" for metric in gallery.indexes}
        for metric, file in files.items():
            gallery.indexes[metric][name].save(target / file)
        count, own = len(gallery.indexes["cosine"][name]), likeness.classes.get(name)
        entries.append(ClassEntry(name=name, count=count, index_key=index_key(count), files=files, thresholds=own))
    np.savez(target / WHITENING, allow_pickle=False, **whitening.arrays())
    np.save(target / STRANGERS, strangers)
    np.savez(target / IMAGES, image_ids=gallery.image_ids, product_ids=gallery.product_ids)
    manifest = Manifest(
        **origin.model_dump(),
        embedding_size=whitening.size,
        metrics=tuple(gallery.indexes),
        thresholds=likeness.all,
        usual_nearness=likeness.usual,
        quality=quality,
        classes=tuple(entries),
        checksums={path.name: checksum(path) for path in sorted(target.iterdir())},
    )
    (target / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf8")
    return target


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of the generation folder `path`.

    Raises:
        GenerationCorrupt: it is missing or cannot be read.
    """
    try:
        return Manifest.model_validate_json((path / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise GenerationCorrupt(_corrupt(path, f"{MANIFEST} is missing")) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or MANIFEST
        raise GenerationCorrupt(_corrupt(path, f"in its manifest, {where}: {first['msg']}")) from None


def load(path: Path) -> Generation:
    """Load the generation folder `path` whole, every file checked against its checksum.

    Raises:
        GenerationCorrupt: a file is missing or differs from what was written.
    """
    manifest = read_manifest(path)
    for name, expected in manifest.checksums.items():
        try:
            same = checksum(path / name) == expected
        except FileNotFoundError:
            raise GenerationCorrupt(_corrupt(path, f"{name} is missing")) from None
        if not same:
            raise GenerationCorrupt(_corrupt(path, f"{name} differs from its checksum"))
    indexes = {
        metric: {entry.name: ClassIndex.load(path / entry.files[metric], metric) for entry in manifest.classes}
        for metric in manifest.metrics
    }
    known = STRANGERS in manifest.checksums
    strangers = np.load(path / STRANGERS) if known else np.empty((0, manifest.embedding_size), np.float32)
    with np.load(path / IMAGES) as images, np.load(path / WHITENING) as arrays:
        gallery = Gallery(indexes, images["image_ids"], images["product_ids"])
        return Generation(manifest, gallery, Whitening.from_arrays(arrays), strangers)


def publish(folder: Path, hidden: Path) -> Path:
    """Make the hidden folder that `write` returned the current generation, and return its new place.

    All bytes reach the disk first. The last step replaces `CURRENT`: a reader sees the old generation or the
    new one, and a kill or power cut at any moment leaves one of the two.
    """
    for path in hidden.iterdir():
        sync(path)
    sync(hidden)
    published = folder / hidden.name.removeprefix(BUILDING)
    hidden.rename(published)
    sync(folder)
    make_current(folder, published.name)
    return published


def current_id(folder: Path) -> str | None:
    """Return the id of the current generation, or None when nothing has been published."""
    try:
        text = (folder / CURRENT).read_text(encoding="utf8", errors="replace").strip()
    except FileNotFoundError:
        return None
    if not re.fullmatch(ID_PATTERN, text):
        raise GenerationCorrupt(
            f"{folder / CURRENT} must hold the id of a generation, but holds {text[:40]!r}; run `vsearch index run`."
        )
    return text


def current(folder: Path) -> Path:
    """Return the folder of the current generation.

    Raises:
        NoGeneration: nothing has been published.
    """
    generation_id = current_id(folder)
    if generation_id is None:
        raise NoGeneration(f"A search needs a published index, but {folder} holds none; run `vsearch index run`.")
    return folder / generation_id


def listed(folder: Path) -> list[str]:
    """Return the ids of the generations on disk, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if re.fullmatch(ID_PATTERN, path.name))


def make_current(folder: Path, generation_id: str) -> None:
    """Serve a generation that was published before, by one atomic step."""
    replace_text(folder / CURRENT, generation_id + "\n")


def _corrupt(path: Path, found: str) -> str:
    return (
        f"Generation {path.name} must be as it was published, but {found}; "
        "run `vsearch index rollback` or `vsearch index run`."
    )
