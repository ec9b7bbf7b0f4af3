"""The one door for pictures: bytes in, RGB arrays out, and back.

Everything that reads or writes a picture file goes through here, and this is the only importer of Pillow.
What comes in is hostile until it has passed: the kind is told from the content, the limits are checked on the
header, and only then is a pixel decoded. What comes out is always the same: 8-bit sRGB, upright, opaque.
"""

import hashlib
import io
import logging
import math
import random
import threading
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import Self, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vsearch.core.errors import ImageTooLarge, InvalidRequest, NotAnImage
from vsearch.core.settings import Settings
from vsearch.imaging import color_profiles, containers, filetypes
from vsearch.imaging.containers import Bare

Picture = NDArray[np.uint8]
"""RGB, uint8 [height, width, 3]."""

MAX_ASPECT = 20
MIN_BOX_SIDE = 0.01
_JPEG_END = b"\xff\xd9"
_MIN_PADDING = 16
_MAX_SCAN_ZEROS = 4
"""Bytes of 0 that a scan itself may end with: one after ff always, more where what is flat takes one bit a block."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation -> what makes the picture upright."""

_LARGE = 16_000_000  # pixels; most phones send 12 million
_PILLOW_MODULES = r"(PIL|pillow_heif)\b"

# Pillow's own guard warns at a number of its choosing; `Limits` decides here, on the header, for every file.
Image.MAX_IMAGE_PIXELS = None
Image.core.set_block_size(2**26)  # type: ignore[attr-defined]  # malloc keeps smaller ones, hundreds of MB a thread

_large = threading.Lock()


@dataclass(frozen=True)
class Limits:
    """What a picture file may be at most, and its sides at least."""

    max_bytes: int = 20_000_000
    max_pixels: int = 64_000_000
    min_side: int = 16

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the limits that the settings name."""
        return cls(settings.max_upload_mb * 1_000_000, settings.max_pixels_mp * 1_000_000)


@dataclass(frozen=True)
class Box:
    """A part of a picture, as fractions of its width and height; (0, 0) is the top left corner."""

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        inside = all(0 <= value <= 1 for value in (self.x0, self.y0, self.x1, self.y1))
        if not inside or min(self.x1 - self.x0, self.y1 - self.y0) < MIN_BOX_SIDE:
            raise InvalidRequest(
                "A box must be left,top,right,bottom in fractions from 0 to 1, each side at least "
                f"{MIN_BOX_SIDE}, but was {self}; draw it again on the photo."
            )

    def __str__(self) -> str:
        return ",".join(f"{value:.4g}" for value in (self.x0, self.y0, self.x1, self.y1))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the box written as "x0,y0,x1,y1".

        Raises:
            InvalidRequest: it is not four numbers, or they are not a box.
        """
        try:
            x0, y0, x1, y1 = (float(part) for part in text.split(","))
        except ValueError:
            raise InvalidRequest(
                f"A box must be four numbers with commas between, but was {text[:60]!r}; draw it again on the photo."
            ) from None
        return cls(x0, y0, x1, y1)


def decode(data: bytes, limits: Limits = Limits(), *, max_side: int | None = None) -> Picture:
    """Return the picture in a file: upright, in sRGB, on white; of several frames the first.

    A longer picture than `max_side` is shrunk at once, which saves most memory. Large ones are decoded one at a time:
    a file of 0.2 MB may need half a GB, and eight may come at once.

    Raises:
        ImageTooLarge: too many bytes or pixels.
        NotAnImage: anything else that keeps it from being a picture we can search with.
    """
    if not data:
        raise NotAnImage("A photo must have content, but this file is empty; choose it again.")
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(
            f"A photo may have {limits.max_bytes / 1e6:g} MB, but this one has {len(data) / 1e6:.1f} MB; "
            "send a smaller copy."
        )
    file_type = filetypes.identify(data)
    if not file_type.is_picture:
        raise NotAnImage(
            "A photo must be a JPEG, PNG, WebP, HEIC, AVIF, GIF, BMP or TIFF picture, "
            f"but this is {file_type.name}; {file_type.remedy}."
        )
    _hush_pillow()
    bare = containers.strip(data, file_type.pillow_format)
    try:
        with _open(bare.data, file_type.pillow_format) as image:
            _check_size(image.width, image.height, limits)
            with _large if image.width * image.height > _LARGE else nullcontext():
                return _decode(bare, image, max_side)
    except (ImageTooLarge, NotAnImage, MemoryError):
        raise
    except Exception as error:  # Parsers fed with damaged bytes raise almost anything.
        raise NotAnImage(
            f"A photo must be complete, but this is {file_type.name} that is cut short or damaged; "
            "send it again or save it anew."
        ) from error


def encode_jpeg(picture: Picture, *, quality: int = 90) -> bytes:
    """Return the picture as a JPEG file without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, progressive=True, optimize=True)
    return buffer.getvalue()


def resize(picture: Picture, width: int, height: int) -> Picture:
    """Return the picture at this size, antialiased; uint8 [height, width, 3]."""
    assert picture.shape[2:] == (3,), f"a Picture is [height, width, 3], not {picture.shape}"
    image = Image.fromarray(picture)
    return np.array(image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0))


def crop(picture: Picture, box: Box) -> Picture:
    """Return the part of the picture inside the box, at least one pixel; a view, not a copy."""
    height, width = picture.shape[:2]
    left, top = math.floor(box.x0 * width), math.floor(box.y0 * height)
    return picture[top : max(top + 1, math.ceil(box.y1 * height)), left : max(left + 1, math.ceil(box.x1 * width))]


def _open(data: bytes, pillow_format: str) -> Image.Image:
    """Read the header only."""
    if pillow_format == "HEIF":
        _register_heif()
    return Image.open(io.BytesIO(data), formats=(pillow_format,))


@cache
def _register_heif() -> None:
    """Teach Pillow HEIC; only done when the first such photo comes, since it loads a codec library."""
    import pillow_heif

    pillow_heif.register_heif_opener()


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"A photo may have {limits.max_pixels / 1e6:g} million pixels, "
            f"but this one has {width} x {height}; send a smaller copy."
        )
    if min(width, height) < limits.min_side:
        raise NotAnImage(
            f"A photo must be at least {limits.min_side} pixels on each side, "
            f"but this one is {width} x {height}; send a larger one."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise NotAnImage(
            f"A photo may be {MAX_ASPECT} times as long as wide, but this one is {width} x {height}; "
            "cut it to the product."
        )


def _decode(bare: Bare, image: Image.Image, max_side: int | None) -> Picture:
    """Return the pixels of an opened file, all of them.

    Raises:
        ValueError: rows are missing.
    """
    is_jpeg = image.format == "JPEG"
    if is_jpeg and bare.data.rfind(_JPEG_END, bare.scans) < 0:  # from the end, where it mostly is
        _check_jpeg_rows(bare)
        return _decode(replace(bare, data=bare.data + _JPEG_END), _open(bare.data + _JPEG_END, "JPEG"), max_side)
    if max_side is not None:
        image.draft("RGB", (max_side, max_side))  # a JPEG can be decoded at a half, a quarter or an eighth
    if image.format == "PNG":
        image.im = _filled(image.mode, image.size).im
    image.load()
    if image.format == "TIFF" and image.mode == "RGBA" and not image.getbbox(alpha_only=False):
        # Colors multiplied by an alpha of 0 everywhere come out black, whatever the file holds.
        image = _open(containers.tiff_without_alpha(bare.data), "TIFF")
        image.load()
    if is_jpeg and _ends_gray(image):
        _check_jpeg_rows(bare, max_side)
    if image.format == "PNG" and _ends_filled(image) and not containers.png_has_all_rows(bare.data):
        raise ValueError("rows are missing")
    profile = bare.profile or image.info.get("icc_profile")
    orientation = bare.orientation or containers.exif_orientation(image.info.get("exif") or b"") or 1
    flat = color_profiles.flatten(_upright(image, orientation, max_side))
    return np.array(color_profiles.to_srgb(flat, profile, bare.gamma))


def _check_jpeg_rows(bare: Bare, max_side: int | None = None) -> None:
    """Decode a JPEG with different bytes after its own: where rows are missing, they show.

    The decoder neither says that rows are missing nor leaves them out: it fills them with gray.

    Raises:
        ValueError: rows are missing.
    """
    end = bare.data.find(_JPEG_END, bare.scans)
    scans = bare.data[:end] if end >= 0 else bare.data
    padding = len(scans) - len(scans.rstrip(b"\0"))
    if padding >= _MIN_PADDING:  # a download that was cut short, in a file of the full size
        scans = scans[: _MAX_SCAN_ZEROS - padding]
    scans = scans.rstrip(b"\xff")  # fill bytes
    scan_end = containers.jpeg_scan_end(scans)
    if scan_end < (len(scans) if end < 0 else 0):  # before the end marker there may be a comment
        raise ValueError("scans are missing")
    digests = set()
    for seed in (1, 2):
        with _open(scans[:scan_end] + _scan_filler(seed) + _JPEG_END, "JPEG") as image:
            if max_side is not None:
                image.draft("RGB", (max_side, max_side))
            digests.add(hashlib.sha256(np.asarray(image).data).digest())
    if len(digests) > 1:
        raise ValueError("rows are missing")


def _scan_filler(seed: int) -> bytes:
    """Return bytes that decode to noise wherever a scan still wants some, behind each restart marker too."""
    noise = random.Random(seed)
    restarts = (b"", *(bytes((0xFF, marker)) for marker in range(0xD0, 0xD8)))
    return b"".join(restart + bytes(noise.randrange(255) for _ in range(64)) for restart in restarts)


def _ends_gray(image: Image.Image) -> bool:
    """Whether the last pixel is as bright as those that a JPEG decoder puts in place of missing ones.

    Only brightness counts, since color shines over from the blocks beside; and only one pixel, since the last row of
    blocks may show one row of pixels.
    """
    pixel = cast("int | tuple[int, ...]", image.getpixel((image.width - 1, image.height - 1)))
    inks = pixel if isinstance(pixel, tuple) else (pixel,)
    if image.mode == "RGB":
        inks = (round(0.299 * inks[0] + 0.587 * inks[1] + 0.114 * inks[2]),)
    return any(127 <= ink <= 128 for ink in inks)


def _filled(mode: str, size: tuple[int, int]) -> Image.Image:
    """Return what a PNG is decoded into: not black, with which so many pictures end."""
    fill = 171
    return Image.new(mode, size, (fill,) * bands if (bands := Image.getmodebands(mode)) > 1 else fill)


def _ends_filled(image: Image.Image) -> bool:
    """Whether the last row, or the one before, was left as it was; an interlaced picture ends with either."""
    rows = np.asarray(image.crop((0, image.height - 2, image.width, image.height)))
    fill = np.asarray(_filled(image.mode, (1, 1)))
    return bool((rows == fill).reshape(2, -1).all(axis=1).any())


def _upright(image: Image.Image, orientation: int, max_side: int | None) -> Image.Image:
    """Turn a picture as the camera says, and shrink it to `max_side`, if any."""
    image = color_profiles.without_empty_alpha(image)
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    if max_side is None or max(image.size) <= max_side:
        return image
    if image.mode.startswith("I;16"):
        image = image.convert("I")
    elif image.mode in ("1", "P", "PA") or "transparency" in image.info:  # these cannot be averaged as they are
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    width, height = (max(1, round(side * max_side / max(image.size))) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)


def _hush_pillow() -> None:
    """Ignore Pillow's warnings and log messages about odd files: they are read, or refused with a sentence of ours.

    A filter is shared by all threads, so it is set and left in place, not entered and left around each call.
    """
    known = (getattr(entry[3], "pattern", None) for entry in warnings.filters)
    if _PILLOW_MODULES not in known:
        warnings.filterwarnings("ignore", module=_PILLOW_MODULES)
        logging.getLogger("PIL").setLevel(logging.CRITICAL)
