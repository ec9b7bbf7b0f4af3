"""Judges pictures by the heads a checkpoint was trained with. TensorFlow is imported when one is opened."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import CheckpointMismatch
from vsearch.imaging.codec import Picture
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.trained_heads import HeadPredictions, HeadSpec, TrainedHeads, predictions_from_logits

Logits = Mapping[str, NDArray[np.float32]]
"""Head -> logits float32 [n, *logits_shape]."""

_BATCH = 32


class Classifier:
    """All networks of a checkpoint with their trained heads. Calls are serialised, as those of `Ensemble` are.

    Raises:
        CheckpointMismatch: the checkpoint has no trained heads, or weights are those of another network.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        if checkpoint.trained_heads is None:
            raise CheckpointMismatch(
                f"To judge needs a checkpoint with trained heads, but {checkpoint.folder} has none; train one by a "
                "plan with [[head]] and [[phase]]."
            )
        self.trained_heads: TrainedHeads = checkpoint.trained_heads
        self._networks = {name: _network(checkpoint, checkpoint.trained_heads, name) for name in checkpoint.backbones}
        self._lock = threading.Lock()

    @property
    def specs(self) -> tuple[HeadSpec, ...]:
        """The heads, in the plan's order."""
        return self.trained_heads.specs

    @property
    def networks(self) -> tuple[str, ...]:
        """Their names, in the checkpoint's order."""
        return tuple(self._networks)

    def predict(self, pictures: Sequence[Picture]) -> HeadPredictions:
        """Judge n pictures, uint8 RGB [h, w, 3] each, of any size."""
        return self.judge(self.trained_heads.framed(pictures))

    def judge(self, framed: NDArray[np.uint8]) -> HeadPredictions:
        """Judge n pictures brought to the frame, uint8 [n, height, width, 3]."""
        calibrated = {name: self.trained_heads.calibrated(name) for name in self._networks}
        return predictions_from_logits(
            self.specs, calibrated, {name: self.logits(name, framed) for name in self._networks}
        )

    def logits(self, network: str, framed: NDArray[np.uint8]) -> Logits:
        """Return one network's logits of n framed pictures, before any temperature."""
        with self._lock:
            return run_in_batches(self._networks[network], framed, self.specs)


def open_classifier(checkpoint: Checkpoint) -> Classifier:
    """Load the networks of a checkpoint; takes seconds and imports TensorFlow.

    Raises:
        CheckpointMismatch: the checkpoint has no trained heads, or weights are those of another network.
    """
    from vsearch.models.tensorflow_startup import import_tensorflow

    import_tensorflow()
    return Classifier(checkpoint)


def compiled(network: Any, trained: TrainedHeads) -> Callable[[NDArray[np.uint8]], Mapping[str, Any]]:
    """Return a compiled function: framed uint8 [n, *frame, 3] -> logits by head, both sides' mean where mirrored.

    Args:
        network: a `keras.Model`: float RGB 0..255 [n, *shape, 3] -> logits by head.
        trained: says frame and shape.
    """
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, *trained.frame, 3), tf.uint8)])  # type: ignore[untyped-decorator]
    def run(framed: Any) -> Any:
        pictures = tf.image.resize(tf.cast(framed, tf.float32), trained.shape, antialias=True)
        found = network(pictures, training=False)
        if not trained.mirrored:
            return found
        other = network(pictures[:, :, ::-1], training=False)
        return {name: (found[name] + other[name]) / 2 for name in found}

    return run  # type: ignore[no-any-return]


def run_in_batches(
    run: Callable[[NDArray[np.uint8]], Mapping[str, Any]], framed: NDArray[np.uint8], specs: Sequence[HeadSpec]
) -> dict[str, NDArray[np.float32]]:
    """Run a compiled network on n framed pictures; heads without a picture give empty arrays."""
    parts: dict[str, list[NDArray[np.float32]]] = {spec.name: [] for spec in specs}
    for start in range(0, len(framed), _BATCH):
        found = run(np.ascontiguousarray(framed[start : start + _BATCH]))
        for name, rows in parts.items():
            rows.append(np.asarray(found[name], np.float32))
    nothing = {spec.name: np.empty((0, *spec.logits_shape), np.float32) for spec in specs}
    return {name: np.concatenate(rows) if rows else nothing[name] for name, rows in parts.items()}


def top_weights(backbone: Any, network: Any) -> list[Any]:
    """Return the weights of a network that are not its backbone's, in the order Keras lists them."""
    inside = {id(weight) for weight in backbone.weights}
    return [weight for weight in network.weights if id(weight) not in inside]


def _network(
    checkpoint: Checkpoint, trained: TrainedHeads, name: str
) -> Callable[[NDArray[np.uint8]], Mapping[str, Any]]:
    from vsearch.models.network import build_network
    from vsearch.models.weights import read_packed, unpack

    backbone, network = build_network(name, trained.specs, dropout=0.0, shape=trained.shape)
    unpack(backbone.weights, read_packed(checkpoint.folder / f"{name}.weights.npz"), name)
    top = top_weights(backbone, network)
    unpack(top, read_packed(checkpoint.folder / f"{name}.top.npz"), f"the heads of {name}")
    return compiled(network, trained)
