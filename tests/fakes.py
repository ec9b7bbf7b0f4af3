"""Fakes of slow components (encoder, reader, detector) and of the clock, and a checkpoint without TensorFlow."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from vsearch.core.settings import Metric, Settings
from vsearch.detection.detector import Detection
from vsearch.imaging.codec import Picture, crop
from vsearch.imaging.geometry import Box
from vsearch.index import generation
from vsearch.index.class_index import ClassIndex
from vsearch.index.gallery import Gallery
from vsearch.index.generation import MatchCalibration, Origin
from vsearch.models import checkpoint as checkpoints
from vsearch.models.checkpoint import Checkpoint, Retrieval
from vsearch.models.class_heads import ClassHead, ClassHeads
from vsearch.models.whitening import Projection, fit_differences, fit_whitening
from vsearch.ocr import Reading

BLOCK_SIZES = {"left": 8, "right": 8}


class FakeEncoder:
    """Encodes colors: "left" is a histogram of 8 colors, "right" the brightness and warmth of the four quarters.

    It raises RuntimeError once `fail_after` images have been encoded.
    """

    def __init__(self, checkpoint: Checkpoint, fail_after: int | None = None) -> None:
        self.blocks_id = checkpoint.blocks_id
        self.block_sizes: Mapping[str, int] = BLOCK_SIZES
        self.calls = 0
        self.pictures = 0
        self.fail_after = fail_after

    def prepare(self, picture: Picture) -> Picture:
        return picture

    def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
        self.calls += 1
        self.pictures += len(pictures)
        if self.fail_after is not None and self.pictures > self.fail_after:
            raise RuntimeError("the fake encoder fails")
        rows = [np.concatenate([_color_histogram(picture), _quarters(picture)]) for picture in pictures]
        return np.array(rows, dtype=np.float16).reshape(len(pictures), 16)


class FakeReader:
    """Reads the same number from every photo with a yellow center."""

    number = "12345678"

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint_id = checkpoint.checkpoint_id

    def read(self, picture: Picture, box: Box | None = None) -> Reading | None:
        part = picture if box is None else crop(picture, box)
        red, green, blue = part[part.shape[0] // 2, part.shape[1] // 2].tolist()
        yellow = red > 200 and green > 180 and blue < 90
        return Reading(self.number, 0.97, box or Box(0, 0, 1, 1)) if yellow else None


class FakeDetector:
    """Detects products in the given boxes, with decreasing confidence; calling it opens it."""

    def __init__(self, *boxes: Box) -> None:
        self._boxes = boxes
        self.calls = 0

    def __call__(self, settings: Settings) -> "FakeDetector":
        return self

    def find(self, picture: Picture) -> tuple[Detection, ...]:
        self.calls += 1
        return tuple(Detection(box, 0.99 - 0.01 * number) for number, box in enumerate(self._boxes))


class FrozenClock:
    """A clock that is set manually."""

    def __init__(self, now: datetime = datetime(2026, 11, 21, 1, 30, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def fake_checkpoint(folder: Path, classes: Sequence[str] = ("chair", "lamp"), *, trunk: int = 1) -> Checkpoint:
    """Write a checkpoint for `FakeEncoder` to a new folder; a different `trunk` gives a different `blocks_id`."""
    rng = np.random.default_rng(0)
    blocks = rng.uniform(size=(20 * len(classes), 16)).astype(np.float16)
    same = Projection(np.zeros(8, np.float32), np.eye(8, dtype=np.float32))
    return checkpoints.save(
        folder,
        weights={},
        about={"plan": "fake"},
        retrieval=Retrieval(
            sides={"fake": trunk},
            projections=dict.fromkeys(BLOCK_SIZES, same),
            heads=nearest_mean_heads(blocks, list(classes) * 20),
            whitening=fit_whitening(
                np.concatenate([blocks, blocks + rng.normal(0, 0.05, blocks.shape).astype(np.float16)]),
                np.tile(np.arange(len(blocks)), 2),
                size=16,
            ),
            differences=fit_differences(blocks, np.arange(len(blocks)) // 4, 8),
            background_cohort=blocks[:0],
        ),
    )


def nearest_mean_heads(blocks: NDArray[np.float16], class_names: Sequence[str]) -> ClassHeads:
    """Return heads that predict the class with the nearest mean, without scikit-learn."""
    classes, labels = np.unique(class_names, return_inverse=True)
    heads = {}
    for name, span in {"left": slice(0, 8), "right": slice(8, 16)}.items():
        rows = blocks[:, span].astype(np.float32)
        centers = np.stack([rows[labels == number].mean(axis=0) for number in range(len(classes))])
        sharpness = np.float32(200)
        heads[name] = ClassHead(sharpness * centers.T, -sharpness / 2 * (centers**2).sum(axis=1))
    return ClassHeads(tuple(classes.tolist()), heads, BLOCK_SIZES)


def colored(color: Sequence[float], seed: int = 0, side: int = 32) -> Picture:
    """Return an image of one color (RGB 0..255) with a darker patch placed by `seed`."""
    rng = np.random.default_rng(seed)
    picture = np.full((side, side, 3), color, dtype=np.float64)
    top, left = rng.integers(0, side // 2, size=2)
    picture[top : top + side // 2, left : left + side // 2] *= rng.uniform(0.2, 0.7)
    return (picture + rng.normal(0, 2, picture.shape)).clip(0, 255).astype(np.uint8)


_numbers = itertools.count(1)


def origin(checkpoint: Checkpoint, previous: str | None = None) -> Origin:
    """Return the origin of a generation; each call gives a later id."""
    number = next(_numbers)
    return Origin(
        generation_id=f"20261121T{number:06d}Z-3f9c",
        created_at=datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=number),
        checkpoint_id=checkpoint.checkpoint_id,
        blocks_id=checkpoint.blocks_id,
        fingerprint="",
        previous=previous,
    )


MATCH_CALIBRATION = MatchCalibration(exact=0.4, very_similar=0.3, similar=0.1, true_views=20, synthetic=10)


def gallery_of(vectors: NDArray[Any], image_ids: NDArray[Any], product_ids: Any, classes: Sequence[str]) -> Gallery:
    """Return a gallery of images with these embeddings, ids and classes."""
    names = np.array(classes)
    indexes = {}
    for metric in get_args(Metric):
        members = {name: names == name for name in dict.fromkeys(classes)}
        indexes[metric] = {name: ClassIndex.build(vectors[of], image_ids[of], metric) for name, of in members.items()}
    return Gallery(indexes, image_ids, np.asarray(product_ids, dtype=np.int64))


def write_generation(folder: Path, checkpoint: Checkpoint, gallery: Gallery, previous: str | None = None) -> Path:
    """Write a generation with the whitening of the checkpoint, without publishing it."""
    return generation.write(
        folder,
        origin(checkpoint, previous),
        gallery=gallery,
        whitening=checkpoint.retrieval.whitening,
        match_calibration=MATCH_CALIBRATION,
        background_cohort=np.empty((0, 16), np.float32),
    )


def _color_histogram(picture: Picture) -> NDArray[np.float64]:
    corners = np.array(list(itertools.product((0, 255), repeat=3)))
    step = max(2, min(picture.shape[:2]) // 32)
    pixels = picture[::step, ::step].reshape(-1, 3).astype(np.float64)
    weights = np.exp(-np.linalg.norm(pixels[:, None] - corners, axis=2) / 60)
    return np.asarray((weights / weights.sum(axis=1, keepdims=True)).mean(axis=0))


def _quarters(picture: Picture) -> NDArray[np.float64]:
    halves = [half for rows in np.array_split(picture, 2, axis=0) for half in np.array_split(rows, 2, axis=1)]
    means = [half.mean(axis=(0, 1)) / 255 for half in halves]
    return np.array([(mean.mean(), mean[0] - mean[2]) for mean in means]).ravel()


@dataclass
class EncoderFactory:
    """Creates fake encoders and records them."""

    encoders: list[FakeEncoder] = field(default_factory=list)
    fail_after: int | None = None

    def __call__(self, checkpoint: Checkpoint) -> FakeEncoder:
        self.encoders.append(FakeEncoder(checkpoint, self.fail_after))
        return self.encoders[-1]

    @property
    def pictures(self) -> int:
        """Number of images encoded by all encoders."""
        return sum(encoder.pictures for encoder in self.encoders)
