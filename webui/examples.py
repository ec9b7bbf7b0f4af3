"""Example photos for shoppers who have none at hand: the shop's own, listed once when the application starts."""

import hashlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vsearch.core.errors import ImageRejected, SettingsError
from vsearch.imaging.codec import Limits, decode, encode_jpeg, resize
from webui.uploads import MAX_SIDE

MOST = 12
"""Examples shown at most: more are no invitation, and all are kept in memory."""

SMALL_SIDE = 480
"""Longest side on the start page, in pixels: sharp at its size on a phone."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """One example photo.

    Attributes:
        example_id: names its content, so an address with it never changes.
        words: what it shows, for those who cannot see it.
        photo: the file that is searched with.
        small: the file that the start page shows, its sides given by width and height.
    """

    example_id: str
    words: str
    photo: bytes
    small: bytes
    width: int
    height: int


def files(folder: Path | None) -> list[Path]:
    """Return the files of the folder, in the order of their names; none where no folder is named.

    Raises:
        SettingsError: the folder cannot be read.
    """
    if folder is None:
        return []
    try:
        return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise SettingsError(
            f"Example photos must lie in a folder, but {folder} cannot be read as one ({error.strerror or error}); "
            "correct the setting examples."
        ) from None


def read(folder: Path | None, limits: Limits) -> Mapping[str, Example]:
    """Return the folder's photos by id, the first `MOST` that are pictures; whatever changes there later is not served.

    Raises:
        SettingsError: the folder cannot be read.
    """
    found: dict[str, Example] = {}
    for path in files(folder):
        if len(found) == MOST:
            log.warning("only the first %d example photos of %s are shown", MOST, folder)
            break
        try:
            example = _example(path, limits)
        except (ImageRejected, OSError) as error:
            log.warning("%s is no example photo: %s", path, error)
        else:
            found[example.example_id] = example
    return found


def _example(path: Path, limits: Limits) -> Example:
    with path.open("rb") as file:
        picture = decode(file.read(limits.max_bytes + 1), limits, max_side=MAX_SIDE)
    height, width = picture.shape[:2]
    scale = min(1.0, SMALL_SIDE / max(width, height))
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    small = encode_jpeg(resize(picture, width, height), quality=85)
    words = re.sub(r"[-_\s]+", " ", path.stem).strip()
    return Example(hashlib.sha256(small).hexdigest(), words, encode_jpeg(picture), small, width, height)
