"""TFRecord shards: what goes in comes out, and damage is found."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vsearch.core.errors import DatasetError
from vsearch.training.data import records
from vsearch.training.data.examples import SIDES, Example
from vsearch.training.plan_sources import TfrecordSource
from vsearch.training.data.sources import examples

pytestmark = pytest.mark.keras


def some(count: int = 10) -> list[Example]:
    """Return examples, every fifth of validation, one of them without labels."""
    return [
        Example(
            bytes([number]) * 50,
            {"kind": "Stühle" if number % 2 else "bed"} if number else {},
            SIDES[number % 5 == 4],
            f"group {number // 2}",
            f"{number}.jpg",
            (1, 2, 30, 40) if number % 3 == 0 else None,
        )
        for number in range(count)
    ]


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A folder of three shards for each split."""
    records.pack(some(), tmp_path / "packed", shards=3, about={"from": "here"})
    return tmp_path / "packed"


def test_what_is_packed_is_read_back(packed: Path) -> None:
    """Bytes, labels, splits, groups and names; a missing label stays missing."""
    source = TfrecordSource(kind="tfrecord", folder=Path(packed.name), terms="ours")

    found = list(examples(source, packed.parent, work=packed.parent))

    assert sorted(found, key=lambda example: example.name) == some()


def test_the_index_says_what_there_is(packed: Path) -> None:
    """Of each split as many pictures in each shard as can be; a split of two pictures has two shards."""
    inventory = records.inspect(packed)

    assert [(shard.file, shard.count) for shard in inventory.shards] == [
        ("train-00000.tfrecord", 3),
        ("train-00001.tfrecord", 3),
        ("train-00002.tfrecord", 2),
        ("val-00000.tfrecord", 1),
        ("val-00001.tfrecord", 1),
    ]
    assert (inventory.count("train"), inventory.count("val")) == (8, 2)
    assert inventory.labels == {"kind": {"train": {"Stühle": 4, "bed": 3}, "val": {"Stühle": 1, "bed": 1}}}
    assert inventory.about == {"from": "here"}


def test_a_label_of_very_many_values_is_only_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index is to be read."""
    monkeypatch.setattr(records, "_MOST_VALUES", 1)

    inventory = records.pack(some(), tmp_path / "packed", shards=1, about={})

    assert inventory.labels["kind"]["train"] == {"": 7}


def flip(shard: Path, place: int) -> None:
    """Change one byte of a file."""
    data = bytearray(shard.read_bytes())
    data[place] ^= 255
    shard.write_bytes(data)


@pytest.mark.parametrize("look", [records.inspect, lambda folder: list(records.read(folder))])
@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda shard: flip(shard, 40), "00001.tfrecord is damaged"),
        (lambda shard: os.truncate(shard, shard.stat().st_size - 5), "00001.tfrecord is damaged: it has"),
        (lambda shard: shard.unlink(), "00001.tfrecord is missing"),
    ],
    ids=["flipped", "cut", "missing"],
)
def test_damage_is_found_by_looking_and_by_reading(packed: Path, look, harm, sentence: str) -> None:  # type: ignore[no-untyped-def]
    """The shard is named, in one line."""
    harm(packed / "train-00001.tfrecord")

    with pytest.raises(DatasetError, match=sentence) as caught:
        look(packed)
    assert "\n" not in str(caught.value)
    assert "{" not in str(caught.value)  # nothing of how TensorFlow calls it


@pytest.mark.parametrize(
    ("index", "sentence"),
    [(None, "must have an index"), ("{", "must be whole"), ("{}", "must be whole"), ('{"format": 9}', "format 1, but")],
)
def test_a_folder_without_a_good_index_is_refused(tmp_path: Path, index: str | None, sentence: str) -> None:
    """Whatever is wrong with it."""
    if index is not None:
        (tmp_path / "index.json").write_text(index)
    with pytest.raises(DatasetError, match=sentence):
        records.inspect(tmp_path)


def test_a_folder_is_written_once(packed: Path) -> None:
    """Shards of two runs would lie in one folder."""
    with pytest.raises(DatasetError, match="new folder"):
        records.pack(some(), packed, shards=3, about={})


def test_nothing_to_pack_leaves_nothing(tmp_path: Path) -> None:
    """And is said."""
    with pytest.raises(DatasetError, match="at least one picture"):
        records.pack([], tmp_path / "packed", shards=3, about={})
    assert list(tmp_path.iterdir()) == []


def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    """A source may turn out to be damaged after a thousand pictures."""

    def breaking() -> Iterator[Example]:
        yield from some()
        raise DatasetError("broken")

    with pytest.raises(DatasetError, match="broken"):
        records.pack(breaking(), tmp_path / "packed", shards=3, about={})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow's own error becomes the one that the command words."""
    import tensorflow as tf

    class FullDisk(tf.io.TFRecordWriter):  # type: ignore[misc]
        def write(self, record: bytes) -> None:
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.io, "TFRecordWriter", FullDisk)
    with pytest.raises(OSError, match="No space left") as caught:
        records.pack(some(), tmp_path / "packed", shards=3, about={})
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_the_index_is_readable_by_people(packed: Path) -> None:
    """It is JSON, with names as they are written."""
    text = (packed / "index.json").read_text(encoding="utf8")

    assert "Stühle" in text
    assert json.loads(text)["format"] == 1
