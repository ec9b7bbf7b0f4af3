"""One labelled picture, still encoded, and how its file, its value and its split are found."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vsearch.core.archives import DAMAGED, Archive, open_archive, reason
from vsearch.core.errors import DatasetError, ImageRejected
from vsearch.imaging.codec import Limits, Picture, decode

Side = Literal["train", "val"]
SIDES: tuple[Side, Side] = ("train", "val")
Sides = tuple[float, float, float, float]


@dataclass(frozen=True)
class Example:
    """One labelled picture, still encoded.

    Attributes:
        labels: label -> value; a missing label has no key.
        group: examples of one group lie in one split.
        name: what to call it; its own in a source.
        box: left, top, right, bottom of the part that counts, see `shares`; None is all of it.
        boxes: the same of each thing that stands in the picture; None where the source does not say.
    """

    data: bytes
    labels: Mapping[str, str]
    split: Side
    group: str
    name: str
    box: Sides | None = None
    boxes: tuple[Sides, ...] | None = None

    def picture(self, limits: Limits) -> Picture:
        """Decode it and cut it to its box.

        Raises:
            ImageRejected: it cannot be read, or lies wholly outside its box.
        """
        decoded = decode(self.data, limits)
        if self.box is None:
            return decoded
        height, width = decoded.shape[:2]
        x0, y0, x1, y1 = shares(self.box, width, height)
        left, top, right, bottom = (max(0, round(side)) for side in (x0 * width, y0 * height, x1 * width, y1 * height))
        part = decoded[top:bottom, left:right]
        if min(part.shape[:2]) < limits.min_side:
            raise ImageRejected(
                f"A box must hold at least {limits.min_side} pixels each way, but {self.name} has {self.box} in a "
                f"picture of {width} x {height}; correct the manifest."
            )
        return part


def shares(box: Sides, width: int, height: int) -> Sides:
    """Return a box in shares of its picture's sides; it is in pixels if a number of it is above 1, else in shares."""
    if max(box) <= 1:
        return box
    left, top, right, bottom = box
    return left / width, top / height, right / width, bottom / height


def split_of(group: str, seed: int, val_share: float) -> Side:
    """Return the split of a group. It depends on nothing else, so that it stays when pictures are added."""
    number = int.from_bytes(hashlib.sha256(f"{seed}:{group}".encode()).digest()[:8])
    return "val" if number < val_share * 2**64 else "train"


def existing(path: Path) -> Path:
    """Return the path of a data set's file or folder.

    Raises:
        DatasetError: it is not there.
    """
    if not path.exists():
        raise DatasetError(
            f"The data set file {path} does not exist; check its name and the folder given with --photos."
        )
    return path


def cleaned(value: str) -> str:
    """Return a value as labels have it: the part after the last slash, `_` as a space."""
    return value.rpartition("/")[2].replace("_", " ").strip()


def opened(path: Path) -> Archive:
    """Open a folder, tar or zip of pictures.

    Raises:
        DatasetError: it is not there or damaged.
    """
    try:
        return open_archive(existing(path))
    except DAMAGED as error:
        raise _damaged(path, error) from None


def read(archive: Archive, name: str) -> bytes:
    """Return a picture's bytes.

    Raises:
        DatasetError: the archive is damaged there.
    """
    try:
        return archive.read(name)
    except DAMAGED as error:
        raise _damaged(archive.path, error) from None


def _damaged(path: Path, error: Exception) -> DatasetError:
    return DatasetError(
        f"Pictures must be in a sound folder, tar or zip, but {path} is not ({reason(error)}); copy it again."
    )
