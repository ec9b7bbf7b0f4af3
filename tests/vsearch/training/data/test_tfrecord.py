import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vsearch.core.errors import DatasetError
from vsearch.training.data import tfrecord
from vsearch.training.data.sources import SPLITS, LabeledImage, read_source
from vsearch.training.plan import TfrecordSource

pytestmark = pytest.mark.keras

BOXES = [((1.5, 2.0, 3.0, 4.0), (0.1, 0.2, 1 / 3, 0.9999999)), (), None]


def images(count: int = 10) -> list[LabeledImage]:
    """Return images, every fifth for validation, the first without labels."""
    return [
        LabeledImage(
            bytes([number]) * 50,
            {"kind": "Stühle" if number % 2 else "bed"} if number else {},
            SPLITS[number % 5 == 4],
            f"group {number // 2}",
            f"{number}.jpg",
            (0.0, 0.1, 4032.5, 30000001.0) if number % 3 == 0 else None,
            BOXES[number % 3],
        )
        for number in range(count)
    ]


@pytest.fixture
def packed(tmp_path) -> Path:
    """A folder with three shards for each split."""
    tfrecord.pack(images(), tmp_path / "packed", shards=3)
    return tmp_path / "packed"


def test_images_are_read_as_they_were_packed(packed):
    source = TfrecordSource(kind="tfrecord", folder=Path(packed.name), terms="ours")

    found = list(read_source(source, packed.parent, work=packed.parent))

    assert sorted(found, key=lambda image: image.name) == images()


def test_shards_are_filled_in_turn_and_numbered(packed):
    assert [file.name for file in tfrecord.list_shards(packed)] == [
        "train-00000-of-00003.tfrecord",
        "train-00001-of-00003.tfrecord",
        "train-00002-of-00003.tfrecord",
        "val-00000-of-00002.tfrecord",
        "val-00001-of-00002.tfrecord",
    ]


def flip(shard: Path, position: int) -> None:
    data = bytearray(shard.read_bytes())
    data[position] ^= 255
    shard.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda shard: flip(shard, 40), r"00001-of-00003\.tfrecord is damaged"),
        (lambda shard: os.truncate(shard, shard.stat().st_size - 5), r"00001-of-00003\.tfrecord is damaged"),
        (Path.unlink, "2 of 3"),
    ],
    ids=["flipped", "cut", "missing"],
)
def test_damage_is_detected(packed, damage, message):
    damage(packed / "train-00001-of-00003.tfrecord")

    with pytest.raises(DatasetError, match=message) as caught:
        list(tfrecord.read(packed))
    assert "\n" not in str(caught.value)
    assert "{" not in str(caught.value)  # the name of a TensorFlow op


def test_a_folder_without_shards_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="no TFRecord shards"):
        list(tfrecord.read(tmp_path))


def test_a_folder_is_never_overwritten(packed):
    with pytest.raises(DatasetError, match="exists"):
        tfrecord.pack(images(), packed, shards=3)


def broken() -> Iterator[LabeledImage]:
    yield from images()
    raise DatasetError("broken")


@pytest.mark.parametrize(("given", "message"), [(lambda: iter(()), "no images"), (broken, "broken")])
def test_a_failure_leaves_nothing(tmp_path, given, message):
    with pytest.raises(DatasetError, match=message):
        tfrecord.pack(given(), tmp_path / "packed", shards=3)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    import tensorflow as tf

    class FullDisk(tf.io.TFRecordWriter):
        def write(self, record):
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.io, "TFRecordWriter", FullDisk)
    with pytest.raises(OSError, match="No space left") as caught:
        tfrecord.pack(images(), tmp_path / "packed", shards=3)
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []
