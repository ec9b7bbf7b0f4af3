from pathlib import Path

import numpy as np
import pytest

from vsearch.core.errors import CheckpointError
from vsearch.models import checkpoint as checkpoints
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.trained_heads import HeadSpec, TrainedHeads

pytestmark = pytest.mark.keras


def untrained_classifier(folder: Path) -> Checkpoint:
    from vsearch.models.classifier import top_weights
    from vsearch.models.network import build_network
    from vsearch.models.weights import pack

    heads = (HeadSpec("color", "softmax", ("blue", "red")),)
    backbone, network = build_network("pocket_strip", heads, dropout=0.0, shape=(32, 32))
    weights = pack(backbone.weights, folder / "weights.npz")
    top = pack(top_weights(backbone, network), folder / "top.npz")
    return checkpoints.save(
        folder / "classifier",
        weights={"pocket_strip": weights},
        about={"plan": {"name": "colors"}},
        trained_heads=TrainedHeads(heads, "stretch", (32, 32), (32, 32)),
        tops={"pocket_strip": top},
    )


def test_exported_networks_give_the_same_logits(tmp_path: Path) -> None:
    import tensorflow as tf

    from vsearch.models.classifier import Classifier, export_networks

    checkpoint = untrained_classifier(tmp_path)
    target = export_networks(checkpoint, tmp_path / "networks")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    ours = Classifier(checkpoint).logits("pocket_strip", pictures)["color"]
    network = tf.saved_model.load(target / "pocket_strip")
    theirs = network.serve(tf.cast(pictures, tf.float32))["color"]
    np.testing.assert_allclose(theirs, ours, atol=1e-4)
    with pytest.raises(CheckpointError, match="exists"):
        export_networks(checkpoint, target)
