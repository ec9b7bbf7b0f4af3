import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vsearch.core.errors import DatasetError
from vsearch.training.data import tfrecord
from vsearch.training.data.sources import SPLITS, LabeledImage, read_source
from vsearch.training.plan_sources import TfrecordSource

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
    """A folder of three shards for each split."""
    tfrecord.pack(images(), tmp_path / "packed", shards=3, about={"from": "here"})
    return tmp_path / "packed"


def test_images_are_read_as_they_were_packed(packed):
    source = TfrecordSource(kind="tfrecord", folder=Path(packed.name), terms="ours")

    found = list(read_source(source, packed.parent, work=packed.parent))

    assert sorted(found, key=lambda image: image.name) == images()


def test_the_index_lists_shards_and_counts_labels(packed):
    index = tfrecord.load_index(packed, verify=True)

    assert [(shard.file, shard.count) for shard in index.shards] == [
        ("train-00000.tfrecord", 3),
        ("train-00001.tfrecord", 3),
        ("train-00002.tfrecord", 2),
        ("val-00000.tfrecord", 1),
        ("val-00001.tfrecord", 1),
    ]
    assert (index.count("train"), index.count("val")) == (8, 2)
    assert index.labels == {"kind": {"train": {"Stühle": 4, "bed": 3}, "val": {"Stühle": 1, "bed": 1}}}
    assert index.about == {"from": "here"}
    assert "Stühle" in (packed / "index.json").read_text(encoding="utf8")


def test_a_label_of_very_many_values_is_only_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(tfrecord, "_MAX_COUNTED_VALUES", 1)

    index = tfrecord.pack(images(), tmp_path / "packed", shards=1, about={})

    assert index.labels["kind"]["train"] == {"": 7}


def flip(shard: Path, position: int) -> None:
    data = bytearray(shard.read_bytes())
    data[position] ^= 255
    shard.write_bytes(data)


@pytest.mark.parametrize("check", [lambda folder: tfrecord.load_index(folder, verify=True),
                                   lambda folder: list(tfrecord.read(folder))], ids=["verify", "read"])  # fmt: skip
@pytest.mark.parametrize(
    "damage",
    [lambda shard: flip(shard, 40), lambda shard: os.truncate(shard, shard.stat().st_size - 5), Path.unlink],
    ids=["flipped", "cut", "missing"],
)
def test_damage_is_detected(packed, check, damage):
    damage(packed / "train-00001.tfrecord")

    with pytest.raises(DatasetError, match=r"00001\.tfrecord is (damaged|missing)") as caught:
        check(packed)
    assert "\n" not in str(caught.value)
    assert "{" not in str(caught.value)  # the name of a TensorFlow op


@pytest.mark.parametrize("index", [None, "{", "{}", json.dumps({"format": 9})])
def test_an_invalid_index_is_refused(tmp_path, index):
    if index is not None:
        (tmp_path / "index.json").write_text(index)
    with pytest.raises(DatasetError, match=r"index\.json"):
        tfrecord.load_index(tmp_path)


def test_a_folder_is_never_overwritten(packed):
    with pytest.raises(DatasetError, match="exists"):
        tfrecord.pack(images(), packed, shards=3, about={})


def broken() -> Iterator[LabeledImage]:
    yield from images()
    raise DatasetError("broken")


@pytest.mark.parametrize(("given", "message"), [(lambda: iter(()), "no images"), (broken, "broken")])
def test_a_failure_leaves_nothing(tmp_path, given, message):
    with pytest.raises(DatasetError, match=message):
        tfrecord.pack(given(), tmp_path / "packed", shards=3, about={})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    import tensorflow as tf

    class FullDisk(tf.io.TFRecordWriter):
        def write(self, record):
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.io, "TFRecordWriter", FullDisk)
    with pytest.raises(OSError, match="No space left") as caught:
        tfrecord.pack(images(), tmp_path / "packed", shards=3, about={})
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []
