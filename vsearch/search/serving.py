"""What answers searches: a generation with the checkpoint and the encoder that belong to it, made ready.

And what is remembered of the latest photos: their blocks, and where products stand in them.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import CheckpointMismatch, CheckpointMissing, GenerationCorrupt
from vsearch.core.files import listing
from vsearch.core.settings import Settings
from vsearch.detection.detector import Detection, Detector, OpenDetector
from vsearch.imaging.codec import Box, Picture, crop
from vsearch.index.generation import Generation, read_manifest
from vsearch.models import checkpoint as checkpoints
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.encoder import Encoder

OpenEncoder = Callable[[Checkpoint], Encoder]

Blocks = NDArray[np.float16]
K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(frozen=True)
class Serving:
    """All that answers a search; the three belong together."""

    encoder: Encoder
    checkpoint: Checkpoint
    generation: Generation


def prepare(
    generation: Generation, settings: Settings, *, open_encoder: OpenEncoder, old: Serving | None = None
) -> Serving:
    """Load what belongs to a generation and search it once, so that the first shopper does not wait.

    Args:
        generation: loaded whole.
        settings: say where checkpoints are.
        open_encoder: makes the encoder of a checkpoint.
        old: what is served now; its encoder is kept when it makes the same blocks.

    Raises:
        CheckpointMissing: the generation's checkpoint is not on this machine.
        CheckpointMismatch: it is not the one that the generation was made with.
    """
    checkpoint = find_checkpoint(settings, generation.checkpoint_id)
    if checkpoint.blocks_id != generation.blocks_id:
        raise CheckpointMismatch(
            f"Generation {generation.generation_id} must be searched with blocks {generation.blocks_id}, "
            f"but its checkpoint makes {checkpoint.blocks_id}; run `vsearch index run`."
        )
    same_blocks = old is not None and old.encoder.blocks_id == checkpoint.blocks_id
    encoder = old.encoder if old is not None and same_blocks else open_encoder(checkpoint)
    blocks = encoder.blocks([np.full((64, 64, 3), 128, dtype=np.uint8)])
    checkpoint.heads.predict(blocks)
    generation.gallery.search(generation.whitening.project(blocks)[0], k=1)
    return Serving(encoder, checkpoint, generation)


def find_checkpoint(settings: Settings, checkpoint_id: str) -> Checkpoint:
    """Load a checkpoint by its id: one of the shop's own, or the bundled one.

    Raises:
        CheckpointMissing: there is none of that id.
    """
    own = settings.checkpoints / checkpoint_id
    for folder in (own, checkpoints.bundled()):
        if folder.is_dir():
            checkpoint = checkpoints.load(folder)
            if checkpoint.checkpoint_id == checkpoint_id:
                return checkpoint
    raise CheckpointMissing(
        f"The index needs checkpoint {checkpoint_id}, but {own} does not hold it; "
        "copy it there or run `vsearch index run`."
    )


def files_of(path: Path, settings: Settings) -> Hashable:
    """Return what changes when a generation folder or the folder of its checkpoint does; reads no large file."""
    try:
        checkpoint_id = read_manifest(path).checkpoint_id
    except (GenerationCorrupt, OSError):
        checkpoint_id = ""
    folders = [path, *([settings.checkpoints / checkpoint_id] if checkpoint_id else [])]
    return path.name, tuple(file for folder in folders for file in listing(folder))


class Latest(Generic[T]):
    """Remembers what was made last; the one not asked for longest makes room. Safe from several threads.

    What several threads ask for at once is made by one of them, while the others wait for it.

    Args:
        size: how many.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, T] = OrderedDict()
        self._in_flight: dict[Hashable, Future[T]] = {}

    def get(self, keys: Sequence[K], make: Callable[[list[K]], Iterable[T]]) -> list[T]:
        """Return the value of each key.

        Args:
            keys: may repeat.
            make: makes the values of distinct keys that are neither known nor being made, all in one call. Its error
                is raised here, and to all who wait for these values; nothing of it is remembered.
        """
        with self._lock:
            found: dict[K, T | Future[T]] = {}
            claimed: dict[K, Future[T]] = {}
            for key in dict.fromkeys(keys):
                if key in self._entries:
                    self._entries.move_to_end(key)
                    found[key] = self._entries[key]
                elif key in self._in_flight:
                    found[key] = self._in_flight[key]
                else:
                    found[key] = claimed[key] = self._in_flight[key] = Future()
        if claimed:
            self._make(claimed, make)
        # Each thread makes what it claimed before it waits, so that no two wait for each other.
        values = {key: one.result() if isinstance(one, Future) else one for key, one in found.items()}
        return [values[key] for key in keys]

    def _make(self, claimed: dict[K, Future[T]], make: Callable[[list[K]], Iterable[T]]) -> None:
        try:
            made = dict(zip(claimed, make(list(claimed)), strict=True))
        except BaseException as error:
            self._remember(claimed, {})
            for future in claimed.values():
                future.set_exception(error)
            raise
        self._remember(claimed, made)
        for key, future in claimed.items():
            future.set_result(made[key])

    def _remember(self, claimed: dict[K, Future[T]], made: dict[K, T]) -> None:
        with self._lock:
            for key, future in claimed.items():
                if self._in_flight.get(key) is future:  # else it was forgotten meanwhile
                    del self._in_flight[key]
                    if key in made:
                        self._entries[key] = made[key]
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def forget(self, matches: Callable[[Any], bool]) -> None:
        """Forget what is remembered, or is being made, under the keys that match."""
        with self._lock:
            for known in (self._entries, self._in_flight):
                for key in [key for key in known if matches(key)]:
                    del known[key]


def fingerprint(picture: Picture) -> bytes:
    """Return what tells a picture from any other."""
    return hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).digest()


class DetectionCache:
    """Remembers where a finder saw products in the latest pictures; it is opened by the first one asked about.

    Args:
        open_finder: makes the finder, or returns None where there is none.
        size: pictures remembered.
    """

    def __init__(self, open_detector: OpenDetector, size: int = 256) -> None:
        self._open_finder = open_detector
        self._known: Latest[tuple[Detection, ...]] = Latest(size)
        self._opening = threading.Lock()
        self._finder: Detector | None = None
        self._asked = False

    def of(self, picture: Picture) -> tuple[Detection, ...]:
        """Return the parts of a picture in which products may stand, surest first; none where there is no finder."""
        with self._opening:
            if not self._asked:
                self._finder, self._asked = self._open_finder(), True
        if self._finder is None:
            return ()
        finder = self._finder
        return self._known.get([fingerprint(picture)], lambda _: [finder.find(picture)])[0]

    def forget(self, picture: Picture) -> None:
        """Forget a picture."""
        name = fingerprint(picture)
        self._known.forget(lambda key: key == name)


class BlockCache:
    """Remembers the blocks of the latest pictures and parts: another class, metric or filter does not encode again.

    A part is encoded as it is and mirrored: a shopper may stand on the other side of a product than the shop's camera.

    Args:
        size: how many.
    """

    def __init__(self, size: int = 512) -> None:
        self._known: Latest[Blocks] = Latest(size)

    def blocks(self, encoder: Encoder, picture: Picture, boxes: Sequence[Box | None]) -> Blocks:
        """Return blocks [n, 2, d] of n parts of a picture, None being all of it, each as it is and mirrored.

        Those unknown are encoded at once.
        """
        name = fingerprint(picture)

        def encode(keys: list[tuple[str, bytes, Box | None]]) -> Blocks:
            cut = [picture if box is None else crop(picture, box) for _, _, box in keys]
            sides = [side for part in cut for side in (part, np.ascontiguousarray(part[:, ::-1]))]
            found = encoder.blocks(sides)
            return found.reshape(len(keys), 2, found.shape[1])

        return np.stack(self._known.get([(encoder.blocks_id, name, box) for box in boxes], encode))

    def forget(self, picture: Picture) -> None:
        """Forget a picture and all its parts."""
        name = fingerprint(picture)
        self._known.forget(lambda key: key[1] == name)
