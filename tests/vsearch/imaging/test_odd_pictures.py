"""Picture files that break the rules of their formats and still hold a sound picture, and those that do not."""

import re
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.pictures import SIDE, UNDO, encoded, scene
from vsearch.core.errors import ImageRejected, NotAnImage
from vsearch.imaging.codec import Limits, Picture, decode

RED, WHITE = (220, 30, 30), (255, 255, 255)

Entry = tuple[int, int, int, bytes]
"""An entry of a TIFF directory: tag, type, count, value or offset."""

ODD_ENTRIES: dict[str, list[Entry]] = {
    "altitude ref as text": [(0x8825, 4, 1, struct.pack("<I", 38))],
    "resolution as text": [(0x011A, 2, 3, b"72\0\0")],
    "width twice, once untyped": [(0x0100, 4, 1, struct.pack("<I", 64)), (0x0100, 7, 4, b"abcd")],
    "value beyond the end": [(0x010F, 2, 0xFFFF, b"\xff\xff\xff\x7f")],
    "no such type": [(0x0110, 99, 1, b"abcd")],
    "offset beyond the end": [(0x8769, 4, 1, b"\xff\xff\xff\xff"), (0x8825, 4, 1, b"\xff\xff\xff\xff")],
    "directory within itself": [(0x8769, 4, 1, struct.pack("<I", 8))],
    "zero by zero": [(0x011A, 5, 1, bytes(4)), (0x011B, 5, 1, bytes(4))],
}


def exif_block(orientation: Entry | int | None, *entries: Entry, order: str = "<", tail: bytes = bytes(4)) -> bytes:
    """Return an EXIF block with these entries, whatever they are, in the order of their tags."""
    if isinstance(orientation, int):
        orientation = (0x0112, 3, 1, struct.pack(order + "H", orientation) + bytes(2))
    listed = sorted([*entries, *([orientation] if orientation else [])], key=lambda entry: entry[0])
    directory = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in listed)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return b"Exif\0\0" + head + struct.pack(order + "H", len(listed)) + directory + tail


def segment(marker: int, body: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def chunk(name: bytes, body: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_segments(*segments: bytes, image: Image.Image | None = None) -> bytes:
    """Return a JPEG with these segments in front of its own."""
    sound = encoded(image or scene(), "JPEG", quality=95)
    return sound[:2] + b"".join(segments) + sound[2:]


def with_chunks(image: Image.Image, *chunks: bytes) -> bytes:
    """Return a PNG with these chunks behind its header."""
    sound = encoded(image, "PNG")
    return sound[:33] + b"".join(chunks) + sound[33:]


def blocks(width: int = 160, height: int = 120) -> Image.Image:
    """Return squares of many colors, so that every part of the file counts."""
    colors = np.random.default_rng(0).integers(0, 255, (height // 20, width // 20, 3), dtype=np.uint8)
    return Image.fromarray(np.kron(colors, np.ones((20, 20, 1), np.uint8)))


def difference(picture: Picture, wanted: Any) -> int:
    """Return by how much the worst pixel is off; a wrong size is off by more than any."""
    wanted = np.asarray(wanted)
    return int(np.abs(picture.astype(int) - wanted).max()) if picture.shape == wanted.shape else 999


# Metadata


@pytest.mark.parametrize("kind", ODD_ENTRIES)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_odd_exif_costs_neither_the_picture_nor_its_turn(file_format: str, kind: str) -> None:
    """Of EXIF the orientation counts, whatever else is wrong in it."""
    gps = struct.pack("<HHHI4sI", 1, 5, 2, 2, b"0\0\0\0", 0)
    exif = exif_block(6, *ODD_ENTRIES[kind], tail=bytes(4) + gps)
    stored = scene().transpose(UNDO[6])
    plain = decode(encoded(stored, file_format, quality=95))

    assert difference(decode(encoded(stored, file_format, quality=95, exif=exif)), np.rot90(plain, -1)) == 0


@pytest.mark.parametrize("file_format", ["JPEG", "MPO", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_in_every_format(file_format: str, orientation: int) -> None:
    """However the camera was held and whatever it writes, the picture is upright."""
    if file_format == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    stored = scene().transpose(UNDO[orientation]) if orientation in UNDO else scene()
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "camera"
    more = {"save_all": True, "append_images": [scene()]} if file_format == "MPO" else {}
    picture = decode(encoded(stored, file_format, quality=95, exif=exif.tobytes(), **more))

    for row, column in ((8, 8), (8, 56), (56, 8), (56, 56)):
        assert np.abs(picture[row, column].astype(int) - scene().getpixel((column, row))).max() <= 25


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "value", "turned"),
    [
        (3, 6, True),
        (4, 6, True),
        (3, 0, False),
        (3, 9, False),
        (3, 65535, False),
        (2, 6, False),
        (7, 6, False),
        (12, 6, False),
    ],
)
def test_only_numbers_from_1_to_8_turn(order: str, kind: int, value: int, turned: bool) -> None:
    """Whole numbers of any size count, in both byte orders; another type or number leaves the picture as it is."""
    letter = {1: "B", 4: "I"}.get(kind, "H")
    exif = exif_block((0x0112, kind, 1, struct.pack(order + letter, value).ljust(4, b"\0")), order=order)
    image = scene(96, 64)

    assert decode(with_segments(segment(0xE1, exif), image=image)).shape[:2] == ((96, 64) if turned else (64, 96))


@pytest.mark.parametrize("length", range(0, 40, 3))
def test_truncated_exif(length: int) -> None:
    """An EXIF block that ends early turns the picture if the orientation is still there."""
    exif = exif_block(6)[:length]

    assert decode(with_segments(segment(0xE1, exif), image=scene(96, 64))).shape == (
        (96, 64, 3) if length >= 28 else (64, 96, 3)
    )


@pytest.mark.parametrize(
    "name",
    [b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"iTXt packed"],
)
def test_orientation_in_png(name: bytes) -> None:
    """In a chunk of its own, as ImageMagick writes it, and in XMP."""
    exif = exif_block(6)
    text = b"\nexif\n%8d\n%s\n" % (len(exif), exif.hex().encode())
    xmp = b'<x tiff:Orientation="6"/>'
    body = {
        b"eXIf": exif[6:],
        b"tEXt": b"Raw profile type exif\0" + text,
        b"zTXt": b"Raw profile type exif\0\0" + zlib.compress(text),
        b"iTXt": b"XML:com.adobe.xmp\0\0\0\0\0" + xmp,
        b"iTXt packed": b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp),
    }[name]

    assert decode(with_chunks(scene(96, 64), chunk(name[:4], body))).shape == (96, 64, 3)


@pytest.mark.parametrize(
    "bad",
    [
        chunk(b"gAMA", b"\0"),
        chunk(b"cHRM", b"\0"),
        chunk(b"sRGB", b""),
        chunk(b"pHYs", b"\0"),
        chunk(b"zTXt", b"key\0\7abc"),
        chunk(b"acTL", b"\0"),
        chunk(b"fcTL", bytes(40)),
        chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"),
        chunk(b"tEXt", b"text")[:-4] + b"sum!",
    ],
)
def test_a_broken_chunk_beside_the_pixels(bad: bytes) -> None:
    """What is no pixel cannot cost the picture."""
    assert difference(decode(with_chunks(scene(), bad)), scene()) == 0


@pytest.mark.parametrize("tag", [0x011A, 0x010F, 0x8825, 0x8769, 0x0128])
def test_broken_tag_in_tiff(tag: int) -> None:
    """A TIFF whose resolution, maker or sub-directories are broken is read, and turned."""
    data = bytearray(encoded(scene(96, 64), "TIFF", tiffinfo={274: 6, tag: 1, 282: 72.0, 283: 72.0}))
    start = struct.unpack_from("<I", data, 4)[0]
    for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        if struct.unpack_from("<H", data, at)[0] == tag:
            struct.pack_into("<HII", data, at + 2, 2, 0xFFFF, 0xFFFFFFF0)

    assert difference(decode(bytes(data)), np.rot90(np.asarray(scene(96, 64)), -1)) == 0


@pytest.mark.parametrize("file_format", ["HEIF", "AVIF"])
def test_broken_exif_in_heif_and_avif(file_format: str) -> None:
    """What turns these pictures is a property of the picture, not EXIF, which may be broken."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    exif = exif_block(6, (0x010F, 2, 4, b"abc\0"))
    data = encoded(scene(96, 64), file_format, exif=exif)
    (found,) = re.finditer(rb"II\*\0|MM\0\*", data)
    at = found.start()

    assert decode(data[: at + 4] + b"\xff" * 10 + data[at + 14 :]).shape == (96, 64, 3)


# Files that end early


def jpeg_modes() -> list[dict[str, Any]]:
    """Return options that each make scans of another kind."""
    return [
        {},
        {"progressive": True},
        {"subsampling": 0},
        {"restart_marker_rows": 1},
        {"restart_marker_blocks": 3, "progressive": True},
        {"mode": "L"},
        {"mode": "CMYK"},
    ]


def jpeg_of(options: dict[str, Any], image: Image.Image | None = None) -> bytes:
    """Return blocks of color as such a JPEG."""
    options = dict(options)
    return encoded((image or blocks()).convert(options.pop("mode", "RGB")), "JPEG", quality=90, **options)


@pytest.mark.parametrize("options", jpeg_modes(), ids=str)
@pytest.mark.parametrize(
    "tail", [b"", b"\xff", b"\xff\xff", bytes(100)], ids=["nothing", "half a marker", "fill bytes", "zeros"]
)
def test_jpeg_without_end_marker(options: dict[str, Any], tail: bytes) -> None:
    """Its pixels are those of the whole file, shrunk while it is decoded too."""
    whole = jpeg_of(options)

    assert difference(decode(whole[:-2] + tail), decode(whole)) == 0
    assert difference(decode(whole[:-2] + tail, max_side=40), decode(whole, max_side=40)) == 0


@pytest.mark.parametrize("options", jpeg_modes(), ids=str)
@pytest.mark.parametrize("tail", [b"", bytes(5000), b"\xff\xd9"], ids=["nothing", "zeros", "end marker"])
@pytest.mark.parametrize("max_side", [None, 40])
def test_jpeg_with_missing_rows(options: dict[str, Any], tail: bytes, max_side: int | None) -> None:
    """It is refused, wherever it ends: the decoder would fill the rows with gray."""
    whole = jpeg_of(options)
    first_scan = whole.index(b"\xff\xda")
    ends = [first_scan + 60]
    if "progressive" not in options:  # else all rows are there, without all their detail
        ends += [int(len(whole) * share) for share in (0.6, 0.8, 0.9, 0.95)]
    for end in ends:
        with pytest.raises(NotAnImage):
            decode(whole[:end] + tail, max_side=max_side)


@pytest.mark.parametrize("size", [(160, 113), (113, 65), (97, 81), (640, 480)], ids=str)
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("max_side", [None, 40])
def test_jpeg_with_end_marker_that_lacks_its_last_blocks(
    size: tuple[int, int], subsampling: int, mode: str, max_side: int | None
) -> None:
    """It is refused where the last row of blocks shows one row of pixels, and where it is decoded at an eighth."""
    options: dict[str, Any] = {} if mode == "L" else {"subsampling": subsampling}
    whole = jpeg_of({"mode": mode, **options}, scene(*size))
    scan = len(whole) - whole.index(b"\xff\xda")
    for missing in (0.1, 0.3):
        with pytest.raises(NotAnImage):
            decode(whole[: -int(missing * scan)] + b"\xff\xd9", max_side=max_side)


@pytest.mark.parametrize("last", [b"\xff\x00", b"\x00"])
def test_zeros_behind_a_scan_that_ends_with_a_zero(last: bytes) -> None:
    """They are padding; those of the scan are not."""
    rng = np.random.default_rng(5)
    found = 0
    while found < 3:
        noise = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        whole = jpeg_of({}, noise)
        if whole[:-2].endswith(last):
            found += 1
            assert difference(decode(whole[:-2] + bytes(100)), decode(whole)) == 0


def test_jpeg_cut_between_two_restart_intervals() -> None:
    """Rows that are missing from a restart marker on are noticed."""
    whole = jpeg_of({"restart_marker_rows": 1})
    for at in (whole.index(b"\xff\xd2"), whole.index(b"\xff\xd2") + 2):
        for tail in (b"", b"\xff\xd9"):
            with pytest.raises(NotAnImage):
                decode(whole[:at] + tail)


def test_progressive_jpeg_cut_in_its_last_scan() -> None:
    """All rows are there, but not with all their detail."""
    whole = jpeg_of({"progressive": True})
    with pytest.raises(NotAnImage):
        decode(whole[:-40])


@pytest.mark.parametrize("gray", [127, 128])
def test_gray_jpeg_is_no_missing_row(gray: int) -> None:
    """A picture that is gray where it ends is complete, with its end marker or without."""
    image = blocks()
    image.paste((gray, gray, gray), (60, 60, 160, 120))
    whole = jpeg_of({}, image)

    commented = whole[:-2] + b"\xff\xfe\0\x06abcd" + whole[-2:]

    assert np.abs(decode(whole)[-1, -1].astype(int) - gray).max() <= 1
    assert difference(decode(commented), decode(whole)) == 0
    assert difference(decode(whole[:-2]), decode(whole)) == 0


def test_what_follows_the_end_marker_is_ignored() -> None:
    """A second picture, zeros or text behind a JPEG change nothing."""
    whole = jpeg_of({})
    for tail in (bytes(100), b"text", jpeg_of({"progressive": True}), b"\xff"):
        assert difference(decode(whole + tail), decode(whole)) == 0


def test_png_ends() -> None:
    """Without its last chunk a PNG is complete, without its last rows it is not."""
    whole = encoded(blocks(), "PNG")

    assert difference(decode(whole[:-12]), blocks()) == 0
    assert difference(decode(whole[:-16]), blocks()) == 0
    for missing in (30, 100, len(whole) // 2):
        with pytest.raises(NotAnImage):
            decode(whole[:-missing])


@pytest.mark.parametrize("options", [{}, {"lossless": True}], ids=["lossy", "lossless"])
def test_webp_ends(options: dict[str, Any]) -> None:
    """A truncated WebP is refused."""
    whole = encoded(blocks(), "WEBP", exif=exif_block(1, (0x010F, 2, 4, b"abc\0")), **options)
    plain = encoded(blocks(), "WEBP", **options)

    assert difference(decode(whole), decode(plain)) == 0
    for data, missing in ((plain, 10), (plain, len(plain) // 2)):
        with pytest.raises(NotAnImage):
            decode(data[:-missing])


@pytest.mark.parametrize("file_format", ["GIF", "BMP", "TIFF", "AVIF", "HEIF"])
def test_other_formats_with_missing_rows(file_format: str) -> None:
    """None of them is filled up."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    whole = encoded(blocks(), file_format)
    assert decode(whole).shape == (120, 160, 3)
    for share in (0.5, 0.9):
        with pytest.raises(NotAnImage):
            decode(whole[: int(len(whole) * share)])


def test_files_that_end_early_in_many_threads() -> None:
    """Complete and cut files beside each other get the answers that they get alone."""
    whole = jpeg_of({})
    files = [whole, whole[:-2], whole[:-200], whole[:-200] + b"\xff\xd9"] * 8

    def work(data: bytes) -> int | None:
        try:
            return difference(decode(data), wanted)
        except NotAnImage:
            return None

    wanted = decode(whole)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, files)) == [0, 0, None, None] * 8


# Colors


def matrix_profile(primaries: dict[str, tuple[float, float, float]], gamma: float, name: str, space: str) -> bytes:
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
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        table += tag + struct.pack(">II", at + len(body), len(value))
        body += padded
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02400000, b"mntr", space.encode(), b"XYZ ")
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + s15(0.9642, 1, 0.8249) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


SRGB_PRIMARIES = {"r": (0.4361, 0.2225, 0.0139), "g": (0.3851, 0.7169, 0.0971), "b": (0.1431, 0.0606, 0.7139)}
P3_PRIMARIES = {"r": (0.5151, 0.2412, -0.0011), "g": (0.2920, 0.6922, 0.0419), "b": (0.1571, 0.0666, 0.7841)}
ADOBE_PRIMARIES = {"r": (0.6097, 0.3111, 0.0195), "g": (0.2053, 0.6257, 0.0609), "b": (0.1492, 0.0632, 0.7446)}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def flat(color: Any, mode: str = "RGB") -> Image.Image:
    """Return an image of one color."""
    return Image.new(mode, (32, 32), color)


def srgb_of(color: tuple[int, ...], primaries: dict[str, tuple[float, float, float]], gamma: float) -> Any:
    """Return a color of these primaries and gamma in sRGB, by the formulas."""
    xyz = np.array(list(primaries.values())).T @ (np.array(color) / 255) ** gamma
    light = np.clip(np.linalg.inv(np.array(list(SRGB_PRIMARIES.values())).T) @ xyz, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("name", ["sRGB built-in", "sRGB IEC61966-2.1", "linear", ""])
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
def test_a_profile_counts_by_its_content(
    name: str, primaries: dict[str, tuple[float, float, float]], gamma: float, color: tuple[int, ...]
) -> None:
    """Whatever it is called, colors are converted."""
    profile, wanted = matrix_profile(primaries, gamma, name, "RGB "), srgb_of(color, primaries, gamma)
    assert np.abs(wanted - color).max() > 8
    for file_format in ("PNG", "TIFF", "WEBP"):
        data = encoded(flat(color), file_format, icc_profile=profile, lossless=True)
        assert np.abs(decode(data)[5, 5] - wanted).max() <= 2


@pytest.mark.parametrize(
    "profile", [SRGB, SRGB.replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))], ids=["sRGB", "renamed"]
)
def test_srgb_by_any_name_changes_nothing(profile: bytes) -> None:
    """Not one pixel."""
    assert difference(decode(encoded(blocks(), "PNG", icc_profile=profile)), blocks()) == 0


@pytest.mark.parametrize(("mode", "file_format"), [("L", "JPEG"), ("L", "PNG"), ("LA", "PNG"), ("I;16", "PNG")])
def test_gray_profile(mode: str, file_format: str) -> None:
    """Linear gray becomes the gray of sRGB, with an alpha channel and in 16 bits too."""
    profile = matrix_profile({}, 1.0, "gray", "GRAY")
    color = {"L": 55, "LA": (55, 255), "I;16": 55 * 257}[mode]

    picture = decode(encoded(flat(color, mode), file_format, icc_profile=profile))

    assert np.abs(picture[5, 5].astype(int) - 128).max() <= 2
    assert np.ptp(picture[5, 5]) == 0


def test_profile_for_colors_on_a_gray_picture() -> None:
    """Gray is a color too."""
    profile = matrix_profile(SRGB_PRIMARIES, 1.0, "linear", "RGB ")

    assert np.abs(decode(encoded(flat(55, "L"), "JPEG", icc_profile=profile))[5, 5].astype(int) - 128).max() <= 2


@pytest.mark.parametrize(
    "profile",
    [
        b"\0",
        SRGB[:100],
        SRGB[:300],
        SRGB[:128] + b"\xff\xff\xff\xff" + SRGB[132:],
        matrix_profile({}, 1.0, "sRGB", "GRAY"),
        matrix_profile(SRGB_PRIMARIES, 1.0, "sRGB", "CMYK"),
    ],
    ids=["one byte", "head cut", "tags cut", "tag count", "gray", "cmyk"],  # a profile says when it was made
)
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_a_profile_that_cannot_be_used_keeps_the_picture(file_format: str, profile: bytes) -> None:
    """Broken, or for pictures of another kind."""
    plain = decode(encoded(scene(), file_format))

    assert difference(decode(encoded(scene(), file_format, icc_profile=profile)), plain) == 0


def test_profile_of_a_jpeg_in_parts() -> None:
    """Parts come in any order; with one missing, the colors are left as they are."""
    profile = matrix_profile(SRGB_PRIMARIES, 1.0, "sRGB", "RGB ")
    parts = [
        segment(0xE2, b"ICC_PROFILE\0" + bytes((number, 3)) + profile[start : start + 200])
        for number, start in ((1, 0), (2, 200), (3, 400))
    ]
    image = flat((55, 55, 55))

    assert abs(int(decode(with_segments(parts[2], parts[0], parts[1], image=image))[5, 5, 0]) - 128) <= 2
    assert abs(int(decode(with_segments(parts[0], parts[2], image=image))[5, 5, 0]) - 55) <= 1


def test_lab_tiff() -> None:
    """L*a*b* becomes the color that it is."""
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(flat((200, 100, 50)), srgb, lab, outputMode="LAB")
    assert image is not None

    assert np.abs(decode(encoded(image, "TIFF"))[5, 5].astype(int) - (200, 100, 50)).max() <= 3


# Alpha, and BMP


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF", "AVIF", "BMP", "GIF"])
@pytest.mark.parametrize("max_side", [None, 32])
def test_alpha_that_is_0_everywhere_is_opaque(file_format: str, max_side: int | None) -> None:
    """Programs that know no alpha channel leave it 0; nobody sends a picture of nothing."""
    image = scene().convert("RGBA")
    image.putalpha(0)
    options: dict[str, Any] = {"WEBP": {"exact": True, "lossless": True}}.get(file_format, {})
    if file_format == "BMP":
        data = bmp(124, 32, np.asarray(image)[::-1, :, [2, 1, 0, 3]].tobytes(), masks=True)
    elif file_format == "GIF":
        image = flat(0, "P")
        image.putpalette(RED)
        data = encoded(image, "GIF", transparency=0)
    else:
        data = encoded(image, file_format, **options)

    picture = decode(data, max_side=max_side)

    assert np.abs(picture[4, 4].astype(int) - RED).max() <= 10


@pytest.mark.parametrize("mode", ["LA", "PA"])
def test_empty_alpha_of_other_modes(mode: str) -> None:
    """Gray and palettes too."""
    image = scene().convert("RGBA")
    image.putalpha(0)
    opaque = decode(encoded(scene().convert("L" if mode == "LA" else "RGB"), "PNG"))

    assert difference(decode(encoded(image.convert(mode), "TIFF" if mode == "PA" else "PNG")), opaque) <= 60


def test_one_opaque_pixel_is_enough() -> None:
    """Then the rest is transparent, as the file says."""
    image = scene().convert("RGBA")
    image.putalpha(0)
    image.putpixel((63, 63), (*RED, 255))
    picture = decode(encoded(image, "PNG"))

    assert picture[4, 4].tolist() == list(WHITE)
    assert picture[63, 63].tolist() == list(RED)


def bmp(
    header: int, bits: int, pixels: bytes, *, masks: bool = False, top_down: bool = False, reserved: bytes = bytes(4)
) -> bytes:
    """Return a BMP of 64 x 64 pixels with a header of this many bytes."""
    if header == 12:
        dib = struct.pack("<IHHHH", header, SIDE, SIDE, 1, bits)
    else:
        height = -SIDE if top_down else SIDE
        dib = struct.pack("<IiiHHIIiiII", header, SIDE, height, 1, bits, 3 if masks else 0, len(pixels), 0, 0, 0, 0)
        dib += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) if masks else b""
        dib = dib.ljust(header, b"\0")
    start = 14 + len(dib)
    return b"BM" + struct.pack("<I", start + len(pixels)) + reserved + struct.pack("<I", start) + dib + pixels


@pytest.mark.parametrize("header", [12, 40, 52, 56, 64, 108, 124])
@pytest.mark.parametrize("bits", [24, 32])
@pytest.mark.parametrize("reserved", [bytes(4), b"\1\0\0\0", b"abcd"])
def test_bmp_headers(header: int, bits: int, reserved: bytes) -> None:
    """Every version is read, whatever its reserved bytes hold; a fourth byte that is no alpha channel is ignored."""
    rows = np.asarray(scene())[::-1, :, ::-1]
    if bits == 32:
        rows = np.concatenate([rows, np.zeros((SIDE, SIDE, 1), np.uint8)], axis=2)

    assert difference(decode(bmp(header, bits, rows.tobytes(), reserved=reserved)), scene()) == 0


def test_bmp_from_top_to_bottom() -> None:
    """A negative height turns the order of the rows."""
    assert difference(decode(bmp(40, 24, np.asarray(scene())[:, :, ::-1].tobytes(), top_down=True)), scene()) == 0


def test_bmp_with_run_lengths() -> None:
    """RLE8 is read, and refused where rows are missing."""
    palette = bytes((30, 30, 220, 0)) + bytes(255 * 4)
    dib = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 8, 1, 0, 0, 0, 256, 0)
    head = b"BM" + struct.pack("<IHHI", 0, 7, 7, 14 + 40 + 1024) + dib + palette

    assert decode(head + b"\x40\0\0\0" * SIDE + b"\0\1")[5, 5].tolist() == list(RED)
    with pytest.raises(NotAnImage):
        decode(head + b"\x40\0\0\0" * (SIDE // 2))


def test_text_that_begins_like_bmp_is_text() -> None:
    """Two letters are no picture."""
    with pytest.raises(NotAnImage, match="text"):
        decode(b"BMW catalog for the year, with all the chairs that we have\n")


# Anything else


def fuzzed_files() -> dict[str, bytes]:
    """Return a small sound file of each format, with metadata where it has some."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    image, options = scene().convert("RGBA"), {"exif": exif_block(6, (0x010F, 2, 4, b"abc\0")), "icc_profile": SRGB}
    files = {name: encoded(image, name, **options) for name in ("PNG", "WEBP", "TIFF", "AVIF")}
    files |= {name: encoded(scene(), name, **options) for name in ("JPEG", "HEIF")}
    files |= {"GIF": encoded(scene(), "GIF"), "BMP": encoded(image, "BMP"), "BMP palette": encoded(flat(3, "P"), "BMP")}
    return files


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP", "BMP palette", "GIF", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_any_header_gives_a_picture_or_a_refusal(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """No other error, no warning and nothing in the log, whatever bytes are changed."""
    sound = fuzzed_files()[name]
    random = np.random.default_rng(11)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(300):
            data = bytearray(sound)
            end = min(int(random.choice([40, 200, len(data)])), len(data))
            for place in random.integers(0, end, random.integers(1, 4)):
                data[place] = random.choice([0, 1, 127, 128, 255, int(random.integers(256))])
            try:
                picture = decode(
                    bytes(data[: random.integers(1, len(data))] if random.random() < 0.2 else data),
                    Limits(max_pixels=1_000_000),
                )
            except ImageRejected:
                continue
            assert picture.dtype == np.uint8
            assert picture.ndim == 3
    assert caplog.records == []
