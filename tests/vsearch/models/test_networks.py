import math
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from tests.vsearch.imaging.test_descriptors import square
from vsearch.core.errors import CheckpointError, CheckpointMismatch, WeightsUnavailable
from vsearch.core.vectors import l2_normalize
from vsearch.models import checkpoint, weights
from vsearch.models.backbones import BACKBONES, backbone, build
from vsearch.models.encoder import open_trunk
from vsearch.models.runtime import Precision, supported_precisions
from vsearch.models.trained_heads import HeadSpec

HEADS = (
    HeadSpec("kind", "softmax", ("bar", "disc")),
    HeadSpec("tints", "sigmoid", ("red", "green", "blue")),
    HeadSpec("number", "digits", length=4),
    HeadSpec("product", "metric", size=8),
    HeadSpec("place", "softmax", ("left", "middle", "right"), grid=3, hidden=16),
)

LITES = [name for name in BACKBONES if name.startswith("efficientnet")]
SMALL = [*LITES, "pocket_strip", "smaller_vgg", "alexnet_v2"]


def test_an_unknown_backbone_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(CheckpointError, match="resnet50"):
        backbone("alexnet")


RESIDUAL = {"residual50": 25_557_032, "residual101": 44_549_160, "residual152": 60_192_808}
"""Trainable parameters with a top of 1000 classes, as documented by torchvision for the networks of He et al., 2016."""


def dense(inputs: int, outputs: int) -> int:
    return (inputs + 1) * outputs


@pytest.mark.keras
@pytest.mark.slow
@pytest.mark.parametrize("name", RESIDUAL)
def test_residual_networks_have_their_published_size(name: str) -> None:
    network = build(name)
    depth = sum(layer.name.endswith(("conv1", "conv2", "conv3", "stem")) for layer in network.layers)
    trainable = sum(math.prod(weight.shape) for weight in network.trainable_weights)
    assert trainable + dense(2048, 1000) == RESIDUAL[name]
    assert depth + 1 == int(name.removeprefix("residual"))


@pytest.mark.keras
@pytest.mark.parametrize(
    ("name", "side", "output", "top", "size"),
    [
        ("alexnet_v2", 224, (5, 5, 256), dense(5 * 5 * 256, 4096) + dense(4096, 4096) + dense(4096, 1000), 50_303_912),
        ("smaller_vgg", 96, (8, 8, 128), dense(8 * 8 * 128, 1024) + 4 * 1024 + dense(1024, 6), 8_679_302),
    ],
)
def test_classic_networks_have_their_published_size(
    name: str, side: int, output: tuple[int, ...], top: int, size: int
) -> None:
    network = build(name, side)
    assert network.output_shape == (None, *output)
    assert network.count_params() + top == size


@pytest.mark.keras
def test_the_strip_network_downsamples_the_width_by_eight() -> None:
    network = build("pocket_strip")
    assert network.compute_output_shape((None, 48, 160, 3)) == (None, 3, 20, 112)
    assert network.count_params() < 400_000


@pytest.mark.keras
@pytest.mark.parametrize("name", [*SMALL, "residual50", "resnet50", "vgg16"])
def test_stages_are_listed_in_order(name: str) -> None:
    layers = [layer.name for layer in build(name).layers]
    first = [next(n for n, layer in enumerate(layers) if layer.startswith(stage)) for stage in BACKBONES[name].stages]
    assert first == sorted(first)


@pytest.mark.keras
@pytest.mark.parametrize("name", ["resnet50", "vgg16", "inception_v3"])
def test_scaling_agrees_with_keras(name: str) -> None:
    import keras

    from vsearch.models.network import scale

    module = getattr(keras.applications, {"resnet50": "resnet", "vgg16": "vgg16"}.get(name, name))
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    ours = np.asarray(scale(pictures, BACKBONES[name].scaling))
    np.testing.assert_allclose(ours, module.preprocess_input(pictures.copy()), atol=1e-3)


def wavy_picture(side: int) -> np.ndarray:
    """Return the synthetic picture uint8 [1, side, side, 3] that the reference outputs belong to."""
    rows, columns = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    waves = [np.sin(2 * np.pi * (a * rows + b * columns + c)) for a, b, c in ((3, 1, 0), (1, 5, 0.3), (7, -4, 0.6))]
    return np.round(127.5 + 120 * np.stack(waves, -1)).astype(np.uint8)[None]


@pytest.mark.parametrize("name", LITES)
@pytest.mark.parametrize(("precision", "similarity"), [("f32", 0.9999), ("bf16", 0.99)])
def test_the_bundled_networks_compute_what_keras_does(name: str, precision: Precision, similarity: float) -> None:
    """The reference was computed by Keras from the bundled weights, in single precision."""
    if precision not in supported_precisions():
        pytest.skip(f"this CPU does not compute in {precision}")
    bundled = checkpoint.at_precision(checkpoint.load(checkpoint.bundled()), precision)
    found = open_trunk(bundled, name).run(wavy_picture(BACKBONES[name].side))
    with np.load(Path(__file__).with_name("efficientnet_lite.npz")) as reference:
        for block, features in found.items():
            assert features.shape[1:] == reference[block].shape
            assert l2_normalize(features[0]) @ l2_normalize(reference[block]) > similarity


@pytest.mark.keras
def test_the_bundled_network_is_the_same_in_keras() -> None:
    from vsearch.models.network import load_network

    bundled, pictures = checkpoint.load(checkpoint.bundled()), wavy_picture(224).repeat(9, axis=0)
    expected = load_network(bundled, "efficientnet_lite0")(pictures.astype(np.float32))
    for block, features in open_trunk(bundled, "efficientnet_lite0").run(pictures).items():
        np.testing.assert_allclose(features, expected[block], atol=1e-3)


@pytest.mark.keras
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BACKBONES if name not in ("pocket_strip", "smaller_vgg")])
def test_the_middle_feature_map_is_about_sixteen_times_smaller(name: str) -> None:
    row = BACKBONES[name]
    _, height, width, _ = build(name, row.side).get_layer(row.middle).output.shape
    assert height == width
    assert 15 <= row.side / width < 19


@pytest.mark.keras
@pytest.mark.parametrize("name", ["pocket_strip", "smaller_vgg"])
def test_the_middle_block_keeps_the_position_of_features(name: str) -> None:
    from vsearch.models.network import build_trunk

    side = 144
    _, trunk = build_trunk(name, side)
    gray = np.full((1, side, side, 3), 128, np.float32)
    marked = gray.copy()
    marked[0, -8:, -8:] = 0
    before, after = (np.asarray(trunk(picture)[f"{name}_middle"]).reshape(9, -1) for picture in (gray, marked))

    change = np.abs(after - before).max(axis=1)

    assert change.argmax() == 8
    assert change[0] < change[8] / 100


@pytest.mark.keras
def test_a_network_returns_the_logits_of_each_head() -> None:
    from vsearch.models.network import build_network

    _, network = build_network("pocket_strip", HEADS, dropout=0.2)
    for shape in ((48, 160), (64, 96)):
        found = network(np.zeros((2, *shape, 3), np.float32))
        assert {name: logits.shape for name, logits in found.items()} == {
            head.name: (2, *head.logits_shape) for head in HEADS
        }
        assert {logits.dtype.name for logits in found.values()} == {"float32"}


@pytest.mark.keras
def test_the_top_of_a_network_shares_its_heads() -> None:
    from vsearch.models.network import build_network, build_top, scale

    backbone_, network = build_network("pocket_strip", HEADS, dropout=0.2)
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 48, 160, 3)).astype(np.float32)
    features = np.asarray(backbone_(scale(pictures, "signed"), training=False))
    whole, top = network(pictures), build_top(network, features.shape[-1])

    for name, logits in top(features).items():
        np.testing.assert_allclose(logits, whole[name], atol=1e-5)
    for name in ("kind", "tints", "product"):
        averaged = network.get_layer(f"head_{name}")(features.mean(axis=(1, 2), keepdims=True))
        np.testing.assert_allclose(averaged, whole[name], atol=1e-5)


@pytest.mark.keras
def test_each_digit_attends_to_its_own_position_at_first() -> None:
    from vsearch.models.networks.layers import DigitReader

    reader = DigitReader(4)
    features = np.random.default_rng(0).uniform(0, 1, (1, 3, 24, 16)).astype(np.float32)
    before = np.asarray(reader(features))[0]
    features[:, :, 7:11] = 0
    change = np.abs(np.asarray(reader(features))[0] - before).max(axis=-1)
    assert change.argmax() == 1
    assert change[3] < change[1] / 2


@pytest.mark.keras
def test_weights_are_loaded_from_the_folder(tmp_path: Path) -> None:
    network = build("pocket_strip")
    network.save_weights(tmp_path / "pocket_strip.weights.h5")
    loaded = weights.load_pretrained("pocket_strip", folder=tmp_path)
    for ours, theirs in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.keras
def test_offline_the_error_names_the_file_and_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setattr(keras.config, "keras_home", lambda: str(tmp_path), raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "_opener", None)  # it would keep the proxy for all later tests
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    with pytest.raises(WeightsUnavailable, match=r"vgg16\.weights\.h5.*VSEARCH_WEIGHTS"):
        weights.load_pretrained("vgg16", folder=tmp_path)


@pytest.mark.keras
def test_own_networks_have_no_pretrained_weights_and_reject_foreign_ones(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="vsearch train"):
        weights.load_pretrained("pocket_strip", folder=tmp_path)
    build("smaller_vgg").save_weights(tmp_path / "pocket_strip.weights.h5")
    with pytest.raises(CheckpointMismatch, match="pocket_strip"):
        weights.load_pretrained("pocket_strip", folder=tmp_path)


@pytest.mark.keras
def test_packed_weights_fit_only_their_own_network(tmp_path: Path) -> None:
    network = build("smaller_vgg", 96)
    packed = weights.read_packed(weights.pack(network.weights, tmp_path / "w.npz"))
    again = build("smaller_vgg", 96)
    weights.unpack(again.weights, packed, "smaller_vgg")
    picture = square(96, "disc")[None].astype(np.float32) / 127.5 - 1
    np.testing.assert_allclose(np.asarray(again(picture)), np.asarray(network(picture)), atol=2e-2)
    with pytest.raises(CheckpointMismatch, match="pocket_strip"):
        weights.unpack(build("pocket_strip", 96).weights, packed, "pocket_strip")
