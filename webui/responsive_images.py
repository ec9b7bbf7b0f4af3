"""Addresses of a product's image in several sizes and formats, from which the browser chooses."""

from dataclasses import dataclass

from flask import Flask, url_for

from vsearch.imaging.codec import THUMBNAIL_FORMATS
from webui.image_files import WIDTHS

MEDIA_TYPES = {"avif": "image/avif", "webp": "image/webp", "jpg": "image/jpeg"}
FALLBACK_WIDTH = 640
"""Longer side of the JPEG for browsers that know no newer format, in pixels."""


@dataclass(frozen=True)
class FormatSource:
    """A `<source>` element: the image in one format."""

    media_type: str
    srcset: str


def register(app: Flask) -> None:
    """Let templates use `picture_sources` and `picture_fallback`."""
    app.jinja_env.globals.update(picture_sources=picture_sources, picture_fallback=picture_fallback)


def picture_sources(sha256: str, side: int | None, largest: int) -> list[FormatSource]:
    """Return an image in the newer formats, the smallest files first, in sizes up to `largest` pixels.

    `side` is the longer side of the original, if known: larger sizes would be copies of the same file.
    """
    widths = _widths(side, largest)
    return [
        FormatSource(
            MEDIA_TYPES[suffix],
            ", ".join(f"{_address(sha256, width, suffix)} {min(width, side or width)}w" for width in widths),
        )
        for suffix in THUMBNAIL_FORMATS[:-1]
    ]


def picture_fallback(sha256: str, side: int | None, largest: int) -> str:
    """Return the address of the image as a JPEG."""
    return _address(sha256, _widths(side, min(largest, FALLBACK_WIDTH))[-1], THUMBNAIL_FORMATS[-1])


def _widths(side: int | None, largest: int) -> list[int]:
    enough = next((width for width in WIDTHS if side and width >= side), WIDTHS[-1])
    return [width for width in WIDTHS if width <= min(enough, largest)]


def _address(sha256: str, width: int, suffix: str) -> str:
    return url_for("shop.catalog_picture", sha256=sha256, width=width, suffix=suffix)
