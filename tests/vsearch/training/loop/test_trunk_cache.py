"""The outputs of a still trunk, computed once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vsearch.models.backbones import build
from vsearch.models.trained_heads import HeadSpec
from vsearch.training.data.dataset import Split

pytestmark = pytest.mark.keras

KIND = HeadSpec("kind", "softmax", ("bar", "disc"))
PRODUCT = HeadSpec("product", "metric", size=8)


@pytest.fixture(scope="module")
def backbone() -> Any:
    """A backbone with random weights."""
    return build("pocket_strip")


@pytest.fixture
def split() -> Split:
    """Twelve pictures of noise, 32 px high and 48 px wide."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (12, 32, 48, 3), dtype=np.uint8)
    targets = {"kind": rng.integers(0, 2, 12).astype(np.int32), "product": np.arange(12)}
    names = tuple(str(number) for number in range(12))
    return Split(pictures, targets, names, names, np.ones(12, np.int32), np.ones(12, np.bool_))


def trunk(backbone: Any, **keys: Any) -> Any:
    """Return it as a trunk with an input of 16 x 48 pixels."""
    from vsearch.training.loop.trunk_cache import Trunk

    return Trunk(backbone, "signed", (16, 48), **keys)


def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of pictures of every part computed from now on."""
    from vsearch.training.loop import trunk_cache

    counts: list[int] = []
    whole = trunk_cache._computed

    def counted(trunk: Any, split: Split, rows: Any) -> Any:
        counts.append(len(rows))
        return whole(trunk, split, rows)

    monkeypatch.setattr(trunk_cache, "_computed", counted)
    return counts


def test_features_are_what_the_trunk_gives(backbone: Any, split: Split, tmp_path: Path) -> None:
    """Of the picture and of its mirror image, averaged; or the whole map in half precision."""
    import tensorflow as tf

    from vsearch.models.network import scale
    from vsearch.training.loop.trunk_cache import features

    resized = tf.image.resize(tf.cast(split.pictures, tf.float32), (16, 48), antialias=True)
    maps = np.asarray(backbone(scale(resized, "signed"), training=False))
    mirrored = np.asarray(backbone(scale(resized[:, :, ::-1], "signed"), training=False))

    found = features(trunk(backbone), split, tmp_path, views=2)
    whole = features(trunk(backbone, whole=True), split, tmp_path)

    np.testing.assert_allclose(found[0, :, 0, 0], maps.mean(axis=(1, 2)), atol=1e-4)
    np.testing.assert_allclose(found[1, :, 0, 0], mirrored.mean(axis=(1, 2)), atol=1e-4)
    np.testing.assert_allclose(whole[0], maps, atol=2e-3, rtol=2e-3)
    assert (found.dtype, whole.dtype) == (np.float32, np.float16)


def test_nothing_is_computed_twice(
    backbone: Any, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for the same split again, nor for pictures that another split has."""
    from vsearch.training.loop.trunk_cache import features

    counts = computed(monkeypatch)
    first = features(trunk(backbone), split, tmp_path)
    again = features(trunk(backbone), split, tmp_path)
    fewer = features(trunk(backbone), split.where(np.arange(12) % 3 == 0), tmp_path)
    assert counts == [12]
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(fewer, first[:, ::3])

    features(trunk(backbone), split, tmp_path, views=2)
    assert counts == [12, 12]  # the mirrored ones alone


def test_other_weights_have_other_features(backbone: Any, split: Split, tmp_path: Path) -> None:
    """The key is of the content: weights, input shape, what is kept, precision."""
    base = trunk(backbone)
    others = [trunk(build("pocket_strip")), trunk(backbone, whole=True), trunk(backbone, precision="mixed_bfloat16")]

    assert trunk(backbone).key() == base.key()
    assert len({other.key() for other in [base, *others]}) == 4


def test_a_killed_run_goes_on_after_its_last_whole_part(
    backbone: Any, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of four pictures; the run ends in the middle of the second."""
    from vsearch.training.loop import trunk_cache

    monkeypatch.setattr(trunk_cache, "_PART", 4)
    whole = trunk_cache.features(trunk(backbone), split, tmp_path / "undisturbed")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trunk_cache.features(trunk(backbone), split, tmp_path / "killed", advance=stop)
    counts = computed(monkeypatch)
    found = trunk_cache.features(trunk(backbone), split, tmp_path / "killed")

    assert counts == [4, 4]
    np.testing.assert_allclose(found, whole, atol=1e-5)


def test_a_full_disk_leaves_no_half_part(
    backbone: Any, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is the disk's, and the folder holds whole parts only."""
    from vsearch.training.loop import trunk_cache

    def full(file: Any, array: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trunk_cache.np, "save", full)

    with pytest.raises(OSError, match="No space"):
        trunk_cache.features(trunk(backbone), split, tmp_path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_split_without_pictures_has_no_features(backbone: Any, split: Split, tmp_path: Path) -> None:
    """The shape is as ever."""
    from vsearch.training.loop.trunk_cache import features

    assert features(trunk(backbone), split.where(np.zeros(12, np.bool_)), tmp_path).shape == (1, 0, 1, 1, 112)


def test_batches_go_on_at_any_step(split: Split) -> None:
    """Batch seven of a run that begins there is batch seven of one that began with the first."""
    from vsearch.training.loop.trunk_cache import training_batches

    kept = np.random.default_rng(0).normal(size=(2, 12, 1, 1, 5))
    batches = training_batches(kept, split, [KIND], batch=5, seed=1)
    late = training_batches(kept, split, [KIND], batch=5, seed=1, start_step=7)
    expected, targets = [next(batches) for _ in range(8)][-1]

    found, wanted = next(late)

    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(wanted["kind"], targets["kind"])
    assert found.shape == (5, 1, 1, 5)


def test_a_metric_head_sees_a_picture_and_its_mirror_image(split: Split) -> None:
    """First views first; to judge as well."""
    from vsearch.training.loop.trunk_cache import training_batches, validation_batches

    kept = np.arange(24.0).reshape(2, 12, 1, 1, 1)
    for features, targets in (
        next(training_batches(kept, split, [PRODUCT], batch=4, seed=1)),
        next(validation_batches(kept, split, [PRODUCT])),
    ):
        half = len(features) // 2
        np.testing.assert_array_equal(features[half:] - features[:half], np.full((half, 1, 1, 1), 12.0))
        np.testing.assert_array_equal(targets["product"], features.ravel() % 12)
