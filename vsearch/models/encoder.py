"""The one door from pictures to numbers. Everything above it works with any `Encoder`, a fake one included."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vsearch.imaging.codec import Picture
from vsearch.models.checkpoint import Checkpoint


class Encoder(Protocol):
    """Turns pictures into joined blocks."""

    @property
    def blocks_id(self) -> str:
        """Hash of all that determines blocks."""

    @property
    def block_sizes(self) -> Mapping[str, int]:
        """Name -> numbers, in the order the blocks are joined."""

    def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
        """Encode n pictures, uint8 RGB [h, w, 3] each -> float16 [n, sum(block_sizes)]. Safe from several threads."""


def open_encoder(checkpoint: Checkpoint) -> Encoder:
    """Load the networks of a checkpoint; takes seconds and imports TensorFlow.

    Raises:
        CheckpointMismatch: the weights are those of another network.
    """
    from vsearch.models.tensorflow_startup import import_tensorflow

    import_tensorflow()
    from vsearch.models.ensemble import Ensemble

    return Ensemble(checkpoint)
