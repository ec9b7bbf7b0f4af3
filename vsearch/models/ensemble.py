"""The encoder that serves and indexes: the checkpoint's networks and the two descriptors, on one decoded picture."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from vsearch.imaging import descriptors
from vsearch.imaging.codec import Picture
from vsearch.imaging.preprocess import fit_square, trim
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.heads import DESCRIPTORS
from vsearch.models.network import build_trunk
from vsearch.models.weights import read_packed, unpack


@dataclass(frozen=True)
class Trunk:
    """A network ready to run: uint8 [n, side, side, 3] -> raw block float32 [n, grid * grid * channels]."""

    side: int
    run: Callable[[NDArray[np.uint8]], Any]


class Ensemble:
    """Every backbone of a checkpoint, its shape and its colour block.

    Each picture is trimmed once and resized once for each input side; scaling is a layer inside each network. Calls
    are serialised: two pictures at once on the same cores are slower than one after the other.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._trunks = {name: _trunk(checkpoint, name) for name in checkpoint.backbones}
        self._lock = threading.Lock()

    @property
    def blocks_id(self) -> str:
        """Hash of all that determines blocks."""
        return self._checkpoint.blocks_id

    @property
    def block_sizes(self) -> Mapping[str, int]:
        """Name -> numbers, in the order the blocks are joined."""
        return self._checkpoint.block_sizes

    def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
        """Encode n pictures -> float16 [n, sum(block_sizes)]."""
        if not pictures:
            return np.empty((0, sum(self.block_sizes.values())), np.float16)
        features = self.features(pictures)
        projections = self._checkpoint.projections
        joined = [projections[name].project(features[name]) for name in self.block_sizes]
        return np.concatenate(joined, axis=1).astype(np.float16)

    def features(self, pictures: Sequence[Picture]) -> dict[str, NDArray[np.float32]]:
        """Return each block before its PCA, float32 [n, size of the raw block]."""
        return raw_features(self._trunks, pictures, self._lock)


def raw_features(
    trunks: Mapping[str, Trunk], pictures: Sequence[Picture], lock: threading.Lock
) -> dict[str, NDArray[np.float32]]:
    """Run trunks and descriptors on pictures: name -> float32 [n, size of the raw block]."""
    trimmed = [trim(picture) for picture in pictures]
    sides = {trunk.side for trunk in trunks.values()} | {descriptors.HOG_SIDE, descriptors.COLOR_SIDE}
    squares = {side: np.stack([fit_square(picture, side) for picture in trimmed]) for side in sorted(sides)}
    found: dict[str, NDArray[np.float32]] = {}
    with lock:
        for name, trunk in trunks.items():
            found[name] = trunk.run(squares[trunk.side]).numpy()
    shape, colour = DESCRIPTORS
    found[shape] = np.stack([descriptors.hog_descriptor(square) for square in squares[descriptors.HOG_SIDE]])
    found[colour] = np.stack([descriptors.color_histogram(square) for square in squares[descriptors.COLOR_SIDE]])
    return found


def compiled_trunk(name: str, grid: int, weights: Sequence[NDArray[Any]], side: int) -> Trunk:
    """Return a backbone's trunk, compiled.

    Args:
        name: of the backbone.
        grid: cells a side that its feature map is pooled to.
        weights: of the backbone.
        side: px that it looks at pictures through.

    Raises:
        CheckpointMismatch: the weights are those of another network.
    """
    network, trunk = build_trunk(name, grid, side)
    unpack(network.weights, weights, name)

    @tf.function(input_signature=[tf.TensorSpec((None, side, side, 3), tf.uint8)])  # type: ignore[untyped-decorator]
    def run(squares: Any) -> Any:
        return trunk(tf.cast(squares, tf.float32), training=False)

    return Trunk(side, run)


def _trunk(checkpoint: Checkpoint, name: str) -> Trunk:
    weights = read_packed(checkpoint.folder / f"{name}.weights.npz")
    return compiled_trunk(name, checkpoint.grid, weights, checkpoint.side(name))
