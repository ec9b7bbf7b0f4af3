"""The encoder interface: images to joined blocks."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vsearch.imaging.codec import Picture
from vsearch.models.checkpoint import Checkpoint


class Encoder(Protocol):
    """Computes the joined blocks of images."""

    @property
    def blocks_id(self) -> str:
        """Hash of what determines blocks."""

    @property
    def block_sizes(self) -> Mapping[str, int]:
        """Name -> size of each block, in the order they are joined."""

    def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
        """Encode n images, uint8 RGB [h, w, 3] -> float16 [n, sum(block_sizes)]; safe to call from several threads."""


def open_encoder(checkpoint: Checkpoint) -> Encoder:
    """Load the networks of a checkpoint; takes seconds and imports TensorFlow.

    Raises:
        CheckpointMismatch: the weights are those of another network.
    """
    from vsearch.models.tensorflow_startup import import_tensorflow

    import_tensorflow()
    from vsearch.models.ensemble import Ensemble

    return Ensemble(checkpoint)
