"""File types detected from the first bytes of a file, never from its name."""

from dataclasses import dataclass

_HEAD = 1024
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_BMP_HEADER_SIZES = {12, 16, 40, 52, 56, 64, 108, 124}


@dataclass(frozen=True)
class FileType:
    """A type of file: a supported image format, or any other with advice for the sender."""

    name: str
    pillow_format: str = ""
    remedy: str = ""

    @property
    def is_picture(self) -> bool:
        """Whether images of this format are supported."""
        return bool(self.pillow_format)


JPEG = FileType("a JPEG image", "JPEG")
PNG = FileType("a PNG image", "PNG")
GIF = FileType("a GIF image", "GIF")
BMP = FileType("a BMP image", "BMP")
TIFF = FileType("a TIFF image", "TIFF")
WEBP = FileType("a WebP image", "WEBP")
HEIC = FileType("a HEIC image", "HEIF")
AVIF = FileType("an AVIF image", "AVIF")

SVG = FileType("an SVG drawing", remedy="Save it as PNG and send that")
HTML = FileType("a web page", remedy="Save the picture itself, not the page it is on")
TEXT = FileType("text", remedy="Choose the photo itself")
PDF = FileType("a PDF document", remedy="Take a screenshot of the page and send that")
VIDEO = FileType("a video", remedy="Take a still photo, or a screenshot of one moment")
AUDIO = FileType("a sound recording", remedy="Choose a photo")
ARCHIVE = FileType("an archive", remedy="Unpack it and send one photo")
OFFICE = FileType("an old office document", remedy="Save the picture out of it and send that")
RAW = FileType("a camera raw file", remedy="Export it from the camera's software as JPEG")
PSD = FileType("a Photoshop document", remedy="Export it as JPEG or PNG")
JPEG2000 = FileType("a JPEG 2000 image", remedy="Save it as JPEG or PNG")
JPEG_XL = FileType("a JPEG XL image", remedy="Save it as JPEG or PNG")
ICON = FileType("a Windows icon", remedy="Save it as PNG")
PROGRAM = FileType("a program", remedy="Choose a photo")
UNKNOWN = FileType("a file of unknown kind", remedy="Save it as JPEG and send that")

# (offset, marker, type); the first match counts, so a longer marker precedes its own prefix.
_MARKERS: tuple[tuple[int, bytes, FileType], ...] = (
    (0, b"\xff\xd8\xff", JPEG),
    (0, b"\x89PNG\r\n\x1a\n", PNG),
    (0, b"GIF87a", GIF),
    (0, b"GIF89a", GIF),
    (8, b"WEBP", WEBP),
    (8, b"AVI ", VIDEO),
    (8, b"WAVE", AUDIO),
    (8, b"CR\x02", RAW),
    (0, b"FUJIFILMCCD-RAW", RAW),
    (0, b"IIRO", RAW),
    (0, b"IIU\x00", RAW),
    (0, b"II*\x00", TIFF),
    (0, b"MM\x00*", TIFF),
    (0, b"8BPS", PSD),
    (0, b"\x00\x00\x00\x0cjP  ", JPEG2000),
    (0, b"\xff\x4f\xff\x51", JPEG2000),
    (0, b"\x00\x00\x00\x0cJXL ", JPEG_XL),
    (0, b"\xff\x0a", JPEG_XL),
    (0, b"\x00\x00\x01\x00", ICON),
    (0, b"%PDF-", PDF),
    (0, b"PK\x03\x04", ARCHIVE),
    (0, b"PK\x05\x06", ARCHIVE),
    (0, b"\x1f\x8b", ARCHIVE),
    (0, b"7z\xbc\xaf\x27\x1c", ARCHIVE),
    (0, b"Rar!\x1a\x07", ARCHIVE),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OFFICE),
    (0, b"\x1a\x45\xdf\xa3", VIDEO),
    (0, b"\x00\x00\x01\xba", VIDEO),
    (0, b"ID3", AUDIO),
    (0, b"OggS", AUDIO),
    (0, b"fLaC", AUDIO),
    (0, b"\xff\xfb", AUDIO),
    (0, b"\x7fELF", PROGRAM),
    (0, b"MZ", PROGRAM),
)


def identify(data: bytes) -> FileType:
    """Return the type of a file, `UNKNOWN` if none matches."""
    if data[4:8] == b"ftyp":
        return _iso_media(data)
    for offset, marker, file_type in _MARKERS:
        if data.startswith(marker, offset):
            return file_type
    # Two letters are a weak marker, so the header size must be a valid one as well.
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return BMP
    return _text(data[:_HEAD])


def _iso_media(data: bytes) -> FileType:
    """Distinguish images from videos in the container that HEIC, AVIF, MP4 and QuickTime share."""
    size = int.from_bytes(data[:4], "big")
    brands = {data[8:12], *(data[i : i + 4] for i in range(16, min(size, _HEAD), 4))}
    if brands & _AVIF_BRANDS:
        return AVIF
    if data[8:12] == b"crx ":
        return RAW
    if data[8:11] == b"M4A":
        return AUDIO
    return HEIC if brands & _HEIF_BRANDS else VIDEO


def _text(head: bytes) -> FileType:
    """Distinguish SVG, HTML and plain text from binary data."""
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = head.decode(encoding, errors="replace").strip().lower()
    if "<svg" in text:
        return SVG
    if text.startswith(("<!doctype html", "<html")) or "<body" in text:
        return HTML
    invalid = sum(char == "\ufffd" or (char < " " and char not in "\t\r\n") for char in text)
    return TEXT if text and invalid <= len(text) // 50 else UNKNOWN
