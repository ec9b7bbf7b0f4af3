"""Example photos on the start page, loaded at startup from a folder that the shop provides."""

import hashlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vsearch.core.errors import ImageRejected, SettingsError
from vsearch.imaging.codec import Limits, decode, encode_jpeg, resize
from webui.uploads import MAX_SIDE

MAX_EXAMPLES = 12
"""Limited because all are kept in memory."""

PREVIEW_SIDE = 480
"""Longest side on the start page, in pixels."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExamplePhoto:
    """One example photo."""

    example_id: str  # hash of its content, so that its URL never changes
    caption: str  # what it shows, from the file name
    photo: bytes  # the JPEG to search with
    preview: bytes  # the JPEG on the start page, of `width` x `height` pixels
    width: int
    height: int


def load(folder: Path | None, limits: Limits) -> Mapping[str, ExamplePhoto]:
    """Return the first `MAX_EXAMPLES` photos in the folder, in order of file name, by id."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file()) if folder else []
    except OSError as error:
        reason = error.strerror or error
        raise SettingsError(f"Setting examples: the folder {folder} cannot be read ({reason}).") from None
    examples: dict[str, ExamplePhoto] = {}
    for path in paths:
        if path.name.startswith("."):
            continue
        if len(examples) == MAX_EXAMPLES:
            log.warning("only the first %d example photos in %s are shown", MAX_EXAMPLES, folder)
            break
        try:
            example = _load_example(path, limits)
        except (ImageRejected, OSError) as error:
            log.warning("example photo %s is skipped: %s", path, error)
        else:
            examples[example.example_id] = example
    return examples


def _load_example(path: Path, limits: Limits) -> ExamplePhoto:
    with path.open("rb") as file:
        picture = decode(file.read(limits.max_bytes + 1), limits, max_side=MAX_SIDE)
    height, width = picture.shape[:2]
    scale = min(1.0, PREVIEW_SIDE / max(width, height))
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    preview = encode_jpeg(resize(picture, width, height), quality=85)
    caption = re.sub(r"[-_\s]+", " ", path.stem).strip()
    return ExamplePhoto(hashlib.sha256(preview).hexdigest(), caption, encode_jpeg(picture), preview, width, height)
