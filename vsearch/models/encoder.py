"""The encoder: images to concatenated blocks, using the networks of a checkpoint and the color histogram."""

import threading
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vsearch.core.vectors import l2_normalize
from vsearch.imaging.codec import Picture
from vsearch.imaging.preprocess import border, fit_square, trim
from vsearch.models.checkpoint import TRUNK_GRAPH, Checkpoint
from vsearch.models.class_heads import COLOR
from vsearch.models.runtime import Network
from vsearch.models.weights import read_arrays, read_packed


class Trunk(NamedTuple):
    """A network without heads: uint8 [n, side, side, 3] -> features by block name, float32 [n, size]."""

    side: int
    run: Network


class Encoder:
    """All networks of a checkpoint and the color histogram.

    Only one thread computes at a time: on the same cores, two images at once are slower than one after the other.

    Raises:
        CheckpointMismatch: weights belong to a different network, or this CPU lacks the precision of the checkpoint.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        retrieval = checkpoint.retrieval
        self.blocks_id, self.block_sizes = checkpoint.blocks_id, retrieval.block_sizes
        self._projections = retrieval.projections
        self._trunks = {name: open_trunk(checkpoint, name) for name in checkpoint.backbones}
        self._lock = threading.Lock()

    def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
        """Encode n images, uint8 RGB [h, w, 3] -> float16 [n, sum(block_sizes)]; safe to call from several threads."""
        if not pictures:
            return np.empty((0, sum(self.block_sizes.values())), np.float16)
        features = raw_features(self._trunks, pictures, self._lock)
        blocks = [projection.project(features[name]) for name, projection in self._projections.items()]
        return np.concatenate(blocks, axis=1).astype(np.float16)


def raw_features(
    trunks: Mapping[str, Trunk], pictures: Sequence[Picture], lock: threading.Lock
) -> dict[str, NDArray[np.float32]]:
    """Compute the features that are projected to blocks, of unit length: block name -> float32 [n, size]."""
    from vsearch.imaging import descriptors  # slow import: scikit-image

    trimmed = [trim(picture) for picture in pictures]
    sides = {trunk.side for trunk in trunks.values()} | {descriptors.COLOR_SIDE}
    fills = [border(picture)[0] for picture in trimmed]
    squares = {side: np.stack(list(map(fit_square, trimmed, repeat(side), fills))) for side in sorted(sides)}
    with lock:
        found = [trunk.run(squares[trunk.side]) for trunk in trunks.values()]
    features = {name: l2_normalize(part) for one in found for name, part in one.items()}
    features[COLOR] = np.stack([descriptors.color_histogram(square) for square in squares[descriptors.COLOR_SIDE]])
    return features


def open_trunk(checkpoint: Checkpoint, name: str) -> Trunk:
    """Return a trunk of a checkpoint, which computes in the precision of the checkpoint."""
    graph = read_arrays(checkpoint.folder / f"{name}{TRUNK_GRAPH}")
    weights = read_packed(checkpoint.folder / f"{name}.weights.npz")
    return Trunk(checkpoint.retrieval.sides[name], Network(graph, weights, name, checkpoint.precision))
