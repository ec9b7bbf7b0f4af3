"""Decoding and encoding of image files; with `color_profiles`, the only module that uses Pillow.

Uploads are untrusted: the type is detected from the content, and the limits are checked against the header before
any pixel is decoded. The result is always 8-bit sRGB, upright and opaque.
"""

import hashlib
import io
import logging
import math
import random
import re
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from vsearch.core.errors import ImageTooLarge, NotAnImage
from vsearch.core.settings import Settings
from vsearch.imaging import color_profiles, filetypes
from vsearch.imaging.geometry import Box

Picture = NDArray[np.uint8]
"""RGB, uint8 [height, width, 3]."""

MAX_ASPECT = 20

_THUMBNAIL_OPTIONS: dict[str, dict[str, Any]] = {
    "avif": {"format": "AVIF", "quality": 64, "speed": 8, "max_threads": 1},
    "webp": {"format": "WEBP", "quality": 85, "method": 4},
    "jpg": {"format": "JPEG", "quality": 85, "progressive": True, "optimize": True},
}
"""Measured to be equally good (docs/benchmarks.md). One thread, because searches need the other cores."""

THUMBNAIL_FORMATS = tuple(_THUMBNAIL_OPTIONS)
"""File name suffixes, the smallest files first; the last is understood everywhere."""

_LARGE_PIXELS = 16_000_000
"""Larger images are decoded one at a time; most phone photos have 12 million pixels."""

_ARENA_BLOCK_BYTES = 2**26
"""Pillow's allocation unit. With the default of 16 MB, malloc retains hundreds of MB per decoding thread."""

_JPEG_END = b"\xff\xd9"
_MIN_PADDING_BYTES = 16
"""At least this many zeros at the end of a JPEG are padding; a scan may itself end with `_MAX_ZEROS_IN_SCAN`."""

_MAX_ZEROS_IN_SCAN = 4

_PNG_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_PNG_METADATA = re.compile(
    rb"iCCP[^\0]+\0\0|sRGB.\Z|gAMA.{4}\Z|eXIf|.{4}(Raw profile type exif|XML:com\.adobe\.xmp)\0", re.DOTALL
)
"""Name and beginning of the PNG chunks that determine colors and orientation."""

_JPEG_FRAGILE = re.compile(rb"Photoshop 3\.0\0|(?<=\xff\xe2\0[\x0e\x0f])ICC_PROFILE\0")
_HEIF_EXIF_ITEM = re.compile(rb"(infe\x02.{7}|infe\x03.{9})Exif", re.DOTALL)

_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> how to turn the image upright. (ImageOps.exif_transpose fails if any other tag is damaged.)"""

_decoding_large = threading.Lock()


@dataclass(frozen=True)
class Limits:
    """Limits on an image file."""

    max_bytes: int = 20_000_000
    max_pixels: int = 64_000_000
    min_side: int = 16

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the limits in the settings."""
        return cls(settings.max_upload_mb * 1_000_000, settings.max_pixels_mp * 1_000_000)


def decode(data: bytes, limits: Limits = Limits(), *, max_side: int | None = None) -> Picture:
    """Decode an image file, or its first frame: upright, in sRGB, on white.

    An image larger than `max_side` is shrunk while it is decoded, which saves most of the memory.

    Raises:
        ImageTooLarge: the file has too many bytes or pixels.
        NotAnImage: the file is damaged or not an image that can be searched with.
    """
    if not data:
        raise NotAnImage("The photo is empty (0 bytes). Choose it again.")
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(
            "The photo is %(size)s MB, over the limit of %(limit)s MB. Send a smaller copy.",
            size=round(len(data) / 1e6, 1),
            limit=_millions(limits.max_bytes),
        )
    file_type = filetypes.identify(data)
    if not file_type.pillow_format:
        raise NotAnImage(
            "The file is %(type)s, not a JPEG, PNG, WebP, HEIC, AVIF, GIF, BMP or TIFF image. %(remedy)s.",
            type=file_type.name,
            remedy=file_type.remedy,
        )
    _configure_pillow()
    try:
        data = _without_fragile_metadata(data, file_type.pillow_format)
        with _open(data, file_type.pillow_format) as image:
            _check_size(image.width, image.height, limits)
            # A file of 0.2 MB may need half a GB to decode, and several may arrive at once.
            with _decoding_large if image.width * image.height > _LARGE_PIXELS else nullcontext():
                return _decode(data, image, file_type.pillow_format, max_side)
    except (ImageTooLarge, NotAnImage, MemoryError):
        raise
    except Exception as error:  # decoders raise almost anything on damaged data
        raise NotAnImage(
            "The file is %(type)s that is truncated or damaged. Send it again, or save a new copy.",
            type=file_type.name,
        ) from error


def encode_jpeg(picture: Picture, *, quality: int = 90) -> bytes:
    """Return the image as a JPEG file without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, progressive=True, optimize=True)
    return buffer.getvalue()


def encode_thumbnail(picture: Picture, suffix: str) -> bytes:
    """Return the image as a small file without metadata, in a format of `THUMBNAIL_FORMATS`."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, **_THUMBNAIL_OPTIONS[suffix])
    return buffer.getvalue()


def resize(picture: Picture, width: int, height: int) -> Picture:
    """Resize the image with antialiasing."""
    assert picture.shape[2:] == (3,), f"a Picture is [height, width, 3], not {picture.shape}"
    return np.array(_resize(Image.fromarray(picture), width, height))


def crop(picture: Picture, box: Box) -> Picture:
    """Return the part of the image inside the box, at least one pixel; a view, not a copy."""
    height, width = picture.shape[:2]
    left, top = math.floor(box.x0 * width), math.floor(box.y0 * height)
    return picture[top : max(top + 1, math.ceil(box.y1 * height)), left : max(left + 1, math.ceil(box.x1 * width))]


@cache
def _configure_pillow() -> None:
    """Disable Pillow's size limit (`Limits` applies), set the allocation unit, and silence warnings about odd files."""
    Image.MAX_IMAGE_PIXELS = None
    Image.core.set_block_size(_ARENA_BLOCK_BYTES)  # type: ignore[attr-defined]
    warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\b")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)


@cache
def _register_heif() -> None:
    """Add HEIC support to Pillow; deferred to the first such photo, since it loads a codec library."""
    import pillow_heif

    pillow_heif.register_heif_opener()


def _open(data: bytes, pillow_format: str) -> Image.Image:
    """Read the header."""
    if pillow_format == "HEIF":
        _register_heif()
    return Image.open(io.BytesIO(data), formats=(pillow_format,))


def _millions(number: int) -> str:
    return f"{number / 1e6:g}"


def _check_size(width: int, height: int, limits: Limits) -> None:
    size = f"{width} x {height}"
    if width * height > limits.max_pixels:
        raise ImageTooLarge(
            "The photo is %(size)s pixels, over the limit of %(limit)s million pixels. Send a smaller copy.",
            size=size,
            limit=_millions(limits.max_pixels),
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise NotAnImage(
            "The photo is too narrow: one side is over %(limit)s times the other. Crop it to the product.",
            limit=MAX_ASPECT,
        )
    if min(width, height) < limits.min_side:
        raise NotAnImage(
            "The photo is %(size)s pixels, under %(limit)s on one side. Send a larger copy.",
            size=size,
            limit=limits.min_side,
        )


def _without_fragile_metadata(data: bytes, pillow_format: str) -> bytes:
    """Remove metadata that, if damaged or large, makes Pillow reject an intact image."""
    if pillow_format == "PNG":
        return data[:8] + b"".join(_png_chunks(data))
    if pillow_format == "JPEG":
        return _JPEG_FRAGILE.sub(lambda name: bytes(len(name[0])), data)
    if pillow_format in ("HEIF", "AVIF"):  # decoders apply the orientation property of the image, not EXIF
        return _HEIF_EXIF_ITEM.sub(rb"\1skip", data)
    return data


def _png_chunks(data: bytes) -> Iterator[bytes]:
    """Yield the chunks that determine pixels, colors and orientation."""
    start = 8
    while start + 8 <= len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        chunk = data[start:end]
        named = chunk[4:-4]
        is_intact = int.from_bytes(chunk[-4:], "big") == zlib.crc32(named)
        if chunk[4:8] in _PNG_PIXEL_CHUNKS or (_PNG_METADATA.match(named) and is_intact):
            yield chunk
        if chunk[4:8] == b"IEND":
            return
        start = end


def _decode(data: bytes, image: Image.Image, pillow_format: str, max_side: int | None) -> Picture:
    """Return the pixels of an opened file; `ValueError` if rows are missing."""
    if pillow_format == "JPEG":
        if data.rfind(_JPEG_END, data.rfind(b"\xff\xda")) < 0:  # Pillow would reject it even if it is complete
            _check_jpeg_rows(data)
            data += _JPEG_END
            image = _open(data, "JPEG")
        if max_side is not None:
            image.draft("RGB", (max_side, max_side))  # decode at 1/2, 1/4 or 1/8 of the size
    if pillow_format == "PNG":
        _load_png(data, image)
    image.load()
    if pillow_format == "JPEG" and _ends_gray(image):
        _check_jpeg_rows(data, max_side)
    profile = image.info.get("icc_profile")
    gamma = None if "srgb" in image.info else image.info.get("gamma")
    image = color_profiles.without_empty_alpha(image)
    with suppress(Exception):  # damaged EXIF
        image = image.transpose(_TRANSPOSES[image.getexif()[ExifTags.Base.Orientation]])
    if max_side is not None and max(image.size) > max_side:
        image = _resize(image, *(max(1, round(side * max_side / max(image.size))) for side in image.size))
    return np.array(color_profiles.to_srgb(color_profiles.flatten(image), profile, gamma))


def _resize(image: Image.Image, width: int, height: int) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = image.convert("I")
    elif image.mode in ("1", "P", "PA") or "transparency" in image.info:  # palette indexes cannot be averaged
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)


def _check_jpeg_rows(data: bytes, max_side: int | None = None) -> None:
    """Check that no rows are missing at the end of a JPEG, by decoding it twice with different noise appended.

    The decoder fills missing rows with gray without an error.
    """
    end = data.find(_JPEG_END, data.rfind(b"\xff\xda"))
    scans = data[:end] if end >= 0 else data
    padding = len(scans) - len(scans.rstrip(b"\0"))
    if padding >= _MIN_PADDING_BYTES:  # a partial download in a preallocated file
        scans = scans[: _MAX_ZEROS_IN_SCAN - padding]
    digests = set()
    for seed in (1, 2):
        with _open(scans.rstrip(b"\xff") + _noise(seed) + _JPEG_END, "JPEG") as image:
            if max_side is not None:
                image.draft("RGB", (max_side, max_side))
            digests.add(hashlib.sha256(np.asarray(image).data).digest())
    if len(digests) > 1:
        raise ValueError("rows are missing")


def _load_png(data: bytes, image: Image.Image) -> None:
    """Load a PNG and check that no rows are missing at its end: the decoder leaves missing rows unchanged."""
    for copy, fill in ((image, 171), (_open(data, "PNG"), 84)):
        blank = Image.new(copy.mode, copy.size, (fill,) * len(copy.getbands()))
        end = (0, copy.height - 2, copy.width, copy.height)  # the last row of an interlaced image may be in either
        blank_rows = np.asarray(blank.crop(end))
        copy.im = blank.im
        copy.load()
        if not (np.asarray(copy.crop(end)) == blank_rows).reshape(2, -1).all(axis=1).any():
            return
    raise ValueError("rows are missing")


def _noise(seed: int) -> bytes:
    """Return bytes that decode to noise in an unfinished scan, for any restart marker expected next."""
    noise = random.Random(seed)  # nosec B311 # reproducible, not secret
    restarts = (b"", *(bytes((0xFF, marker)) for marker in range(0xD0, 0xD8)))
    return b"".join(restart + bytes(noise.randrange(255) for _ in range(64)) for restart in restarts)


def _ends_gray(image: Image.Image) -> bool:
    """Return whether the last pixel has the brightness with which a JPEG decoder fills missing blocks.

    Chroma is ignored, since it is interpolated from neighboring blocks.
    """
    pixel = cast("int | tuple[int, ...]", image.getpixel((image.width - 1, image.height - 1)))
    inks = pixel if isinstance(pixel, tuple) else (pixel,)
    if image.mode == "RGB":
        inks = (round(0.299 * inks[0] + 0.587 * inks[1] + 0.114 * inks[2]),)
    return any(127 <= ink <= 128 for ink in inks)
