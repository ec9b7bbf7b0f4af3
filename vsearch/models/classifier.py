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
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.registry import check_target
from vsearch.models.trained_heads import HeadPredictions, HeadSpec, TrainedHeads, predictions_from_logits

Logits = Mapping[str, NDArray[np.float32]]
"""Head -> logits float32 [n, *logits_shape]."""

_BATCH = 32


class Classifier:
    """All networks of a checkpoint with their trained heads; safe to call from several threads.

    Raises:
        CheckpointMismatch: the checkpoint has no trained heads, or the weights are those of another network.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        if checkpoint.trained_heads is None:
            raise CheckpointMismatch(
                f"The checkpoint {checkpoint.folder} has no trained heads. Train one with a plan that has [[head]] and "
                "[[phase]] tables."
            )
        heads = self.trained_heads = checkpoint.trained_heads
        self._networks = {name: compile_network(load_network(checkpoint, name), heads) for name in checkpoint.backbones}
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
        """Classify n images of any size, uint8 RGB [h, w, 3]."""
        framed = self.trained_heads.preprocess(pictures)
        calibrated = {name: self.trained_heads.calibrated(name) for name in self._networks}
        return predictions_from_logits(
            self.specs, calibrated, {name: self.logits(name, framed) for name in self._networks}
        )

    def logits(self, network: str, framed: NDArray[np.uint8]) -> Logits:
        """Return one network's logits of n framed images, without temperature."""
        with self._lock:
            return run_in_batches(self._networks[network], framed, self.specs)


def open_classifier(checkpoint: Checkpoint) -> Classifier:
    """Load the networks of a checkpoint; takes seconds and imports TensorFlow.

    Raises:
        CheckpointMismatch: the checkpoint has no trained heads, or the weights are those of another network.
    """
    from vsearch.models.tensorflow_startup import import_tensorflow

    import_tensorflow()
    return Classifier(checkpoint)


def compile_network(network: Any, heads: TrainedHeads) -> Callable[[NDArray[np.uint8]], Mapping[str, Any]]:
    """Compile a network with trained heads, a `keras.Model`: framed uint8 [n, *frame, 3] -> logits by head."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, *heads.frame, 3), tf.uint8)])  # type: ignore[untyped-decorator]
    def run(framed: Any) -> Any:
        pictures = tf.image.resize(tf.cast(framed, tf.float32), heads.shape, antialias=True)
        found = network(pictures, training=False)
        if not heads.mirrored:
            return found
        mirrored = network(pictures[:, :, ::-1], training=False)
        return {name: (found[name] + mirrored[name]) / 2 for name in found}

    return run  # type: ignore[no-any-return]


def run_in_batches(
    run: Callable[[NDArray[np.uint8]], Mapping[str, Any]], framed: NDArray[np.uint8], specs: Sequence[HeadSpec]
) -> dict[str, NDArray[np.float32]]:
    """Run a compiled network on n framed images; no images give empty arrays."""
    batches = [run(np.ascontiguousarray(framed[start : start + _BATCH])) for start in range(0, len(framed), _BATCH)]
    if not batches:
        return {spec.name: np.empty((0, *spec.logits_shape), np.float32) for spec in specs}
    return {spec.name: np.concatenate([np.asarray(b[spec.name], np.float32) for b in batches]) for spec in specs}


def top_weights(backbone: Any, network: Any) -> list[Any]:
    """Return the weights of a network that are not its backbone's, in Keras' order."""
    inside = {id(weight) for weight in backbone.weights}
    return [weight for weight in network.weights if id(weight) not in inside]


def load_network(checkpoint: Checkpoint, name: str) -> Any:
    """Return a network of a checkpoint with its trained heads, a `keras.Model`."""
    from vsearch.models.network import build_network
    from vsearch.models.weights import read_packed, unpack

    heads = checkpoint.trained_heads
    assert heads is not None
    backbone, network = build_network(name, heads.specs, dropout=0.0, shape=heads.shape)
    unpack(backbone.weights, read_packed(checkpoint.folder / f"{name}.weights.npz"), name)
    top = top_weights(backbone, network)
    unpack(top, read_packed(checkpoint.folder / f"{name}.top.npz"), f"the heads of {name}")
    return network


def export_networks(checkpoint: Checkpoint, target: Path) -> Path:
    """Write a folder with one TensorFlow SavedModel for each backbone, atomically.

    Each takes RGB images float32 0..255 [n, h, w, 3]. It returns the logits of each trained head, or the pooled
    features float32 [n, d] that blocks are made of if the checkpoint has no trained heads.

    Raises:
        CheckpointError: the target exists, or the weights are those of another network.
    """
    check_target(target)
    from vsearch.models.tensorflow_startup import import_tensorflow

    import_tensorflow()
    from vsearch.models.network import load_trunk

    with atomic_folder(target) as hidden:
        for name in checkpoint.backbones:
            load = load_network if checkpoint.trained_heads else load_trunk
            load(checkpoint, name).export(hidden / name, verbose=False)
    return target
