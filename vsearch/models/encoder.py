"""The encoder: images to concatenated blocks, using the networks of a checkpoint and the color histogram."""

import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vsearch.core.vectors import l2_normalize
from vsearch.imaging.codec import Picture
from vsearch.imaging.preprocess import border, fit_square, trim
from vsearch.models.checkpoint import TRUNK_GRAPH, Checkpoint
from vsearch.models.class_heads import COLOR
from vsearch.models.runtime import Network, cores
from vsearch.models.weights import read_arrays, read_packed

PREPARING_THREADS = 2
"""Threads that prepare images: several regions of a photo, or those of an index while the networks run on others."""


class Trunk(NamedTuple):
    """A network without heads: uint8 [n, side, side, 3] -> features by block name, float32 [n, size]."""

    side: int
    run: Network


class Inputs(NamedTuple):
    """What is computed from one image before the networks run."""

    squares: Mapping[int, Picture]  # by side in pixels
    color: NDArray[np.float32]  # the color histogram, [768]


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

    def prepare(self, picture: Picture) -> Inputs:
        """Return the inputs for an image, uint8 RGB [h, w, 3]; other threads may do this while the networks run."""
        return prepare(self._trunks, picture)

    def blocks(self, pictures: Sequence[Picture | Inputs]) -> NDArray[np.float16]:
        """Encode n images or their inputs -> float16 [n, sum(block_sizes)]; safe to call from several threads."""
        if not pictures:
            return np.empty((0, sum(self.block_sizes.values())), np.float16)
        inputs = [each if isinstance(each, Inputs) else self.prepare(each) for each in pictures]
        with self._lock:
            features = raw_features(self._trunks, inputs)
        blocks = [projection.project(features[name]) for name, projection in self._projections.items()]
        return np.concatenate(blocks, axis=1).astype(np.float16)


def prepare(trunks: Mapping[str, Trunk], picture: Picture) -> Inputs:
    """Return the inputs of networks for an image, uint8 RGB [h, w, 3]."""
    from vsearch.imaging import descriptors  # slow import: scikit-image

    trimmed = trim(picture)
    fill = border(trimmed)[0]
    sides = {trunk.side for trunk in trunks.values()} | {descriptors.COLOR_SIDE}
    squares = {side: fit_square(trimmed, side, fill) for side in sorted(sides)}
    return Inputs(squares, descriptors.color_histogram(squares[descriptors.COLOR_SIDE]))


def raw_features(trunks: Mapping[str, Trunk], inputs: Sequence[Inputs]) -> dict[str, NDArray[np.float32]]:
    """Compute the features that are projected to blocks, of unit length: block name -> float32 [n, size].

    One thread at a time may run the same networks.
    """
    found = [trunk.run(np.stack([each.squares[trunk.side] for each in inputs])) for trunk in trunks.values()]
    features = {name: l2_normalize(part) for one in found for name, part in one.items()}
    features[COLOR] = np.stack([each.color for each in inputs])
    return features


def open_trunk(checkpoint: Checkpoint, name: str) -> Trunk:
    """Return a trunk of a checkpoint, which computes in the precision of the checkpoint."""
    graph = read_arrays(checkpoint.folder / f"{name}{TRUNK_GRAPH}")
    weights = read_packed(checkpoint.folder / f"{name}.weights.npz")
    return Trunk(checkpoint.retrieval.sides[name], Network(graph, weights, name, checkpoint.precision, streams=cores()))
