"""ICC profiles and color spaces in image files."""

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.pictures import difference, encoded, scene
from vsearch.imaging.codec import decode

Primaries = dict[str, tuple[float, float, float]]

SRGB_PRIMARIES = {"r": (0.4361, 0.2225, 0.0139), "g": (0.3851, 0.7169, 0.0971), "b": (0.1431, 0.0606, 0.7139)}
P3_PRIMARIES = {"r": (0.5151, 0.2412, -0.0011), "g": (0.2920, 0.6922, 0.0419), "b": (0.1571, 0.0666, 0.7841)}
ADOBE_PRIMARIES = {"r": (0.6097, 0.3111, 0.0195), "g": (0.2053, 0.6257, 0.0609), "b": (0.1492, 0.0632, 0.7446)}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def matrix_profile(primaries: Primaries, gamma: float, name: str, space: str) -> bytes:
    """Return an ICC profile of version 2: primaries as XYZ under D50, or none for gray, and one gamma."""

    def s15(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    text = name.encode() + b"\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"wtpt": b"XYZ " + bytes(4) + s15(0.9642, 1, 0.8249),
        b"cprt": b"text" + bytes(4) + b"none\0",
    }
    for color, xyz in primaries.items():
        tags[color.encode() + b"XYZ"] = b"XYZ " + bytes(4) + s15(*xyz)
        tags[color.encode() + b"TRC"] = curve
    if not primaries:
        tags[b"kTRC"] = curve
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x02400000, b"mntr", space.encode(), b"XYZ ")
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + s15(0.9642, 1, 0.8249) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


LINEAR_GRAY = matrix_profile({}, 1.0, "gray", "GRAY")
LINEAR_RGB = matrix_profile(SRGB_PRIMARIES, 1.0, "linear", "RGB ")


def flat(color: Any, mode: str = "RGB") -> Image.Image:
    """Return an image of one color."""
    return Image.new(mode, (32, 32), color)


def srgb_of(color: tuple[int, ...], primaries: Primaries, gamma: float) -> Any:
    """Return the sRGB value of a color by the formulas."""
    xyz = np.array(list(primaries.values())).T @ (np.array(color) / 255) ** gamma
    light = np.clip(np.linalg.inv(np.array(list(SRGB_PRIMARIES.values())).T) @ xyz, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("name", ["sRGB IEC61966-2.1", "linear", ""])
@pytest.mark.parametrize(
    ("primaries", "gamma", "color"),
    [
        (SRGB_PRIMARIES, 1.0, (128, 64, 20)),
        (P3_PRIMARIES, 2.2, (200, 120, 90)),
        (ADOBE_PRIMARIES, 2.2, (150, 110, 90)),
        (SRGB_PRIMARIES, 1.8, (128, 64, 20)),
    ],
    ids=["linear", "display p3", "adobe rgb", "gamma 1.8"],
)
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
def test_colors_are_converted_whatever_the_profile_is_called(
    name: str, primaries: Primaries, gamma: float, color: tuple[int, ...], file_format: str
) -> None:
    profile, expected = matrix_profile(primaries, gamma, name, "RGB "), srgb_of(color, primaries, gamma)
    assert np.abs(expected - color).max() > 8
    data = encoded(flat(color), file_format, icc_profile=profile, lossless=True)
    assert np.abs(decode(data)[5, 5] - expected).max() <= 2


@pytest.mark.parametrize(
    ("color", "mode", "file_format", "profile"),
    [
        (55, "L", "JPEG", LINEAR_GRAY),
        (55, "L", "PNG", LINEAR_GRAY),
        ((55, 255), "LA", "PNG", LINEAR_GRAY),
        (55 * 257, "I;16", "PNG", LINEAR_GRAY),
        (55, "L", "JPEG", LINEAR_RGB),
    ],
)
def test_linear_gray(color: Any, mode: str, file_format: str, profile: bytes) -> None:
    picture = decode(encoded(flat(color, mode), file_format, icc_profile=profile))
    assert np.abs(picture[5, 5].astype(int) - 128).max() <= 2
    assert np.ptp(picture[5, 5]) == 0


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
        matrix_profile({}, 1.0, "sRGB", "GRAY"),
        matrix_profile(SRGB_PRIMARIES, 1.0, "sRGB", "CMYK"),
    ],
    ids=["sRGB", "renamed", "lab", "one byte", "zeros", "head cut", "tags cut", "tag count", "gray", "cmyk"],
)
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_srgb_and_unusable_profiles_change_nothing(file_format: str, profile: bytes) -> None:
    plain = decode(encoded(scene(), file_format))
    assert difference(decode(encoded(scene(), file_format, icc_profile=profile)), plain) == 0


def test_lab_tiff() -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(flat((200, 100, 50)), srgb, lab, outputMode="LAB")
    assert image is not None
    assert np.abs(decode(encoded(image, "TIFF"))[5, 5].astype(int) - (200, 100, 50)).max() <= 3
