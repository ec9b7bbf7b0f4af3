"""The encoder: images to concatenated blocks, using the networks of a checkpoint and the color histogram."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.vectors import l2_normalize
from vsearch.imaging.codec import Picture
from vsearch.imaging.preprocess import fit_square, trim
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.class_heads import COLOR
from vsearch.models.tensorflow_startup import compile_network, import_tensorflow
from vsearch.models.weights import read_packed, unpack


@dataclass(frozen=True)
class CompiledTrunk:
    """A network ready to run: uint8 [n, side, side, 3] -> features by block name, float32 [n, size]."""

    side: int
    run: Callable[[NDArray[np.uint8]], Mapping[str, Any]]


class Encoder:
    """All networks of a checkpoint and the color histogram; opening one takes seconds and imports TensorFlow.

    Only one thread computes at a time: on the same cores, two images at once are slower than one after the other.

    Raises:
        CheckpointMismatch: weights belong to a different network.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        import_tensorflow()
        retrieval = checkpoint.retrieval
        self.blocks_id, self.block_sizes = checkpoint.blocks_id, retrieval.block_sizes
        self._projections = retrieval.projections
        self._trunks = {
            name: compile_trunk(name, read_packed(checkpoint.folder / f"{name}.weights.npz"), retrieval.sides[name])
            for name in checkpoint.backbones
        }
        self._lock = threading.Lock()

    def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
        """Encode n images, uint8 RGB [h, w, 3] -> float16 [n, sum(block_sizes)]; safe to call from several threads."""
        if not pictures:
            return np.empty((0, sum(self.block_sizes.values())), np.float16)
        features = raw_features(self._trunks, pictures, self._lock)
        blocks = [projection.project(features[name]) for name, projection in self._projections.items()]
        return np.concatenate(blocks, axis=1).astype(np.float16)


def raw_features(
    trunks: Mapping[str, CompiledTrunk], pictures: Sequence[Picture], lock: threading.Lock
) -> dict[str, NDArray[np.float32]]:
    """Compute the features that are projected to blocks, of unit length: block name -> float32 [n, size]."""
    from vsearch.imaging import descriptors  # slow import: scikit-image

    trimmed = [trim(picture) for picture in pictures]
    sides = {trunk.side for trunk in trunks.values()} | {descriptors.COLOR_SIDE}
    squares = {side: np.stack([fit_square(picture, side) for picture in trimmed]) for side in sorted(sides)}
    with lock:
        found = [trunk.run(squares[trunk.side]) for trunk in trunks.values()]
    features = {name: l2_normalize(part.numpy()) for one in found for name, part in one.items()}
    features[COLOR] = np.stack([descriptors.color_histogram(square) for square in squares[descriptors.COLOR_SIDE]])
    return features


def compile_trunk(name: str, weights: Sequence[NDArray[Any]], side: int) -> CompiledTrunk:
    """Return the compiled trunk of a backbone with these weights; see `vsearch.models.network.build_trunk`."""
    from vsearch.models.network import build_trunk

    network, trunk = build_trunk(name, side)
    unpack(network.weights, weights, name)
    return CompiledTrunk(side, compile_network(partial(trunk, training=False), (side, side, 3)))
