"""What answers searches: a generation with the checkpoint and the encoder that belong to it, made ready."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vsearch.encoder import Encoder
from vsearch.errors import CheckpointMismatch, CheckpointMissing
from vsearch.generation import Generation
from vsearch.images import Box, Picture, crop
from vsearch.model import checkpoint as checkpoints
from vsearch.model.checkpoint import Checkpoint
from vsearch.settings import Settings

OpenEncoder = Callable[[Checkpoint], Encoder]

Blocks = NDArray[np.float16]


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


class EncodedPictures:
    """Remembers the blocks of the latest pictures: another class, metric or filter does not encode again.

    Args:
        size: pictures remembered; the one not asked for longest makes room.
    """

    def __init__(self, size: int = 256) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._entries: OrderedDict[object, Blocks] = OrderedDict()

    def blocks(self, encoder: Encoder, picture: Picture, box: Box | None) -> Blocks:
        """Return the blocks [1, d] of a picture, or of the part of it in `box`; encoded now if need be."""
        key = (encoder.blocks_id, hashlib.sha256(picture.tobytes()).digest(), picture.shape, box)
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
        blocks = encoder.blocks([picture if box is None else crop(picture, box)])
        with self._lock:
            self._entries[key] = blocks
            if len(self._entries) > self._size:
                self._entries.popitem(last=False)
        return blocks
