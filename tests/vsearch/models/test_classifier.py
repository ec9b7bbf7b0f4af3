from pathlib import Path

import numpy as np
import pytest

from vsearch.core.errors import CheckpointError, CheckpointMismatch
from vsearch.models import checkpoint as checkpoints
from vsearch.models.checkpoint import HEADS_GRAPH, Checkpoint
from vsearch.models.trained_heads import HeadSpec, TrainedHeads

pytestmark = pytest.mark.keras


def untrained_classifier(folder: Path, frame: tuple[int, int] = (32, 32), *, mirrored: bool = False) -> Checkpoint:
    from vsearch.models.network import build_network, heads_graph, top_weights
    from vsearch.models.weights import pack

    heads = (HeadSpec("color", "softmax", ("blue", "red")),)
    backbone, network = build_network("pocket_strip", heads, dropout=0.0, shape=(32, 32))
    weights = pack(backbone.weights, folder / "weights.npz")
    top = pack(top_weights(backbone, network), folder / "top.npz")
    trained = TrainedHeads(heads, "stretch", frame, (32, 32), mirrored)
    return checkpoints.save(
        folder / "classifier",
        weights={"pocket_strip": weights},
        about={"plan": {"name": "colors"}},
        trained_heads=trained,
        tops={"pocket_strip": top},
        graphs={f"pocket_strip{HEADS_GRAPH}": heads_graph("pocket_strip", trained)},
    )


def test_logits_are_those_of_the_keras_network(tmp_path: Path) -> None:
    """Images larger than the input of the network are resized as in training."""
    import tensorflow as tf

    from vsearch.models.classifier import Classifier
    from vsearch.models.network import load_network

    checkpoint = untrained_classifier(tmp_path, (40, 51), mirrored=True)
    pictures = np.random.default_rng(0).integers(0, 256, (11, 40, 51, 3)).astype(np.uint8)
    network = load_network(checkpoint, "pocket_strip")
    resized = tf.image.resize(pictures, (32, 32), antialias=True)
    expected = (network(resized)["color"] + network(resized[:, :, ::-1])["color"]) / 2
    classifier = Classifier(checkpoint)
    np.testing.assert_allclose(classifier.logits("pocket_strip", pictures)["color"], expected, atol=1e-4)
    assert classifier.logits("pocket_strip", pictures[:0])["color"].shape == (0, 2)


@pytest.mark.parametrize("role", ["reader", "detector"])
def test_the_bundled_heads_are_the_same_in_keras(role: str) -> None:
    from vsearch.models.classifier import Classifier
    from vsearch.models.network import load_network

    checkpoint = checkpoints.load(checkpoints.bundled().with_name(role))
    classifier, (name,) = Classifier(checkpoint), checkpoint.backbones
    assert checkpoint.trained_heads is not None
    frame = checkpoint.trained_heads.frame
    pictures = np.random.default_rng(0).integers(0, 256, (2, *frame, 3)).astype(np.uint8)
    expected = load_network(checkpoint, name)(pictures.astype(np.float32))
    for head, logits in classifier.logits(name, pictures).items():
        np.testing.assert_allclose(logits, expected[head], atol=1e-3)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    from vsearch.models.classifier import Classifier
    from vsearch.models.weights import pack

    checkpoint = untrained_classifier(tmp_path)
    pack([np.zeros((3, 2))], checkpoint.folder / "pocket_strip.top.npz")
    with pytest.raises(CheckpointMismatch, match="pocket_strip"):
        Classifier(checkpoint)


def test_exported_networks_give_the_same_logits(tmp_path: Path) -> None:
    import tensorflow as tf

    from vsearch.models.classifier import Classifier
    from vsearch.models.network import export_networks

    checkpoint = untrained_classifier(tmp_path)
    target = export_networks(checkpoint, tmp_path / "networks")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    ours = Classifier(checkpoint).logits("pocket_strip", pictures)["color"]
    network = tf.saved_model.load(target / "pocket_strip")
    theirs = network.serve(tf.cast(pictures, tf.float32))["color"]
    np.testing.assert_allclose(theirs, ours, atol=1e-4)
    with pytest.raises(CheckpointError, match="exists"):
        export_networks(checkpoint, target)
