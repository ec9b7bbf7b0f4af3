"""Pack labeled images into TFRecord shards, named SPLIT-NUMBER-of-COUNT.tfrecord, and read them back.

A record is a `tf.train.Example` with two byte features: `image`, the unchanged file, and `metadata`, the other fields of
a `LabeledImage` as JSON. Each record has a checksum.
"""

import errno
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from vsearch.core.errors import DatasetError
from vsearch.core.files import atomic_folder
from vsearch.models.tensorflow_startup import import_tensorflow
from vsearch.training.data.sources import LabeledImage

_SHARD = re.compile(r"(train|val)-\d{5}-of-(\d{5})\.tfrecord")


def pack(images: Iterable[LabeledImage], folder: Path, *, shards: int) -> None:
    """Write images round-robin to at most `shards` files per split. `folder` is complete or does not exist.

    Raises:
        DatasetError: the folder exists, or there are no images.
        OSError: the disk is full.
    """
    import_tensorflow()
    import tensorflow as tf

    if folder.exists():
        raise DatasetError(f"Folder {folder} already exists. Remove it, or choose a new folder for the shards.")
    counts: Counter[str] = Counter()
    with atomic_folder(folder) as hidden:
        try:
            with ExitStack() as stack:
                writers: dict[tuple[str, int], Any] = {}
                for image in images:
                    key = image.split, counts[image.split] % shards
                    if key not in writers:
                        path = str(hidden / f"{key[0]}-{key[1]:05}")
                        writers[key] = stack.enter_context(tf.io.TFRecordWriter(path))
                    writers[key].write(_serialize(image))
                    counts[image.split] += 1
        except tf.errors.ResourceExhaustedError:
            raise OSError(errno.ENOSPC, "No space left on device", str(folder)) from None
        if not counts:
            raise DatasetError("There are no images to pack. Check the sources.")
        for split, count in counts.items():
            for file in hidden.glob(f"{split}-*"):
                file.rename(hidden / f"{file.name}-of-{min(count, shards):05}.tfrecord")


def list_shards(folder: Path) -> list[Path]:
    """Return the shards in a folder.

    Raises:
        DatasetError: there are none, or some are missing.
    """
    shards = {file: match for file in sorted(folder.glob("*")) if (match := _SHARD.fullmatch(file.name))}
    if not shards:
        raise DatasetError(f"{folder} has no TFRecord shards. Give a folder written by `vsearch dataset pack`.")
    counts = Counter(match[1] for match in shards.values())
    for file, match in shards.items():
        if counts[match[1]] != int(match[2]):
            raise DatasetError(f"{folder} has {counts[match[1]]} of {int(match[2])} {match[1]} shards. Copy all of them.")
    return list(shards)


def read(folder: Path) -> Iterator[LabeledImage]:
    """Yield the images in a folder of shards.

    Raises:
        DatasetError: a shard is missing or damaged.
    """
    import_tensorflow()
    import tensorflow as tf

    features = {name: tf.io.FixedLenFeature((), tf.string) for name in ("image", "metadata")}
    for shard in list_shards(folder):
        records = tf.data.TFRecordDataset(str(shard)).map(lambda one: tf.io.parse_single_example(one, features))
        try:
            for record in records.as_numpy_iterator():
                fields = json.loads(record["metadata"])
                fields["box"] = tuple(fields["box"]) if fields["box"] else None
                fields["boxes"] = None if fields["boxes"] is None else tuple(map(tuple, fields["boxes"]))
                yield LabeledImage(record["image"], **fields)
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
            cause = re.sub(r"{{.*?}} ?", "", str(error)).partition(" [")[0]
            raise DatasetError(f"Shard {shard} is damaged: {cause}. Copy it again, or pack it again.") from None


def _serialize(image: LabeledImage) -> bytes:
    import tensorflow as tf

    metadata = {name: value for name, value in vars(image).items() if name not in ("data", "held_out")}
    values = {"image": image.data, "metadata": json.dumps(metadata, ensure_ascii=False).encode()}
    feature = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in values.items()}
    serialized: bytes = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    return serialized
