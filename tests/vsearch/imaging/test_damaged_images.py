"""Image files that violate their format: intact pictures are decoded, incomplete ones rejected."""

import itertools
import re
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.pictures import UNDO, difference, encoded, png_chunk, scene
from vsearch.core.errors import ImageRejected, NotAnImage
from vsearch.imaging.codec import Limits, decode

Entry = tuple[int, int, int, bytes]
"""An entry of a TIFF directory: tag, type, count, value or offset."""

ODD_ENTRIES: dict[str, list[Entry]] = {
    "altitude ref as text": [(0x8825, 4, 1, struct.pack("<I", 38))],
    "resolution as text": [(0x011A, 2, 3, b"72\0\0")],
    "width twice, once untyped": [(0x0100, 4, 1, struct.pack("<I", 64)), (0x0100, 7, 4, b"abcd")],
    "no such type": [(0x0110, 99, 1, b"abcd")],
    "offset beyond the end": [(0x8769, 4, 1, b"\xff\xff\xff\xff"), (0x8825, 4, 1, b"\xff\xff\xff\xff")],
    "directory within itself": [(0x8769, 4, 1, struct.pack("<I", 8))],
}


def exif_block(orientation: Entry | int, *entries: Entry, order: str = "<", tail: bytes = bytes(4)) -> bytes:
    """Return an EXIF block with these entries in the order of their tags."""
    if isinstance(orientation, int):
        orientation = (0x0112, 3, 1, struct.pack(order + "H", orientation) + bytes(2))
    listed = sorted([*entries, orientation], key=lambda entry: entry[0])
    directory = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in listed)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return b"Exif\0\0" + head + struct.pack(order + "H", len(listed)) + directory + tail


def jpeg_with_exif(exif: bytes) -> bytes:
    """Return a JPEG of 96 x 64 pixels with this EXIF block, valid or not."""
    intact = encoded(scene(96, 64), "JPEG", quality=95)
    return intact[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + intact[2:]


def png_with_chunk(image: Image.Image, chunk: bytes) -> bytes:
    """Return a PNG with this chunk after its header."""
    intact = encoded(image, "PNG")
    return intact[:33] + chunk + intact[33:]


def blocks(width: int = 160, height: int = 120) -> Image.Image:
    """Return squares of many colors, so that every part of the file matters."""
    colors = np.random.default_rng(0).integers(0, 255, (height // 20, width // 20, 3), dtype=np.uint8)
    return Image.fromarray(np.kron(colors, np.ones((20, 20, 1), np.uint8)))


@pytest.mark.parametrize("kind", ODD_ENTRIES)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_the_orientation_is_read_from_damaged_exif(file_format: str, kind: str) -> None:
    gps = struct.pack("<HHHI4sI", 1, 5, 2, 2, b"0\0\0\0", 0)
    exif = exif_block(6, *ODD_ENTRIES[kind], tail=bytes(4) + gps)
    stored = scene().transpose(UNDO[6])
    plain = decode(encoded(stored, file_format, quality=95))
    assert difference(decode(encoded(stored, file_format, quality=95, exif=exif)), np.rot90(plain, -1)) == 0


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "value", "turned"),
    [(3, 6, True), (4, 6, True), (3, 0, False), (3, 9, False), (3, 65535, False), (2, 6, False), (7, 6, False)],
)
def test_only_orientations_from_1_to_8_are_applied(order: str, kind: int, value: int, turned: bool) -> None:
    letter = "I" if kind == 4 else "H"
    exif = exif_block((0x0112, kind, 1, struct.pack(order + letter, value).ljust(4, b"\0")), order=order)
    assert decode(jpeg_with_exif(exif)).shape[:2] == ((96, 64) if turned else (64, 96))


@pytest.mark.parametrize("length", range(0, 40, 3))
def test_truncated_exif(length: int) -> None:
    shape = (96, 64, 3) if length >= 28 else (64, 96, 3)
    with warnings.catch_warnings(record=True) as caught:
        assert decode(jpeg_with_exif(exif_block(6)[:length])).shape == shape
    assert caught == []


def segment(marker: int, body: bytes) -> bytes:
    """Return a JPEG segment."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


@pytest.mark.parametrize(
    ("file_format", "header", "bad"),
    [
        *(("PNG", 33, png_chunk(name, b"\0")) for name in (b"gAMA", b"cHRM", b"pHYs", b"acTL")),
        ("PNG", 33, png_chunk(b"sRGB", b"")),
        ("PNG", 33, png_chunk(b"iCCP", b"name\0\7abc")),
        ("PNG", 33, png_chunk(b"gAMA", struct.pack(">I", 100_000))[:-4] + b"sum!"),
        ("PNG", 33, png_chunk(b"zTXt", b"key\0\7abc")),
        ("PNG", 33, png_chunk(b"fcTL", bytes(40))),
        ("PNG", 33, png_chunk(b"eXIf", b"II*\0\xff\xff\xff\xff")),
        ("PNG", 33, png_chunk(b"tEXt", b"text")[:-4] + b"sum!"),
        ("JPEG", 2, segment(0xED, b"Photoshop 3.0\0" + b"8BIM\0\0")),
        ("JPEG", 2, segment(0xE2, b"ICC_PROFILE\0")),
        ("JPEG", 2, segment(0xE2, b"ICC_PROFILE\0\1")),
    ],
)
def test_damaged_metadata_is_ignored(file_format: str, header: int, bad: bytes) -> None:
    intact = encoded(scene(), file_format)
    assert difference(decode(intact[:header] + bad + intact[header:]), decode(intact)) == 0


EXIF_TEXT = b"\nexif\n%8d\n%s\n" % (len(exif_block(6)), exif_block(6).hex().encode())
XMP = b'<x tiff:Orientation="6"/>'


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (b"eXIf", exif_block(6)[6:]),
        (b"tEXt", b"Raw profile type exif\0" + EXIF_TEXT),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(EXIF_TEXT)),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)),
    ],
)
def test_orientation_in_png(name: bytes, body: bytes) -> None:
    assert decode(png_with_chunk(scene(96, 64), png_chunk(name, body))).shape == (96, 64, 3)


@pytest.mark.parametrize("tag", [0x011A, 0x010F, 0x8825, 0x8769, 0x0128])
def test_damaged_tiff_tags(tag: int) -> None:
    data = bytearray(encoded(scene(96, 64), "TIFF", tiffinfo={274: 6, tag: 1, 282: 72.0, 283: 72.0}))
    start = struct.unpack_from("<I", data, 4)[0]
    for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        if struct.unpack_from("<H", data, at)[0] == tag:
            struct.pack_into("<HII", data, at + 2, 2, 0xFFFF, 0xFFFFFFF0)
    assert difference(decode(bytes(data)), np.rot90(np.asarray(scene(96, 64)), -1)) == 0


@pytest.mark.parametrize("file_format", ["HEIF", "AVIF"])
def test_damaged_exif_in_heif_and_avif(file_format: str) -> None:
    data = encoded(scene(96, 64), file_format, exif=exif_block(6, (0x010F, 2, 4, b"abc\0")))
    (found,) = re.finditer(rb"II\*\0|MM\0\*", data)
    start = found.start() + 4
    assert decode(data[:start] + b"\xff" * 10 + data[start + 10 :]).shape == (96, 64, 3)


every_jpeg_kind = pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"subsampling": 0},
        {"restart_marker_rows": 1},
        {"restart_marker_blocks": 3, "progressive": True},
        {"mode": "L"},
        {"mode": "CMYK"},
    ],
    ids=str,
)


def jpeg_of(options: dict[str, Any], image: Image.Image | None = None) -> bytes:
    """Return colored blocks as a JPEG with these options."""
    options = dict(options)
    return encoded((image or blocks()).convert(options.pop("mode", "RGB")), "JPEG", quality=90, **options)


@every_jpeg_kind
@pytest.mark.parametrize(
    "tail", [b"", b"\xff", b"\xff\xff", bytes(100)], ids=["nothing", "half a marker", "fill bytes", "zeros"]
)
@pytest.mark.parametrize("max_side", [None, 40])
def test_complete_jpeg_without_end_marker(options: dict[str, Any], tail: bytes, max_side: int | None) -> None:
    whole = jpeg_of(options)
    assert difference(decode(whole[:-2] + tail, max_side=max_side), decode(whole, max_side=max_side)) == 0


@every_jpeg_kind
@pytest.mark.parametrize("tail", [b"", bytes(5000), b"\xff\xd9"], ids=["nothing", "zeros", "end marker"])
@pytest.mark.parametrize("size", [(160, 120), (160, 113), (640, 480)], ids=str)
@pytest.mark.parametrize("max_side", [None, 40])
def test_jpeg_with_missing_rows_is_rejected(
    options: dict[str, Any], tail: bytes, size: tuple[int, int], max_side: int | None
) -> None:
    """The decoder would fill them with gray; the last row of blocks may contain a single row of pixels."""
    whole = jpeg_of(options, blocks(*size) if size == (160, 120) else scene(*size))
    scan = whole.index(b"\xff\xda")
    ends = [scan + 60]
    if "progressive" not in options:  # a later scan only adds detail
        ends += [scan + int((len(whole) - scan) * share) for share in (0.6, 0.8, 0.9)]
    if "restart_marker_rows" in options:
        ends += [whole.index(b"\xff\xd2") + offset for offset in (0, 2)]
    for end in ends:
        with pytest.raises(NotAnImage):
            decode(whole[:end] + tail, max_side=max_side)


@pytest.mark.parametrize("gray", [127, 128])
def test_a_jpeg_that_ends_gray_is_complete(gray: int) -> None:
    image = blocks()
    image.paste((gray, gray, gray), (60, 60, 160, 120))
    whole = jpeg_of({}, image)
    expected = decode(whole)
    assert np.abs(expected[-1, -1].astype(int) - gray).max() <= 1
    for same in (whole[:-2], whole[:-2] + segment(0xFE, b"abcd") + whole[-2:]):
        assert difference(decode(same), expected) == 0


@pytest.mark.parametrize("last", [b"\xff\x00", b"\x00"])
def test_padding_after_a_scan_that_ends_with_zeros(last: bytes) -> None:
    rng = np.random.default_rng(5)
    images = (Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)) for _ in itertools.count())
    whole = next(data for image in images if (data := jpeg_of({}, image))[:-2].endswith(last))
    assert difference(decode(whole[:-2] + bytes(100)), decode(whole)) == 0


@pytest.mark.parametrize(
    ("file_format", "missing", "tail"),
    [
        *(("JPEG", 0, tail) for tail in (bytes(100), b"text", jpeg_of({"progressive": True}), b"\xff")),
        ("PNG", 12, b""),
        ("PNG", 16, b""),
    ],
)
def test_files_with_odd_ends_are_complete(file_format: str, missing: int, tail: bytes) -> None:
    """They have data after the end marker, or no last chunk, or no checksum of it."""
    whole = encoded(blocks(), file_format)
    assert difference(decode(whole[: len(whole) - missing] + tail), decode(whole)) == 0


@pytest.mark.parametrize("missing", [1, 100, 2000])
@pytest.mark.parametrize("interlaced", [0, 1])
def test_png_that_compresses_too_few_rows_is_rejected(interlaced: int, missing: int) -> None:
    """A complete PNG may end with black rows."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 33, 47, 8, 2, 0, 0, interlaced))
    passes = [(5, 6), (4, 6), (9, 6), (8, 12), (17, 12), (16, 24), (33, 23)] if interlaced else [(33, 47)]
    rows = bytes(sum((1 + 3 * columns) * count for columns, count in passes))

    def png(rows: bytes) -> bytes:
        return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")

    assert decode(png(rows)).max() == 0
    with pytest.raises(NotAnImage):
        decode(png(rows[missing:]))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "P", "1", "I;16"])
def test_black_png_is_complete(mode: str) -> None:
    assert decode(encoded(Image.new(mode, (33, 47)), "PNG")).max() == 0


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        *((name, {}) for name in ("PNG", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "WEBP")),
        ("WEBP", {"lossless": True}),
    ],
)
def test_truncated_files_are_rejected(file_format: str, options: dict[str, Any]) -> None:
    whole = encoded(blocks(), file_format, **options)
    assert decode(whole).shape == (120, 160, 3)
    for share in (0.5, 0.9):
        with pytest.raises(NotAnImage):
            decode(whole[: int(len(whole) * share)])


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP", "BMP palette", "GIF", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_any_damaged_file_is_decoded_or_rejected(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """No other error is raised, and nothing is logged."""
    file_format, _, palette = name.partition(" ")
    image = Image.new("P", (32, 32), 3) if palette else scene() if name in ("JPEG", "HEIF", "GIF") else None
    options: dict[str, Any] = {} if file_format in ("GIF", "BMP") else {"exif": exif_block(6, (0x010F, 2, 4, b"abc\0"))}
    intact = encoded(image or scene().convert("RGBA"), file_format, **options)
    rng = np.random.default_rng(11)
    for _ in range(300):
        data = bytearray(intact)
        end = min(int(rng.choice([40, 200, len(data)])), len(data))
        for position in rng.integers(0, end, rng.integers(1, 4)):
            data[position] = rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))])
        if rng.random() < 0.2:
            data = data[: rng.integers(1, len(data))]
        try:
            picture = decode(bytes(data), Limits(max_pixels=1_000_000))
        except ImageRejected:
            continue
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
    assert caplog.records == []
