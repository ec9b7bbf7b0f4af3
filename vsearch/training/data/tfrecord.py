"""Pack labeled images into TFRecord shards and read them back.

A record is a `tf.train.Example` with two byte features: `image`, the file as it was, and `metadata`, the other fields of a
`LabeledImage` as JSON. `index.json` lists the shards with their checksums.
"""

import errno
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vsearch.core.errors import DatasetError
from vsearch.core.files import checksum, atomic_folder
from vsearch.models.tensorflow_startup import import_tensorflow
from vsearch.training.data.sources import SPLITS, LabeledImage, SplitName

_FORMAT = 2
_MAX_COUNTED_VALUES = 1000  # of a label; article numbers have as many as there are images


@dataclass(frozen=True)
class Shard:
    """A file of records; `sha256` has 64 hex digits."""

    file: str
    split: SplitName
    count: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ShardIndex:
    """The contents of a folder of shards.

    Attributes:
        labels: label -> split -> value -> images; a label of very many values has only {"": images}.
        about: as given to `pack`.
    """

    folder: Path
    shards: tuple[Shard, ...]
    labels: Mapping[str, Mapping[str, Mapping[str, int]]]
    about: Mapping[str, Any]

    def count(self, split: str) -> int:
        """Return the number of images in a split."""
        return sum(shard.count for shard in self.shards if shard.split == split)


def pack(images: Iterable[LabeledImage], folder: Path, *, shards: int, about: Mapping[str, Any]) -> ShardIndex:
    """Write images in turn to the shards of their split. `folder` is complete or does not exist.

    Args:
        images: read once.
        folder: must not exist.
        shards: maximum number of files per split.
        about: goes into the index as JSON.

    Raises:
        DatasetError: the folder exists, or there are no images.
        OSError: the disk is full.
    """
    import_tensorflow()
    import tensorflow as tf

    if folder.exists():
        raise DatasetError(f"Folder {folder} exists. Choose a new folder for the shards, or remove it.")
    counts: Counter[tuple[str, SplitName]] = Counter()
    labels: dict[str, dict[str, Counter[str]]] = {}
    with atomic_folder(folder) as hidden:
        try:
            with ExitStack() as stack:
                writers: dict[str, Any] = {}
                for image in images:
                    written = sum(count for (_, split), count in counts.items() if split == image.split)
                    name = f"{image.split}-{written % shards:05}.tfrecord"
                    if name not in writers:
                        writers[name] = stack.enter_context(tf.io.TFRecordWriter(str(hidden / name)))
                    writers[name].write(_serialize(image))
                    counts[name, image.split] += 1
                    for label, value in image.labels.items():
                        labels.setdefault(label, {split: Counter() for split in SPLITS})[image.split][value] += 1
        except tf.errors.ResourceExhaustedError:
            raise OSError(errno.ENOSPC, "No space left on device", str(folder)) from None
        if not counts:
            raise DatasetError("There are no images to pack. Check the sources.")
        index = {
            "format": _FORMAT,
            "shards": [
                vars(Shard(name, split, count, (hidden / name).stat().st_size, checksum(hidden / name)))
                for (name, split), count in sorted(counts.items())
            ],
            "labels": {
                label: {
                    split: dict(sorted(values.items())) if len(values) <= _MAX_COUNTED_VALUES else {"": values.total()}
                    for split, values in by_split.items()
                }
                for label, by_split in labels.items()
            },
            "about": dict(about),
        }
        (hidden / "index.json").write_text(json.dumps(index, indent=1, ensure_ascii=False), encoding="utf8")
    return load_index(folder)


def load_index(folder: Path, *, verify: bool = False) -> ShardIndex:
    """Load the index of a folder of shards and check that each shard has its size.

    Args:
        folder: as written by `pack`.
        verify: compare the checksum of each shard too.

    Raises:
        DatasetError: the index or a shard is missing or damaged.
    """
    file = folder / "index.json"
    try:
        values = json.loads(file.read_text(encoding="utf8"))
        if values["format"] != _FORMAT:
            raise DatasetError(f"{file} has format {values['format']!r}, not {_FORMAT}. Pack the data set again.")
        shards = tuple(Shard(**shard) for shard in values["shards"])
        index = ShardIndex(folder, shards, values["labels"], values["about"])
    except FileNotFoundError:
        raise DatasetError(f"{file} does not exist. Name a folder written by `vsearch dataset pack`.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{file} is damaged ({error}). Pack the data set again.") from None
    for shard in index.shards:
        path = folder / shard.file
        if not path.is_file():
            raise DatasetError(f"Shard {path} is missing. Copy it there, or pack the data set again.")
        if path.stat().st_size != shard.bytes:
            raise _damaged(path, f"it has {path.stat().st_size} bytes instead of {shard.bytes}")
        if verify and checksum(path) != shard.sha256:
            raise _damaged(path, "its checksum differs")
    return index


def read(folder: Path) -> Iterator[LabeledImage]:
    """Yield the images of a folder of shards.

    Raises:
        DatasetError: the index or a shard is missing or damaged.
    """
    import_tensorflow()
    import tensorflow as tf

    features = {name: tf.io.FixedLenFeature((), tf.string) for name in ("image", "metadata")}
    for shard in load_index(folder).shards:
        records = tf.data.TFRecordDataset(str(folder / shard.file))
        try:
            for record in records.map(lambda one: tf.io.parse_single_example(one, features)).as_numpy_iterator():
                fields = json.loads(record["metadata"])
                fields["box"] = tuple(fields["box"]) if fields["box"] else None
                fields["boxes"] = None if fields["boxes"] is None else tuple(map(tuple, fields["boxes"]))
                yield LabeledImage(record["image"], **fields)
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
            raise _damaged(folder / shard.file, re.sub(r"^{{.*?}} ", "", str(error)).partition(" [")[0]) from None


def _serialize(image: LabeledImage) -> bytes:
    import tensorflow as tf

    metadata = {name: value for name, value in vars(image).items() if name not in ("data", "held_out")}
    values = {"image": image.data, "metadata": json.dumps(metadata, ensure_ascii=False).encode()}
    feature = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in values.items()}
    serialized: bytes = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    return serialized


def _damaged(file: Path, cause: str) -> DatasetError:
    return DatasetError(f"Shard {file} is damaged: {cause}. Copy it again, or pack the data set again.")
