from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vsearch.models.backbones import build
from vsearch.models.trained_heads import HeadSpec
from vsearch.training.data.dataset import Dataset, Split
from vsearch.training.plan import Augment, Phase

pytestmark = pytest.mark.keras

KIND = HeadSpec("kind", "softmax", ("bar", "disc"))
PRODUCT = HeadSpec("product", "metric", size=8)


@pytest.fixture(scope="module")
def backbone() -> Any:
    return build("pocket_strip")


@pytest.fixture
def split() -> Split:
    """Twelve pictures of noise, 32 px high and 48 px wide."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (12, 32, 48, 3), dtype=np.uint8)
    targets = {"kind": rng.integers(0, 2, 12).astype(np.int32), "product": np.arange(12)}
    return Split(pictures, targets, tuple(map(str, range(12))), np.ones(12))


def trunk(backbone: Any, **keys: Any) -> Any:
    """Return a frozen trunk with a 16 x 48 px input."""
    from vsearch.training.loop.frozen_trunk import FrozenTrunk

    return FrozenTrunk(backbone, "signed", (16, 48), **keys)


def test_features_are_those_of_the_trunk(backbone, split, tmp_path):
    import tensorflow as tf

    from vsearch.models.network import scale
    from vsearch.training.loop.frozen_trunk import features

    resized = tf.image.resize(tf.cast(split.pictures, tf.float32), (16, 48), antialias=True)
    maps = np.asarray(backbone(scale(resized, "signed"), training=False))

    found = features(trunk(backbone), split.pictures, tmp_path)
    whole = features(trunk(backbone, keep_map=True), split.pictures, tmp_path)

    np.testing.assert_allclose(found[:, 0, 0], maps.mean(axis=(1, 2)), atol=1e-4)
    np.testing.assert_allclose(whole, maps, atol=2e-3, rtol=2e-3)
    assert (found.dtype, whole.dtype) == (np.float32, np.float16)
    assert features(trunk(backbone), split.pictures[:0], tmp_path).shape == (0, 1, 1, 112)


def test_a_killed_run_computes_only_what_is_missing(backbone, split, tmp_path, monkeypatch):
    from vsearch.training.loop import frozen_trunk

    monkeypatch.setattr(frozen_trunk, "_FILE_SIZE", 4)
    whole = frozen_trunk.features(trunk(backbone), split.pictures, tmp_path / "undisturbed")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frozen_trunk.features(trunk(backbone), split.pictures, tmp_path / "killed", stop)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("killed/*/*")}
    found = frozen_trunk.features(trunk(backbone), split.pictures, tmp_path / "killed")

    assert len(before) == 1
    assert before.items() <= {file: file.stat().st_mtime_ns for file in tmp_path.glob("killed/*/*")}.items()
    np.testing.assert_allclose(found, whole, atol=1e-5)


def test_the_key_depends_on_weights_shape_and_precision(backbone):
    others = [trunk(build("pocket_strip")), trunk(backbone, keep_map=True), trunk(backbone, precision="mixed_bfloat16")]

    assert trunk(backbone).key() == trunk(backbone).key()
    assert len({other.key() for other in [trunk(backbone), *others]}) == 4


def test_a_full_disk_leaves_no_incomplete_file(backbone, split, tmp_path, monkeypatch):
    from vsearch.training.loop import frozen_trunk

    def full(file: Any, array: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(frozen_trunk.np, "save", full)

    with pytest.raises(OSError, match="No space"):
        frozen_trunk.features(trunk(backbone), split.pictures, tmp_path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def feature_batches(folder: Path, split: Split, backbone: Any, *heads: HeadSpec) -> Any:
    from vsearch.training.loop.batches import of_features

    data = Dataset(heads, split, split, split, "0" * 16, (), ())
    phase = Phase(name="p", size=(16, 48), epochs=1, batch=4, learning_rate=0.1, unfreeze="none", views=1)
    return of_features(data, phase, Augment(), seed=1, trunk=trunk(backbone), folder=folder)


def test_feature_batches_follow_from_seed_and_step(backbone, split, tmp_path):
    found = feature_batches(tmp_path, split, backbone, KIND)
    expected, targets = list(islice(found.training(0).as_numpy_iterator(), 8))[7]

    resumed, same = next(found.training(7).as_numpy_iterator())

    np.testing.assert_array_equal(resumed, expected)
    np.testing.assert_array_equal(same["kind"], targets["kind"])
    assert resumed.shape == (4, 1, 1, 112)


def test_a_metric_head_gets_two_views_of_features(backbone, split, tmp_path):
    from vsearch.training.loop.frozen_trunk import features

    found = feature_batches(tmp_path, split, backbone, PRODUCT)
    plain, mirrored = (features(trunk(backbone), split.pictures[:, :, ::step], tmp_path) for step in (1, -1))

    trained, targets = next(found.training(0).as_numpy_iterator())
    validated, order = next(found.validation.as_numpy_iterator())

    np.testing.assert_array_equal(targets["product"][:4], targets["product"][4:])
    np.testing.assert_allclose(trained[:4], plain[targets["product"][:4]])
    assert np.abs(trained[:4] - trained[4:]).max() > 0
    np.testing.assert_allclose(validated, np.concatenate([plain, mirrored]))
    np.testing.assert_array_equal(order["product"], np.tile(np.arange(12), 2))
