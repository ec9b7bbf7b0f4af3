"""ICC profiles and color spaces in image files."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.pictures import difference, encoded, png_chunk, scene
from vsearch.imaging.codec import decode

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
SWAPPED = SRGB.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")
"""A profile with red and blue swapped, named sRGB."""


def linear_gray_profile() -> bytes:
    """Return a version 2 ICC profile with a white point and a tone curve of gamma 1."""
    white = struct.pack(">3i", *(round(value * 65536) for value in (0.9642, 1, 0.8249)))
    body = b"XYZ " + bytes(4) + white + b"curv" + bytes(4) + struct.pack(">IHxx", 1, 256)
    table = struct.pack(">I4sII4sII", 2, b"wtpt", 156, 20, b"kTRC", 176, 16)
    head = struct.pack(">I4sI4s4s4s", 192, b"lcms", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + white + bytes(48)
    return head + table + body


LINEAR_GRAY = linear_gray_profile()


def lab_image() -> Image.Image:
    """Return an orange image in Lab."""
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.new("RGB", (32, 32), (200, 100, 50)), srgb, lab, outputMode="LAB")
    assert image is not None
    return image


@pytest.mark.parametrize(
    ("image", "file_format", "profile", "expected"),
    [
        (Image.new("L", (32, 32), 55), "PNG", LINEAR_GRAY, (128, 128, 128)),
        (Image.new("LA", (32, 32), (55, 255)), "PNG", LINEAR_GRAY, (128, 128, 128)),
        (Image.new("L", (32, 32), 55), "PNG", SWAPPED, (55, 55, 55)),
        *((scene(), name, SWAPPED, (30, 30, 220)) for name in ("PNG", "TIFF", "WEBP")),
        (lab_image(), "TIFF", None, (200, 100, 50)),
    ],
)
def test_colors_are_converted_to_srgb(
    image: Image.Image, file_format: str, profile: bytes | None, expected: tuple[int, int, int]
) -> None:
    data = encoded(image, file_format, icc_profile=profile, lossless=True)
    assert np.abs(decode(data)[5, 5].astype(int) - expected).max() <= 3


@pytest.mark.parametrize(
    "profile",
    [
        SRGB,
        SRGB.replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be")),
        LAB,
        b"\0",
        bytes(200),
        SRGB[:100],
        SRGB[:300],
        SRGB[:128] + b"\xff\xff\xff\xff" + SRGB[132:],
        LINEAR_GRAY,
        SRGB.replace(b"RGB ", b"CMYK"),
    ],
    ids=["sRGB", "renamed", "lab", "one byte", "zeros", "head cut", "tags cut", "tag count", "gray", "cmyk"],
)
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_srgb_and_unusable_profiles_change_nothing(file_format: str, profile: bytes) -> None:
    plain = decode(encoded(scene(), file_format))
    assert difference(decode(encoded(scene(), file_format, icc_profile=profile)), plain) == 0


LINEAR = png_chunk(b"gAMA", struct.pack(">I", 100_000))


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        (LINEAR, 128),
        (png_chunk(b"gAMA", struct.pack(">I", 45455)), 55),
        (png_chunk(b"gAMA", bytes(4)), 55),
        (LINEAR + png_chunk(b"sRGB", b"\0"), 55),
        (LINEAR + png_chunk(b"iCCP", b"x\0\0" + zlib.compress(SRGB)), 55),
    ],
    ids=["linear", "gamma of sRGB", "zero", "sRGB", "profile"],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_gamma_of_a_png_without_a_profile(mode: str, chunks: bytes, expected: int) -> None:
    image = Image.new("RGB", (32, 32), (55, 55, 55)).convert(mode, palette=Image.Palette.ADAPTIVE)
    intact = encoded(image, "PNG")
    picture = decode(intact[:33] + chunks + intact[33:])
    assert np.abs(picture[5, 5].astype(int) - expected).max() <= 1
