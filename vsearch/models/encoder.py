"""The encoder: images to concatenated blocks, using the networks of a checkpoint and two descriptors."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.imaging.codec import Picture
from vsearch.imaging.preprocess import fit_square, trim
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.class_heads import DESCRIPTORS
from vsearch.models.tensorflow_startup import import_tensorflow
from vsearch.models.weights import read_packed, unpack


@dataclass(frozen=True)
class CompiledTrunk:
    """A network ready to run: uint8 [n, side, side, 3] -> features float32 [n, grid * grid * channels]."""

    side: int
    run: Callable[[NDArray[np.uint8]], Any]


class Encoder:
    """All networks of a checkpoint and the descriptors; opening one takes seconds and imports TensorFlow.

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
            name: compile_trunk(
                name, retrieval.grid, read_packed(checkpoint.folder / f"{name}.weights.npz"), retrieval.sides[name]
            )
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
    """Compute the network and descriptor features that are projected to blocks: name -> float32 [n, size]."""
    from vsearch.imaging import descriptors  # slow import: scikit-image

    trimmed = [trim(picture) for picture in pictures]
    sides = {trunk.side for trunk in trunks.values()} | {descriptors.HOG_SIDE, descriptors.COLOR_SIDE}
    squares = {side: np.stack([fit_square(picture, side) for picture in trimmed]) for side in sorted(sides)}
    with lock:
        features: dict[str, NDArray[np.float32]] = {
            name: trunk.run(squares[trunk.side]).numpy() for name, trunk in trunks.items()
        }
    shape, color = DESCRIPTORS
    features[shape] = np.stack([descriptors.hog_descriptor(square) for square in squares[descriptors.HOG_SIDE]])
    features[color] = np.stack([descriptors.color_histogram(square) for square in squares[descriptors.COLOR_SIDE]])
    return features


def compile_trunk(name: str, grid: int, weights: Sequence[NDArray[Any]], side: int) -> CompiledTrunk:
    """Return the compiled trunk of a backbone with these weights; see `vsearch.models.network.build_trunk`."""
    import tensorflow as tf

    from vsearch.models.network import build_trunk

    network, trunk = build_trunk(name, grid, side)
    unpack(network.weights, weights, name)

    @tf.function(input_signature=[tf.TensorSpec((None, side, side, 3), tf.uint8)])  # type: ignore[untyped-decorator]
    def run(squares: Any) -> Any:
        return trunk(tf.cast(squares, tf.float32), training=False)

    return CompiledTrunk(side, run)
