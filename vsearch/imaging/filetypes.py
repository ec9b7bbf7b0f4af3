"""File types detected from the first bytes of a file, never from its name."""

import re
from dataclasses import dataclass

from vsearch.core.errors import Phrase

_HEAD_BYTES = 1024
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}


NOTHING = Phrase()


@dataclass(frozen=True)
class FileType:
    """A type of file: a supported image format, or any other with advice for the sender."""

    name: Phrase  # with an article
    magic: bytes = b""  # regular expression for the first bytes; empty if they do not suffice to detect the type
    pillow_format: str = ""  # empty unless it is a supported image format
    remedy: Phrase = NOTHING  # what the sender can do instead


# Two letters are a weak marker for BMP, so the header size must be a valid one as well.
JPEG = FileType(Phrase("a JPEG image"), rb"\xff\xd8\xff", "JPEG")
PNG = FileType(Phrase("a PNG image"), rb"\x89PNG\r\n\x1a\n", "PNG")
GIF = FileType(Phrase("a GIF image"), rb"GIF8[79]a", "GIF")
BMP = FileType(Phrase("a BMP image"), rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP")
TIFF = FileType(Phrase("a TIFF image"), rb"II\*\0|MM\0\*", "TIFF")
WEBP = FileType(Phrase("a WebP image"), rb".{8}WEBP", "WEBP")
HEIC = FileType(Phrase("a HEIC image"), pillow_format="HEIF")
AVIF = FileType(Phrase("an AVIF image"), pillow_format="AVIF")

SVG = FileType(Phrase("an SVG drawing"), remedy=Phrase("Save it as PNG and send that"))
HTML = FileType(Phrase("a web page"), remedy=Phrase("Save the picture itself, not the page it is on"))
TEXT = FileType(Phrase("text"), remedy=Phrase("Choose the photo itself"))
PDF = FileType(Phrase("a PDF document"), rb"%PDF-", remedy=Phrase("Take a screenshot of the page and send that"))
VIDEO = FileType(
    Phrase("a video"),
    rb".{8}AVI |\x1a\x45\xdf\xa3|\0\0\x01\xba",
    remedy=Phrase("Take a still photo, or a screenshot of one moment"),
)
AUDIO = FileType(Phrase("an audio file"), rb".{8}WAVE|ID3|OggS|fLaC|\xff\xfb", remedy=Phrase("Choose a photo"))
ARCHIVE = FileType(
    Phrase("an archive"),
    rb"PK\x03\x04|PK\x05\x06|\x1f\x8b|7z\xbc\xaf'\x1c|Rar!\x1a\x07",
    remedy=Phrase("Unpack it and send one photo"),
)
OFFICE = FileType(
    Phrase("an old office document"),
    rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    remedy=Phrase("Extract the picture from it and send that"),
)
RAW = FileType(
    Phrase("a camera raw file"),
    rb".{8}CR\x02|FUJIFILMCCD-RAW|IIRO|IIU\0",
    remedy=Phrase("Export it as JPEG with the camera's software"),
)
JPEG_XL = FileType(Phrase("a JPEG XL image"), rb"\0\0\0\x0cJXL |\xff\x0a", remedy=Phrase("Save it as JPEG or PNG"))
UNKNOWN = FileType(Phrase("a file of unknown type"), remedy=Phrase("Save it as JPEG and send that"))

# RAW precedes TIFF, since it begins with the same magic number.
_DETECTED = (JPEG, PNG, GIF, WEBP, RAW, TIFF, BMP, PDF, VIDEO, AUDIO, ARCHIVE, OFFICE, JPEG_XL)
_MAGIC = tuple((re.compile(file_type.magic, re.DOTALL), file_type) for file_type in _DETECTED)


def identify(data: bytes) -> FileType:
    """Return the type of a file, or `UNKNOWN` if none matches."""
    if data[4:8] == b"ftyp":
        return _identify_iso_media(data)
    for magic, file_type in _MAGIC:
        if magic.match(data):
            return file_type
    return _identify_text(data[:_HEAD_BYTES])


def _identify_iso_media(data: bytes) -> FileType:
    """Distinguish images from videos in the container that HEIC, AVIF, MP4 and QuickTime share."""
    size = int.from_bytes(data[:4], "big")
    brands = {data[8:12], *(data[i : i + 4] for i in range(16, min(size, _HEAD_BYTES), 4))}
    if brands & _AVIF_BRANDS:
        return AVIF
    if data[8:12] == b"crx ":
        return RAW
    if data[8:11] == b"M4A":
        return AUDIO
    return HEIC if brands & _HEIF_BRANDS else VIDEO


def _identify_text(head: bytes) -> FileType:
    """Distinguish SVG, HTML and plain text from binary data."""
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = head.decode(encoding, errors="replace").strip().lower()
    if "<svg" in text:
        return SVG
    if text.startswith(("<!doctype html", "<html")) or "<body" in text:
        return HTML
    invalid = sum(char == "\ufffd" or (char < " " and char not in "\t\r\n") for char in text)
    return TEXT if text and invalid <= len(text) // 50 else UNKNOWN
