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
    """Return a frozen trunk with an input of 16 x 48 pixels."""
    from vsearch.training.loop.frozen_trunk import FrozenTrunk

    return FrozenTrunk(backbone, "signed", (16, 48), **keys)


@pytest.fixture
def counts(monkeypatch) -> list[int]:
    """A list that gets the number of pictures of every file computed."""
    from vsearch.training.loop import frozen_trunk

    found: list[int] = []
    compute = frozen_trunk._compute
    monkeypatch.setattr(
        frozen_trunk, "_compute", lambda trunk, split, rows: found.append(len(rows)) or compute(trunk, split, rows)
    )
    return found


def test_features_are_those_of_the_trunk(backbone, split, tmp_path):
    import tensorflow as tf

    from vsearch.models.network import scale
    from vsearch.training.loop.frozen_trunk import features

    resized = tf.image.resize(tf.cast(split.pictures, tf.float32), (16, 48), antialias=True)
    maps, mirrored = (
        np.asarray(backbone(scale(view, "signed"), training=False)) for view in (resized, resized[:, :, ::-1])
    )

    found = features(trunk(backbone), split, tmp_path, views=2)
    whole = features(trunk(backbone, keep_map=True), split, tmp_path)

    np.testing.assert_allclose(found[0, :, 0, 0], maps.mean(axis=(1, 2)), atol=1e-4)
    np.testing.assert_allclose(found[1, :, 0, 0], mirrored.mean(axis=(1, 2)), atol=1e-4)
    np.testing.assert_allclose(whole[0], maps, atol=2e-3, rtol=2e-3)
    assert (found.dtype, whole.dtype) == (np.float32, np.float16)


def test_nothing_is_computed_twice(backbone, split, tmp_path, counts):
    from vsearch.training.loop.frozen_trunk import features

    first = features(trunk(backbone), split, tmp_path)
    again = features(trunk(backbone), split, tmp_path)
    fewer = features(trunk(backbone), split.select(np.arange(12) % 3 == 0), tmp_path)
    none = features(trunk(backbone), split.select(np.zeros(12, np.bool_)), tmp_path)

    assert counts == [12]
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(fewer, first[:, ::3])
    assert none.shape == (1, 0, 1, 1, 112)
    features(trunk(backbone), split, tmp_path, views=2)
    assert counts == [12, 12]  # the mirrored ones


def test_the_key_depends_on_weights_shape_and_precision(backbone):
    others = [trunk(build("pocket_strip")), trunk(backbone, keep_map=True), trunk(backbone, precision="mixed_bfloat16")]

    assert trunk(backbone).key() == trunk(backbone).key()
    assert len({other.key() for other in [trunk(backbone), *others]}) == 4


def test_a_killed_run_continues_after_its_last_file(backbone, split, tmp_path, monkeypatch, counts):
    from vsearch.training.loop import frozen_trunk

    monkeypatch.setattr(frozen_trunk, "_FILE_SIZE", 4)
    whole = frozen_trunk.features(trunk(backbone), split, tmp_path / "undisturbed")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frozen_trunk.features(trunk(backbone), split, tmp_path / "killed", advance=stop)
    found = frozen_trunk.features(trunk(backbone), split, tmp_path / "killed")

    assert counts == [4] * 6
    np.testing.assert_allclose(found, whole, atol=1e-5)


def test_a_full_disk_leaves_no_incomplete_file(backbone, split, tmp_path, monkeypatch):
    from vsearch.training.loop import frozen_trunk

    def full(file: Any, array: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(frozen_trunk.np, "save", full)

    with pytest.raises(OSError, match="No space"):
        frozen_trunk.features(trunk(backbone), split, tmp_path)
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
    views = features(trunk(backbone), split, tmp_path, views=2)

    trained, targets = next(found.training(0).as_numpy_iterator())
    validated, order = next(found.validation.as_numpy_iterator())

    np.testing.assert_array_equal(targets["product"][:4], targets["product"][4:])
    np.testing.assert_allclose(trained[:4], views[0, targets["product"][:4]])
    assert np.abs(trained[:4] - trained[4:]).max() > 0
    np.testing.assert_allclose(validated, views.reshape(24, 1, 1, 112))
    np.testing.assert_array_equal(order["product"], np.tile(np.arange(12), 2))
