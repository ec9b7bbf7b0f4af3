"""The table of backbones, real networks, and where weights come from."""

import urllib.request
from pathlib import Path

import numpy as np
import pytest

from tests.vsearch.test_descriptors import square
from vsearch.errors import CheckpointError, CheckpointMismatch, WeightsUnavailable
from vsearch.model.backbones import BACKBONES, backbone, build

POCKET = [name for name in BACKBONES if name.startswith("pocket")]


def test_an_unknown_backbone_is_refused_with_those_there_are() -> None:
    """The sentence lists the table."""
    with pytest.raises(CheckpointError, match="resnet50"):
        backbone("alexnet")


@pytest.mark.keras
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet50", 23_587_712),
        ("resnet101", 42_658_176),
        ("resnet152", 58_370_944),
        ("vgg16", 14_714_688),
        ("vgg19", 20_024_384),
        ("inception_v3", 21_802_784),
    ],
)
def test_published_backbones_have_their_published_size(name: str, parameters: int) -> None:
    """Without its top each network of keras.applications has the parameter count Keras documents."""
    assert build(name, BACKBONES[name].side).count_params() == parameters


@pytest.mark.keras
@pytest.mark.parametrize("name", POCKET)
def test_pocket_backbones_are_small_and_their_stages_exist(name: str) -> None:
    """Under 3 million parameters, and each stage of the table names layers of the network."""
    network = build(name)
    layers = [layer.name for layer in network.layers]

    assert network.count_params() < 3_000_000
    for stage in BACKBONES[name].stages:
        assert any(layer.startswith(stage) for layer in layers)


@pytest.mark.keras
@pytest.mark.parametrize("name", ["resnet50", "vgg16", "inception_v3"])
def test_scaling_is_that_of_keras(name: str) -> None:
    """The scaling layer gives what the backbone's own preprocess_input gives."""
    import keras

    from vsearch.model.network import scale

    module = getattr(keras.applications, {"resnet50": "resnet", "vgg16": "vgg16"}.get(name, name))
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)

    ours = np.asarray(scale(pictures, BACKBONES[name].scaling))

    np.testing.assert_allclose(ours, module.preprocess_input(pictures.copy()), atol=1e-3)


@pytest.mark.keras
def test_a_trunk_keeps_where_things_are() -> None:
    """The first cell of the grid sees the top left corner and not the bottom right one."""
    from vsearch.model.network import build_trunk

    _, trunk = build_trunk("pocket_vgg", 3)
    grey = np.full((1, 96, 96, 3), 128, np.float32)
    marked = grey.copy()
    marked[0, -8:, -8:] = 0
    before, after = np.asarray(trunk(grey)).reshape(9, -1), np.asarray(trunk(marked)).reshape(9, -1)

    change = np.abs(after - before).max(axis=1)

    assert change.argmax() == 8
    assert change[0] < change[8] / 100


@pytest.mark.keras
def test_weights_are_taken_from_the_named_folder(tmp_path: Path) -> None:
    """NAME.weights.h5 in the folder wins over everything else."""
    from vsearch.model import weights

    network = build("pocket_vgg")
    network.save_weights(tmp_path / "pocket_vgg.weights.h5")

    loaded = weights.pretrained("pocket_vgg", folder=tmp_path)

    for ours, theirs in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.keras
def test_offline_the_error_says_where_to_put_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an empty cache and a download that fails, the sentence names the file and the variable."""
    import keras

    from vsearch.model import weights

    monkeypatch.setattr(keras.config, "keras_home", lambda: str(tmp_path), raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "_opener", None)  # it would remember the proxy for every later test
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    with pytest.raises(WeightsUnavailable, match=r"vgg16\.weights\.h5.*VSEARCH_WEIGHTS"):
        weights.pretrained("vgg16", folder=tmp_path)


@pytest.mark.keras
def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """The sentence names the file and the network it should fit."""
    from vsearch.model import weights

    build("pocket_resnet").save_weights(tmp_path / "pocket_vgg.weights.h5")

    with pytest.raises(CheckpointMismatch, match="pocket_vgg"):
        weights.pretrained("pocket_vgg", folder=tmp_path)


@pytest.mark.keras
def test_own_networks_have_no_download(tmp_path: Path) -> None:
    """A pocket network is trained, not fetched."""
    from vsearch.model import weights

    with pytest.raises(WeightsUnavailable, match="vsearch train"):
        weights.pretrained("pocket_vgg", folder=tmp_path)


@pytest.mark.keras
def test_packed_weights_fit_their_own_network_only(tmp_path: Path) -> None:
    """Packed and unpacked, a network answers as before to half precision; another network refuses them."""
    from vsearch.model import weights
    from vsearch.model.arrays import read_arrays

    network = build("pocket_inception", 96)
    arrays = read_arrays(weights.pack(network, tmp_path / "w.npz"))
    packed = [arrays[name] for name in sorted(arrays)]
    again = build("pocket_inception", 96)
    weights.unpack(again, packed, "pocket_inception")
    picture = square(96, "disc")[None].astype(np.float32) / 127.5 - 1

    np.testing.assert_allclose(np.asarray(again(picture)), np.asarray(network(picture)), atol=2e-2)
    with pytest.raises(CheckpointMismatch, match="pocket_vgg"):
        weights.unpack(build("pocket_vgg", 96), packed, "pocket_vgg")
