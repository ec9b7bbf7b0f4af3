"""What a picture file says beside its pixels: the orientation and the color profile; and the file without the rest.

Cameras, phones and editors write metadata that breaks its own rules, and a decoder that reads all of it refuses sound
pictures. So only what changes the pixels is read here, from the bytes, and the decoder gets a file without metadata.
`strip` raises no error: what cannot be understood is left to the decoder.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

_ORIENTATION = 0x0112
_EXTRA_SAMPLES = 338
_MAX_PROFILE_BYTES = 16_000_000
_MAX_TEXT_BYTES = 1_000_000
_INTEGER_TYPES = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4}
"""TIFF's types of whole numbers -> bytes of each."""

_TIFF_PIXEL_TAGS = frozenset(
    (
        *(256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284),  # size, sample layout, strips
        *(292, 293, 317, 320, 322, 323, 324, 325, 332, 338, 339),  # fax options, predictor, palette, tiles, alpha
        *(347, 512, 513, 514, 515, 517, 518, 519, 520, 521),  # JPEG inside TIFF
        *(529, 530, 531, 532, 34675),  # YCbCr, color profile
    )
)
_WEBP_PIXEL_CHUNKS = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"}
_WEBP_METADATA_FLAGS = 0x20 | 0x08 | 0x04  # profile, EXIF, XMP
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
_PNG_TEXT_CHUNKS = {b"tEXt", b"zTXt", b"iTXt"}
_PNG_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_PNG_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of an interlaced PNG: first column, first row, and the steps to the next ones."""

_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_HEIF_EXIF_ITEM = re.compile(rb"(infe\x02.{7}|infe\x03.{9})Exif", re.DOTALL)


@dataclass(frozen=True)
class Bare:
    """A picture file without metadata.

    Attributes:
        data: the file that a decoder reads.
        orientation: EXIF's number from 1 to 8, 1 for a picture that is upright; None if the decoder has to say it.
        profile: ICC profile; None if there is none or the decoder gives it.
        gamma: of a PNG without a profile; None if it is that of sRGB.
        scans: where the first scan of a JPEG begins in `data`.
    """

    data: bytes
    orientation: int | None = None
    profile: bytes | None = None
    gamma: float | None = None
    scans: int = 0


def strip(data: bytes, pillow_format: str) -> Bare:
    """Return the file without its metadata, and what of them changes the pixels."""
    if pillow_format == "JPEG":
        return _strip_jpeg(data)
    if pillow_format == "PNG":
        return _strip_png(data)
    if pillow_format == "WEBP":
        return _strip_webp(data)
    if pillow_format == "TIFF":
        return _strip_tiff(data)
    if pillow_format == "BMP":
        return Bare(_unmasked_bmp(data), orientation=1)
    if pillow_format in ("HEIF", "AVIF"):  # what turns them is a property of the picture, not EXIF; decoders apply it
        return Bare(_HEIF_EXIF_ITEM.sub(rb"\1skip", data))
    return Bare(data, orientation=1)


def exif_orientation(exif: bytes) -> int | None:
    """Return the orientation in an EXIF block, 1 to 8; None if it names none."""
    tiff = exif
    while tiff.startswith(b"Exif\0\0"):
        tiff = tiff[6:]
    order = _byte_order(tiff)
    if order is None:
        return None
    for tag, kind, _count, value in _tiff_entries(tiff, order, int.from_bytes(tiff[4:8], order)):
        if tag == _ORIENTATION and kind in _INTEGER_TYPES:
            number = int.from_bytes(value[: _INTEGER_TYPES[kind]], order)
            if 1 <= number <= 8:
                return number
    return None


def png_has_all_rows(data: bytes) -> bool:
    """Whether the packed pixels of a PNG are as many as its header says."""
    width, height, depth, kind, *_, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * {2: 3, 4: 2, 6: 4}.get(kind, 1)
    missing = 0
    for left, top, across, down in _PNG_PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -((left - width) // across), -((top - height) // down)
        missing += rows * (1 + (columns * bits + 7) // 8) if columns > 0 else 0
    unpacker = zlib.decompressobj()
    for name, body in _png_chunks(data):
        if name == b"IDAT":
            body = body[8:-4]
            while body and missing > 0:
                missing -= len(unpacker.decompress(body, _MAX_TEXT_BYTES))
                body = unpacker.unconsumed_tail
    return missing <= 0


def jpeg_scan_end(data: bytes) -> int:
    """Return where the packed pixels of the last scan in a JPEG without end marker end; -1 where none begin."""
    scan = data.rfind(b"\xff\xda")
    start = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")
    if scan < 0 or start > len(data):
        return -1
    marker = _JPEG_MARKER.search(data, start)
    return marker.start() if marker else len(data)


def _xmp_orientation(xmp: bytes) -> int | None:
    match = re.search(rb"tiff:Orientation(?:=[\"']|>)([1-8])", xmp)
    return int(match[1]) if match else None


def _strip_jpeg(data: bytes) -> Bare:
    """Keep the segments that decode pixels, and those of JFIF and Adobe, which say what the components are."""
    kept, at = [data[:2]], 2
    exif, xmp = None, None
    profile: dict[int, bytes] = {}
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 3:
        marker = data[at + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:  # no segment
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in (0xD9, 0xDA) or end > len(data):
            break
        body = data[at + 4 : end]
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            exif = exif or exif_orientation(body)
        elif marker == 0xE1 and body.startswith(_XMP_PREFIX):
            xmp = xmp or _xmp_orientation(body)
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
            profile[body[12]] = body[14:]
        elif marker == 0xEE or not 0xE1 <= marker <= 0xFE:
            kept.append(data[at:end])
        at = max(end, at + 2)
    head = b"".join(kept)
    rest = data[at:] if at >= 0 else b""
    return Bare(head + rest, exif or xmp or 1, _in_order(profile), scans=len(head))


def _in_order(parts: dict[int, bytes]) -> bytes | None:
    """Return the profile of which a JPEG holds numbered parts; None if there is none or a part is missing."""
    numbers = sorted(parts)
    complete = numbers == list(range(1, len(numbers) + 1))
    return b"".join(parts[number] for number in numbers) if numbers and complete else None


def _strip_png(data: bytes) -> Bare:
    """Keep the chunks that make pixels; of several profiles and EXIF blocks take the first."""
    kept = [data[:8]]
    found: dict[bytes, bytes] = {}
    for name, body in _png_chunks(data):
        if name in _PNG_PIXEL_CHUNKS:
            kept.append(body)
        else:
            found.setdefault(body[8:40].partition(b"\0")[0] if name in _PNG_TEXT_CHUNKS else name, body)
    orientation = exif_orientation(found.get(b"eXIf", b"")[8:])
    orientation = orientation or exif_orientation(_hex_profile(_text(found.get(b"Raw profile type exif", b""))))
    orientation = orientation or _xmp_orientation(_text(found.get(b"XML:com.adobe.xmp", b"")))
    profile = _unpack(found.get(b"iCCP", b"")[8:].partition(b"\0")[2][1:], _MAX_PROFILE_BYTES)
    gamma = None
    if not profile and b"sRGB" not in found and len(found.get(b"gAMA", b"")) == 16:
        gamma = int.from_bytes(found[b"gAMA"][8:12], "big") / 100_000
    return Bare(b"".join(kept), orientation or 1, profile or None, gamma)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name of each chunk and the chunk itself, with its size, name and checksum, up to the last."""
    at = 8
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        yield name, data[at:end]
        if name == b"IEND":
            return
        at = end


def _unpack(packed: bytes, max_bytes: int) -> bytes:
    """Return unpacked bytes, or none if they are damaged or too many."""
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(packed, max_bytes)
    except zlib.error:
        return b""
    return b"" if unpacker.unconsumed_tail else unpacked


def _text(chunk: bytes) -> bytes:
    """Return the text in a PNG chunk tEXt, zTXt or iTXt."""
    kind, (_, _, body) = chunk[4:8], chunk[8:-4].partition(b"\0")
    if kind == b"iTXt":
        is_packed, body = body[:1] == b"\1", b"".join(body[2:].split(b"\0", 2)[2:])
        return _unpack(body, _MAX_TEXT_BYTES) if is_packed else body
    return _unpack(body[1:], _MAX_TEXT_BYTES) if kind == b"zTXt" else body


def _hex_profile(text: bytes) -> bytes:
    """Return the bytes that ImageMagick writes in hexadecimal, after a line with their kind and one with their size."""
    try:
        return bytes.fromhex("".join(text.decode("ascii").split("\n")[3:]))
    except ValueError:
        return b""


def _strip_webp(data: bytes) -> Bare:
    kept, at = [], 12
    found: dict[bytes, bytes] = {}
    whole = True
    while at + 8 <= len(data):
        size, name = int.from_bytes(data[at + 4 : at + 8], "little"), data[at : at + 4]
        end = at + 8 + size + size % 2
        if name in _WEBP_PIXEL_CHUNKS:
            chunk = data[at:end]
            whole = at + 8 + size <= len(data)
            if name == b"VP8X" and whole and size:
                chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_METADATA_FLAGS]) + chunk[9:]
            kept.append(chunk)
        else:
            found.setdefault(name, data[at + 8 : at + 8 + size])
        at = end
    pixels = b"".join(kept)
    size_field = struct.pack("<I", len(pixels) + 4) if whole else data[4:8]
    orientation = exif_orientation(found.get(b"EXIF", b"")) or _xmp_orientation(found.get(b"XMP ", b""))
    return Bare(b"RIFF" + size_field + b"WEBP" + pixels, orientation or 1, found.get(b"ICCP"))


def _strip_tiff(data: bytes) -> Bare:
    """Leave in the first directory only what makes pixels, in place, so that no offset changes; drop further pages."""
    order = _byte_order(data)
    if order is None:
        return Bare(data)
    start = int.from_bytes(data[4:8], order)
    kept: dict[int, bytes] = {}
    for number, (tag, kind, _count, _value) in enumerate(_tiff_entries(data, order, start)):
        is_blob = tag in (347, 34675)
        if tag in _TIFF_PIXEL_TAGS and (is_blob or kind in (*_INTEGER_TYPES, 5)):
            kept.setdefault(tag, data[start + 2 + 12 * number : start + 14 + 12 * number])
    if not kept:
        return Bare(data)
    directory = len(kept).to_bytes(2, order) + b"".join(kept.values()) + bytes(4)
    return Bare(data[:start] + directory + data[start + len(directory) :], exif_orientation(data) or 1)


def _unmasked_bmp(data: bytes) -> bytes:
    """Return a BMP of 16 or 32 bits a pixel with 8 bits for each color and alpha, wherever its masks have them."""
    if len(data) < 70:
        return data
    start, header, width, height, _, bits, packing = struct.unpack_from("<IIiiHHI", data, 10)
    rows, row_bytes = abs(height), -(-width * bits // 32) * 4
    masks = [mask & (1 << bits) - 1 for mask in struct.unpack_from("<4I", data, 54)]
    if header < 56 and packing == 3:
        masks[3] = 0
    is_masked = header in (40, 52, 56, 108, 124) and packing in (3, 6) and bits in (16, 32) and all(masks[:3])
    if not is_masked or width < 1 or start + rows * row_bytes > len(data):
        return data
    packed = np.frombuffer(data, np.uint8, rows * row_bytes, start).reshape(rows, row_bytes)
    pixels = packed.view(f"<u{bits // 8}")[:, :width]
    bgra = np.full((rows, width, 4), 255, np.uint8)
    for channel, mask in zip((2, 1, 0, 3), masks, strict=True):
        if mask:
            lowest = (mask & -mask).bit_length() - 1
            bgra[..., channel] = ((pixels & mask) >> lowest) * np.float32(255 / (mask >> lowest)) + np.float32(0.5)
    head = struct.pack("<2sIII", b"BM", 122 + bgra.nbytes, 0, 122)
    head += struct.pack("<IiiHHI20x4I52x", 108, width, height, 1, 32, 3, 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    return head + bgra.tobytes()


def tiff_without_alpha(data: bytes) -> bytes:
    """Return a TIFF of which the fourth sample means nothing, where its colors were said to be multiplied by it."""
    order = _byte_order(data)
    start = int.from_bytes(data[4:8], order) if order else 0
    for number, (tag, *_rest) in enumerate(_tiff_entries(data, order, start) if order else ()):
        if tag == _EXTRA_SAMPLES:
            value = start + 2 + 12 * number + 8
            return data[:value] + bytes(4) + data[value + 4 :]
    return data


def _byte_order(tiff: bytes) -> Literal["little", "big"] | None:
    return "little" if tiff.startswith(b"II*\0") else "big" if tiff.startswith(b"MM\0*") else None


def _tiff_entries(tiff: bytes, order: Literal["little", "big"], start: int) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield tag, type, count and value of each entry of a directory that is there."""
    layout = ("<" if order == "little" else ">") + "HHI4s"
    for at in range(start + 2, start + 2 + 12 * int.from_bytes(tiff[start : start + 2], order), 12):
        if at + 12 > len(tiff):
            return
        yield struct.unpack_from(layout, tiff, at)
