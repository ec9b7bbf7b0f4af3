"""The state that the engine serves: a generation with its checkpoint and encoder, and a cache of recent photos."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from vsearch.core.errors import CheckpointMismatch, CheckpointMissing
from vsearch.core.settings import Settings
from vsearch.detection.detector import Detection, ProductDetector
from vsearch.imaging.codec import Picture, crop
from vsearch.imaging.geometry import Box
from vsearch.index.generation import Generation
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.encoder import PREPARING_THREADS, Encoder

OpenEncoder = Callable[[Checkpoint], Encoder]

Blocks = NDArray[np.float16]

MAX_PHOTOS = 256
MAX_REGIONS = 16
"""Maximum number of cached photos, and of regions per photo."""


_threads = ThreadPoolExecutor(PREPARING_THREADS, "prepare")


@dataclass(frozen=True)
class Serving:
    """Everything needed to perform a search; the three belong together."""

    encoder: Encoder
    checkpoint: Checkpoint
    generation: Generation


def prepare(
    generation: Generation, settings: Settings, *, open_encoder: OpenEncoder, old: Serving | None = None
) -> Serving:
    """Load what a generation needs and search it once as a warm-up; an `old` encoder is reused if it fits.

    Raises:
        CheckpointMissing: the generation's checkpoint is not on this machine.
        CheckpointMismatch: the checkpoint computes different blocks than the generation was built with.
    """
    try:
        checkpoint = registry.find(settings, generation.checkpoint_id)
    except CheckpointMissing:
        raise CheckpointMissing(
            f"Generation {generation.generation_id} needs checkpoint {generation.checkpoint_id}, which is not in "
            f"{settings.checkpoints}. Copy it there, or run `vsearch index run`."
        ) from None
    if checkpoint.blocks_id != generation.blocks_id:
        raise CheckpointMismatch(
            f"Generation {generation.generation_id} was built with blocks {generation.blocks_id}, but its checkpoint "
            f"computes {checkpoint.blocks_id}. Run `vsearch index run`."
        )
    reusable = old is not None and old.encoder.blocks_id == checkpoint.blocks_id
    encoder = old.encoder if old is not None and reusable else open_encoder(checkpoint)
    blocks = encoder.blocks([np.full((64, 64, 3), 128, dtype=np.uint8)])
    checkpoint.retrieval.heads.predict(blocks)
    generation.gallery.search(generation.whitening.project(blocks)[0], k=1)
    return Serving(encoder, checkpoint, generation)


@dataclass
class _Photo:
    lock: threading.Lock = field(default_factory=threading.Lock)
    detections: tuple[Detection, ...] | None = None
    blocks: LRUCache[tuple[str, Box | None], Blocks] = field(default_factory=lambda: LRUCache(MAX_REGIONS))


class PhotoCache:
    """Detections and blocks of recent photos, for searches that change only the class, metric or filters.

    Concurrent requests for the same photo wait for each other, so that everything is computed only once.
    """

    def __init__(self, open_detector: Callable[[], ProductDetector | None]) -> None:
        self._open_detector = open_detector
        self._opening = threading.Lock()
        self._photos: LRUCache[bytes, _Photo] = LRUCache(MAX_PHOTOS)
        self._lock = threading.Lock()

    @cached_property
    def _detector(self) -> ProductDetector | None:
        return self._open_detector()

    def detections(self, picture: Picture) -> tuple[Detection, ...]:
        """Return the products detected in a photo, most confident first; empty without a detector."""
        with self._opening:
            detector = self._detector
        if detector is None:
            return ()
        with self._locked(picture) as photo:
            if photo.detections is None:
                photo.detections = detector.find(picture)
            return photo.detections

    def blocks(self, encoder: Encoder, picture: Picture, boxes: Sequence[Box | None]) -> Blocks:
        """Return the blocks of regions of a photo [n, d]; None is the whole photo.

        Regions not yet cached are encoded in one batch.
        """
        with self._locked(picture) as photo:
            keys = {box: (encoder.blocks_id, box) for box in boxes}
            known = {box: photo.blocks[key] for box, key in keys.items() if key in photo.blocks}
            if missing := [box for box in keys if box not in known]:
                regions = _threads.map(
                    lambda box: encoder.prepare(picture if box is None else crop(picture, box)), missing
                )
                for box, blocks in zip(missing, encoder.blocks(list(regions)), strict=True):
                    known[box] = photo.blocks[keys[box]] = blocks
            return np.stack([known[box] for box in boxes])

    def forget(self, picture: Picture) -> None:
        """Remove a photo."""
        with self._lock:
            self._photos.pop(_digest(picture), None)

    @contextmanager
    def _locked(self, picture: Picture) -> Iterator[_Photo]:
        with self._lock:
            photo = self._photos.setdefault(_digest(picture), _Photo())
        with photo.lock:
            yield photo


def _digest(picture: Picture) -> bytes:
    return hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).digest()
