"""Classification by the trained heads of a checkpoint, and their export. TensorFlow is imported on first use."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import CheckpointMismatch
from vsearch.core.files import atomic_folder
from vsearch.imaging.codec import Picture
from vsearch.models.checkpoint import Checkpoint, file_of
from vsearch.models.registry import check_target
from vsearch.models.tensorflow_startup import compile_network, import_tensorflow
from vsearch.models.trained_heads import HeadPredictions, TrainedHeads, predictions_from_logits
from vsearch.models.weights import read_packed, unpack

Logits = Mapping[str, NDArray[np.float32]]
"""Head -> logits float32 [n, *logits_shape]."""

_BATCH = 32


class Classifier:
    """All networks of a checkpoint with their trained heads; safe to call from several threads.

    Opening one takes seconds and imports TensorFlow.

    Raises:
        CheckpointMismatch: the checkpoint has no trained heads, or weights belong to a different network.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        if checkpoint.trained_heads is None:
            raise CheckpointMismatch(
                f"The checkpoint {checkpoint.folder} has no trained heads. Train one with a plan that has [[head]] and "
                "[[phase]] tables."
            )
        import_tensorflow()
        self.trained_heads, self.specs = checkpoint.trained_heads, checkpoint.specs
        self.networks = checkpoint.backbones
        self._run = {name: _compile(load_network(checkpoint, name), self.trained_heads) for name in self.networks}
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
        starts = range(0, len(framed), _BATCH)
        with self._lock:
            batches = [self._run[network](np.ascontiguousarray(framed[start : start + _BATCH])) for start in starts]
        empty = {spec.name: np.empty((0, *spec.logits_shape), np.float32) for spec in self.specs}
        parts = batches or [empty]
        return {name: np.concatenate([np.asarray(part[name], np.float32) for part in parts]) for name in empty}


def _compile(network: Any, heads: TrainedHeads) -> Callable[[NDArray[np.uint8]], Mapping[str, Any]]:
    """Compile a `keras.Model` with trained heads: framed uint8 [n, *frame, 3] -> logits by head."""
    import tensorflow as tf

    def run(framed: Any) -> Mapping[str, Any]:
        pictures = tf.image.resize(framed, heads.shape, antialias=True)
        found: dict[str, Any] = network(pictures, training=False)
        if not heads.mirrored:
            return found
        mirrored = network(pictures[:, :, ::-1], training=False)
        return {name: (found[name] + mirrored[name]) / 2 for name in found}

    return compile_network(run, (*heads.frame, 3))


def top_weights(backbone: Any, network: Any) -> list[Any]:
    """Return the weights of a network except those of its backbone, in Keras order."""
    inside = {id(weight) for weight in backbone.weights}
    return [weight for weight in network.weights if id(weight) not in inside]


def load_network(checkpoint: Checkpoint, name: str) -> Any:
    """Return a network of a checkpoint with its trained heads as a `keras.Model`."""
    from vsearch.models.network import build_network

    heads = checkpoint.trained_heads
    assert heads is not None
    backbone, network = build_network(name, heads.specs, dropout=0.0, shape=heads.shape)
    unpack(backbone.weights, read_packed(file_of(checkpoint.folder, f"{name}.weights.npz")), name)
    top = top_weights(backbone, network)
    unpack(top, read_packed(checkpoint.folder / f"{name}.top.npz"), f"the heads of {name}")
    return network


def export_networks(checkpoint: Checkpoint, target: Path) -> Path:
    """Write a folder with one TensorFlow SavedModel for each backbone, atomically.

    Each takes RGB images float32 0..255 [n, h, w, 3]. It returns the logits of each trained head, or the pooled
    features float32 [n, d] from which blocks are made if the checkpoint has no trained heads.

    Raises:
        CheckpointError: the target exists, or weights belong to a different network.
    """
    check_target(target)
    import_tensorflow()
    from vsearch.models.network import load_trunk

    with atomic_folder(target) as hidden:
        for name in checkpoint.backbones:
            load = load_network if checkpoint.trained_heads else load_trunk
            load(checkpoint, name).export(hidden / name, verbose=False)
    return target
