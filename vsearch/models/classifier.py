"""Classification by the trained heads of a checkpoint."""

import threading
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import CheckpointMismatch
from vsearch.imaging.codec import Picture
from vsearch.models.checkpoint import HEADS_GRAPH, Checkpoint, file_of
from vsearch.models.runtime import Network, Precision
from vsearch.models.trained_heads import HeadPredictions, predictions_from_logits
from vsearch.models.weights import read_arrays, read_packed

Logits = Mapping[str, NDArray[np.float32]]
"""Head -> logits float32 [n, *logits_shape]."""


class Classifier:
    """All networks of a checkpoint with their trained heads; safe to call from several threads.

    Raises:
        CheckpointMismatch: the checkpoint has no trained heads, or weights belong to a different network.
    """

    def __init__(self, checkpoint: Checkpoint, precision: Precision = "f32") -> None:
        if checkpoint.trained_heads is None:
            raise CheckpointMismatch(
                f"The checkpoint {checkpoint.folder} has no trained heads. Train one with a plan that has [[head]] and "
                "[[phase]] tables."
            )
        self.trained_heads, self.specs = checkpoint.trained_heads, checkpoint.specs
        self.networks = checkpoint.backbones
        self._run = {name: _open(checkpoint, name, precision) for name in self.networks}
        self._lock = threading.Lock()

    def predict(self, pictures: Sequence[Picture]) -> HeadPredictions:
        """Classify n images of any size, uint8 RGB [h, w, 3]."""
        framed = self.trained_heads.preprocess(pictures)
        calibrated = {name: self.trained_heads.calibrated(name) for name in self.networks}
        return predictions_from_logits(
            self.specs, calibrated, {name: self.logits(name, framed) for name in self.networks}
        )

    def logits(self, network: str, framed: NDArray[np.uint8]) -> Logits:
        """Return one network's logits for n framed images, without temperature scaling."""
        if not len(framed):
            return {spec.name: np.empty((0, *spec.logits_shape), np.float32) for spec in self.specs}
        with self._lock:
            found = self._run[network](framed)
            if not self.trained_heads.mirrored:
                return found
            mirrored = self._run[network](framed[:, :, ::-1])
        return {name: (found[name] + mirrored[name]) / np.float32(2) for name in found}


def _open(checkpoint: Checkpoint, name: str, precision: Precision) -> Network:
    graph = read_arrays(checkpoint.folder / f"{name}{HEADS_GRAPH}")
    weights = read_packed(file_of(checkpoint.folder, f"{name}.weights.npz"))
    top = read_packed(checkpoint.folder / f"{name}.top.npz")
    return Network(graph, [*weights, *top], name, precision)
