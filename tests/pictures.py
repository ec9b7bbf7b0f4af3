"""Generated image files, and files that are not images."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

SIDE = 64

UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""EXIF orientation -> how to store an upright image with it."""


def scene(width: int = SIDE, height: int = SIDE) -> Image.Image:
    """Return four flat quarters: red, green / blue, white, so that a rotation or a wrong color is detected."""
    image = Image.new("RGB", (width, height), (255, 255, 255))
    image.paste((220, 30, 30), (0, 0, width // 2, height // 2))
    image.paste((30, 160, 60), (width // 2, 0, width, height // 2))
    image.paste((40, 60, 200), (0, height // 2, width // 2, height))
    return image


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    """Return the image as a file in this format."""
    if file_format == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def jpeg(width: int = SIDE, height: int = SIDE) -> bytes:
    """Return a small photo."""
    return encoded(scene(width, height), "JPEG", quality=92)


def noise(width: int, height: int, seed: int = 0) -> bytes:
    """Return a JPEG that does not compress well."""
    values = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return encoded(Image.fromarray(values), "JPEG", quality=95)


def difference(picture: Any, expected: Any) -> int:
    """Return the largest difference of any pixel; 999 if the sizes differ."""
    expected = np.asarray(expected)
    return int(np.abs(picture.astype(int) - expected).max()) if picture.shape == expected.shape else 999


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_header(width: int, height: int) -> bytes:
    """Return a PNG whose header claims a size that its data does not have: a decompression bomb."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + png_chunk(b"IEND", b"")


def bad_files() -> dict[str, tuple[bytes, str]]:
    """Return, for each kind of bad upload, its bytes and part of the error message."""
    photo, picture = noise(96, 96), encoded(scene(), "PNG")
    media = b"\x00\x00\x00\x18ftyp%s\x00\x00\x02\x00" + bytes(64)
    return {
        "empty": (b"", "empty"),
        "truncated jpeg": (photo[: len(photo) // 2], "truncated or damaged"),
        "truncated png": (picture[:60], "truncated or damaged"),
        "truncated gif": (encoded(scene(), "GIF")[:40], "truncated or damaged"),
        "truncated webp": (encoded(scene(), "WEBP")[:50], "truncated or damaged"),
        "truncated heic": (media % b"heic", "truncated or damaged"),
        "jpeg header only": (b"\xff\xd8\xff\xe0" + bytes(16), "truncated or damaged"),
        "damaged png": (picture[:40] + bytes(40) + picture[80:], "truncated or damaged"),
        "decompression bomb": (png_header(60_000, 60_000), "60000 x 60000"),
        "wide bomb": (png_header(2_000_000_000, 2), "million pixels"),
        "no width": (png_header(0, 100), ""),
        "too many pixels": (png_header(9_000, 9_000), "9000 x 9000"),
        "too small": (encoded(scene(8, 8), "PNG"), "8 x 8"),
        "too long": (encoded(scene(1000, 20), "PNG"), "too narrow"),
        "svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        "html": (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        "text": (b"Dear shop, do you have this sofa in green?\n", "text"),
        "text like a bmp": (b"BMW catalog for the year, with all the chairs that we have\n", "text"),
        "utf-16 text": ("Grüße aus dem Möbelhaus".encode("utf-16"), "text"),
        "json": (b'{"image": "aGVsbG8="}', "text"),
        "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF"),
        "mp4": (media % b"isom", "video"),
        "mov": (media % b"qt  ", "video"),
        "webm": (b"\x1a\x45\xdf\xa3" + bytes(60), "video"),
        "avi": (b"RIFF\x00\x01\x00\x00AVI LIST" + bytes(40), "video"),
        "zip": (b"PK\x03\x04" + bytes(60), "archive"),
        "gzip": (b"\x1f\x8b\x08" + bytes(60), "archive"),
        "mp3": (b"ID3\x04" + bytes(60), "audio"),
        "m4a": (media % b"M4A ", "audio"),
        "wav": (b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40), "audio"),
        "canon raw": (b"II*\x00\x10\x00\x00\x00CR\x02\x00" + bytes(40), "raw"),
        "canon raw 3": (media % b"crx ", "raw"),
        "jpeg xl": (b"\xff\x0a" + bytes(40), "JPEG XL"),
        "zeros": (bytes(500), "unknown type"),
        "random bytes": (np.random.default_rng(7).bytes(500), "unknown type"),
    }
