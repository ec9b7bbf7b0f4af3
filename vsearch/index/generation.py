"""Generations on disk: written to a hidden folder, published atomically, loaded completely, never modified.

    generations/
      CURRENT                       id of the current generation; replacing this file publishes another one
      20261121T013000Z-3f9c/
        manifest.json               see `Manifest`
        class-000.cosine.faiss ...  one index for each class and metric
        whitening.npz               blocks -> embeddings
        images.npz                  image_ids, product_ids: int64 [n]
        background_cohort.npy       float32 [s, d], see `vsearch.search.score_normalization`
      deltas/                       what has changed since they were built, see `vsearch.index.delta`
      .building-<id>/               not yet published, or left behind by a killed run

There is at most one writer at a time (an index run holds a lock) and any number of readers, which need no lock.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Final, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vsearch.core.errors import GenerationCorrupt, NoGeneration
from vsearch.core.files import checksum, replace_text, sync
from vsearch.core.settings import Metric
from vsearch.index import delta as deltas
from vsearch.index.class_index import ClassIndex, Vectors
from vsearch.index.delta import Delta
from vsearch.index.gallery import Gallery
from vsearch.models.whitening import Projection

FORMAT_VERSION: Final = 3
ID_PATTERN = r"^\d{8}T\d{6}Z-[0-9a-f]{4}$"

CURRENT = "CURRENT"
MANIFEST = "manifest.json"
WHITENING = "whitening.npz"
IMAGES = "images.npz"
BACKGROUND_COHORT = "background_cohort.npy"
PREDICTED_ATTRIBUTES = "predicted_attributes.json"
BUILDING = ".building-"

MatchLabel = Literal["exact", "very similar", "similar", "nothing close"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


SAME_IMAGE: Final = 0.98
"""Cosine from which a photo counts as a copy of a catalog image: an exact match, even among close variants."""


class MatchCalibration(_Record):
    """The lowest margin of each match label (`vsearch.search.score_normalization`), measured on photos of one catalog.

    `true_views` and `synthetic` are the numbers of photos; without any, the thresholds are defaults.
    """

    exact: float = 0.5
    very_similar: float = 0.35
    similar: float = 0.2
    true_views: int = 0
    synthetic: int = 0

    def match_label(self, margin: float, score: float) -> MatchLabel:
        """Return the label for a margin and a cosine score."""
        if margin >= self.exact or score >= SAME_IMAGE:
            return "exact"
        if margin >= self.very_similar:
            return "very similar"
        return "similar" if margin >= self.similar else "nothing close"

    def text(self) -> str:
        """Return one or two sentences."""
        photos = self.true_views + self.synthetic
        if not photos:
            return "Match labels are not calibrated, since the catalog has too few products."
        views = f"{self.true_views} pictures of products that have several, and {self.synthetic} synthetic photos"
        more = " Several pictures of each product would make them more reliable." if self.synthetic else ""
        return f"Match labels were calibrated on {photos} photos: {views}.{more}"


UNCALIBRATED = MatchCalibration()


class Quality(_Record):
    """Search quality on photos of the generation's own products, searched as shoppers' photos are."""

    photos: int
    hit_at_1: float  # share whose product is ranked first
    right_score: float  # median score of the first results that are right; 0 if none is


class Origin(_Record):
    """The inputs and predecessors of a generation."""

    generation_id: str = Field(pattern=ID_PATTERN)
    created_at: datetime
    checkpoint_id: str
    blocks_id: str
    fingerprint: str  # hash of all inputs; if unchanged, an index run does nothing
    previous: str | None = Field(default=None, pattern=ID_PATTERN)  # previously current; a rollback returns to it
    model_before: str | None = Field(default=None, pattern=ID_PATTERN)
    """The last generation of the previous model; undoing a promotion returns to it."""
    labels: int = 0
    """Id of the last label of reviewed photos that was used; 0 if none was."""


class ClassEntry(_Record):
    """One class of a generation."""

    name: str
    count: int  # of images
    index_key: str  # FAISS factory string
    files: dict[Metric, str]


class Manifest(Origin):
    """A parsed `manifest.json`; `checksums` maps each other file in the folder to its SHA-256."""

    format_version: Literal[3] = FORMAT_VERSION
    embedding_size: int
    metrics: tuple[Metric, ...]
    match_calibration: MatchCalibration = UNCALIBRATED
    quality: Quality | None = None
    classes: tuple[ClassEntry, ...]
    checksums: dict[str, str]


class PredictedAttribute(NamedTuple):
    """A value of an attribute that a product lacks, predicted from its image."""

    product_id: int
    name: str
    value: str
    probability: float


@dataclass(frozen=True)
class Generation:
    """A published set of class indexes, fully loaded; immutable."""

    manifest: Manifest
    gallery: Gallery
    whitening: Projection
    background_cohort: Vectors
    predicted_attributes: tuple[PredictedAttribute, ...] = ()
    delta: Delta | None = None

    @property
    def version(self) -> str:
        """The folder's name, and when the delta was created, if there is one."""
        return f"{self.generation_id} {self.delta.created_at}" if self.delta else self.generation_id

    def with_delta(self, delta: Delta | None) -> "Generation":
        """Return a generation without a delta with this one, if it is not None."""
        return replace(self, gallery=deltas.merge(self.gallery, delta), delta=delta) if delta else self

    @property
    def generation_id(self) -> str:
        """The folder's name."""
        return self.manifest.generation_id

    @property
    def checkpoint_id(self) -> str:
        """The checkpoint that the generation was made with."""
        return self.manifest.checkpoint_id

    @property
    def blocks_id(self) -> str:
        """Identifies the encoder to use for queries."""
        return self.manifest.blocks_id


def new_id(now: datetime) -> str:
    """Return an id that sorts by time, such as 20261121T013000Z-3f9c; `now` must have a time zone."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{token_hex(2)}"


def write(
    folder: Path,
    origin: Origin,
    *,
    gallery: Gallery,
    whitening: Projection,
    background_cohort: Vectors,
    match_calibration: MatchCalibration = UNCALIBRATED,
    predicted_attributes: Sequence[PredictedAttribute] = (),
) -> Path:
    """Write a generation to a hidden folder inside `folder` and return it; readers do not see it yet."""
    target = folder / f"{BUILDING}{origin.generation_id}"
    target.mkdir(parents=True)
    entries = []
    for number, name in enumerate(gallery.classes):
        files = {metric: f"class-{number:03d}.{metric}.faiss" for metric in gallery.indexes}
        for metric, file in files.items():
            _own_index(gallery, metric, name).save(target / file)
        index = _own_index(gallery, "cosine", name)
        entries.append(ClassEntry(name=name, count=len(index), index_key=index.key, files=files))
    np.savez(target / WHITENING, allow_pickle=False, **whitening.arrays())
    np.save(target / BACKGROUND_COHORT, background_cohort)
    np.savez(target / IMAGES, image_ids=gallery.image_ids, product_ids=gallery.product_ids)
    if predicted_attributes:
        (target / PREDICTED_ATTRIBUTES).write_text(json.dumps(predicted_attributes), encoding="utf8")
    manifest = Manifest(
        **origin.model_dump(),
        embedding_size=whitening.size,
        metrics=tuple(gallery.indexes),
        match_calibration=match_calibration,
        classes=tuple(entries),
        checksums={path.name: checksum(path) for path in sorted(target.iterdir())},
    )
    _write_manifest(target, manifest)
    return target


def _own_index(gallery: Gallery, metric: Metric, name: str) -> ClassIndex:
    index = gallery.indexes[metric][name]
    assert isinstance(index, ClassIndex), "a gallery with a delta is not written"
    return index


def add_calibration(hidden: Path, match_calibration: MatchCalibration, quality: Quality | None) -> Manifest:
    """Record in a hidden folder what was measured by searching its generation, and return the new manifest."""
    changes = {"match_calibration": match_calibration, "quality": quality}
    manifest = read_manifest(hidden).model_copy(update=changes)
    _write_manifest(hidden, manifest)
    return manifest


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of a generation; `GenerationCorrupt` if it is missing, invalid or in a different format."""
    try:
        content = json.loads((path / MANIFEST).read_bytes())
        version = content.get("format_version") if isinstance(content, dict) else None
        if version not in (None, FORMAT_VERSION):
            raise GenerationCorrupt(
                f"Generation {path.name} has format version {version}, but this version of vsearch reads "
                f"{FORMAT_VERSION}. Run `vsearch index run`."
            )
        return Manifest.model_validate(content)
    except FileNotFoundError:
        raise _damaged(path, f"{MANIFEST} is missing") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _damaged(path, f"{MANIFEST}: {where}: {first['msg']}") from None
    except ValueError as error:
        raise _damaged(path, f"{MANIFEST}: {error}") from None


def load(path: Path) -> Generation:
    """Load a generation folder; `GenerationCorrupt` if a file is missing or does not match its checksum."""
    manifest = read_manifest(path)
    for name, expected in manifest.checksums.items():
        try:
            matches = checksum(path / name) == expected
        except FileNotFoundError:
            raise _damaged(path, f"{name} is missing") from None
        if not matches:
            raise _damaged(path, f"{name} does not match its checksum")
    indexes = {
        metric: {entry.name: ClassIndex.load(path / entry.files[metric], metric) for entry in manifest.classes}
        for metric in manifest.metrics
    }
    with np.load(path / IMAGES) as images, np.load(path / WHITENING) as arrays:
        gallery = Gallery(indexes, images["image_ids"], images["product_ids"])
        whitening, cohort = Projection.from_arrays(arrays), np.load(path / BACKGROUND_COHORT)
    predicted: tuple[PredictedAttribute, ...] = ()
    if PREDICTED_ATTRIBUTES in manifest.checksums:
        rows = json.loads((path / PREDICTED_ATTRIBUTES).read_text(encoding="utf8"))
        predicted = tuple(PredictedAttribute(*row) for row in rows)
    return Generation(manifest, gallery, whitening, cohort, predicted)


def publish(folder: Path, hidden: Path) -> Path:
    """Publish the hidden folder returned by `write` as the current generation, and return its new path.

    Everything is synced to disk first; the last step replaces `CURRENT`. A reader sees either the old generation or
    the new one, even after a crash or power cut.
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
    """Return the id of the current generation, or None if nothing has been published."""
    try:
        text = (folder / CURRENT).read_text(encoding="utf8", errors="replace").strip()
    except FileNotFoundError:
        return None
    if not re.fullmatch(ID_PATTERN, text):
        raise GenerationCorrupt(
            f"{folder / CURRENT} contains {text[:40]!r}, which is not a generation id. Run `vsearch index run`."
        )
    return text


def current(folder: Path) -> Path:
    """Return the folder of the current generation; `NoGeneration` if nothing has been published."""
    generation_id = current_id(folder)
    if generation_id is None:
        raise NoGeneration(f"No index has been published in {folder}. Run `vsearch index run`.")
    return folder / generation_id


def generation_ids(folder: Path) -> list[str]:
    """Return the ids of the generations on disk, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if re.fullmatch(ID_PATTERN, path.name))


def make_current(folder: Path, generation_id: str) -> None:
    """Make a generation on disk the current one."""
    replace_text(folder / CURRENT, generation_id + "\n")


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf8")


def _damaged(path: Path, problem: str) -> GenerationCorrupt:
    return GenerationCorrupt(
        f"Generation {path.name} is damaged: {problem}. Run `vsearch index rollback` or `vsearch index run`."
    )
