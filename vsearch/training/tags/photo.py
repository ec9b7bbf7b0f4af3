"""A whole photo of a shelf tag, with the number's strip somewhere in it: for the reader's tests and for trying it."""

import numpy as np
from PIL import Image, ImageDraw

from vsearch.imaging.codec import Picture
from vsearch.imaging.geometry import Box
from vsearch.ocr.reader import format_article_number
from vsearch.training.tags.camera import Point, perspective, photographed, warped
from vsearch.training.tags.ink import any_font, printed
from vsearch.training.tags.paper import PAPERS, WORDS, Colour, PixelBox, bars, jitter, scenery, shade
from vsearch.training.tags.strip import Digits, any_number

WIDTH, HEIGHT = 480, 640
_MOST_TILT = 8.0  # degrees
_NUMBER_WIDTHS = {4: (0.18, 0.4), 8: (0.32, 0.6)}  # of the photo


def draw_tag_photo(rng: np.random.Generator, digits: Digits, *, number: str = "") -> tuple[Picture, Box, str]:
    """Draw a tag on the edge of a shelf as a shopper photographs it.

    Args:
        rng: all chance comes from it.
        digits: 4 ("1234") or 8 ("123.456.78").
        number: the digits; drawn by chance when empty.

    Returns:
        The photo, uint8 [640, 480, 3]; the upright box around its number; the number's digits.
    """
    number = number or any_number(rng, digits)
    wanted = WIDTH * float(rng.uniform(*_NUMBER_WIDTHS[digits]))
    mask = printed(rng, format_article_number(number), round(wanted / (2.6 if digits == 4 else 5.8)) + 1)
    tag, box = _tag(rng, mask)
    photo = _shelf(rng)
    rim = ((0.0, 0.0), (tag.width, 0.0), (tag.width, tag.height), (0.0, tag.height))
    quad = _placed(rng, tag.width, tag.height)
    size = (WIDTH, HEIGHT)
    shape = warped(Image.new("L", tag.size, 255), rim, quad, size=size, fill=0)
    photo.paste(warped(tag, rim, quad, size=size), (0, 0), shape)
    return photographed(rng, photo, sharp=1.5), _seen(box, perspective(quad, rim)), number


def _tag(rng: np.random.Generator, mask: Image.Image) -> tuple[Image.Image, PixelBox]:
    """Lay out a tag around the ink of its number; return it and the number's box."""
    paper, ink = (jitter(rng, colour, 12) for colour in PAPERS[rng.integers(len(PAPERS))])
    em = mask.height * 1.35
    wider = float(rng.uniform(1.8, 3.0) if mask.width < 4 * mask.height else rng.uniform(1.15, 1.7))
    width = min(round(mask.width * wider), WIDTH - 30)
    pad = max(4, (width - mask.width) // 2 - 2) if rng.random() < 0.4 else max(4, round(0.25 * em))
    left = min(pad, width - mask.width - 2)
    canvas = Image.new("RGB", (width, 1000), paper)
    draw = ImageDraw.Draw(canvas)
    y = round(float(rng.uniform(0.3, 0.6)) * em)
    for part in _order(rng):
        if part == "number":
            canvas.paste(ink, (left, y), mask)
            box = (left, y, left + mask.width, y + mask.height)
            y = box[3]
        elif part == "bars":
            high = round(float(rng.uniform(0.8, 1.6)) * em)
            bars(rng, draw, (left, y, width - left, y + high), ink)
            y += high
        else:
            y = _line(rng, draw, part, where=(left, y), width=width - 3, em=em, ink=ink)
        y += round(float(rng.uniform(0.35, 0.7)) * em)
    return canvas.crop((0, 0, width, y)), box


def _order(rng: np.random.Generator) -> list[str]:
    """Return the parts of a tag from top to bottom."""
    parts = ["number", "bars"] if rng.random() < 0.6 else ["bars", "number"]
    parts = parts if rng.random() < 0.75 else ["number"]
    return ["name", *(["words"] if rng.random() < 0.6 else []), *(["price"] if rng.random() < 0.8 else []), *parts]


def _line(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    part: str,
    *,
    where: tuple[int, int],
    width: int,
    em: float,
    ink: Colour,
) -> int:
    """Write one line of a tag that is `width` pixels wide; return where it ends."""
    texts = {
        "name": (" ".join(rng.choice(WORDS, 2).tolist()), 1.1),
        "words": (f"{rng.integers(10, 250)} x {rng.integers(10, 250)} cm {rng.choice(WORDS)}", 0.7),
        "price": (f"{rng.integers(5, 900)}.{rng.choice(('-', '99', '95', '00'))}", 1.9),
    }
    text, size = texts[part]
    font = any_font(rng, max(8, round(size * em)))
    left, top = where
    if font.getlength(text) > width - left:
        font = font.font_variant(size=max(8, int(font.size * (width - left) / font.getlength(text))))
    draw.text(where, text, fill=ink, font=font, anchor="lt")
    return top + round(0.75 * font.size)


def _shelf(rng: np.random.Generator) -> Image.Image:
    """Return what a tag hangs on."""
    photo = scenery(rng, WIDTH, HEIGHT)
    draw = ImageDraw.Draw(photo)
    top, high = int(rng.uniform(0.1, 0.5) * HEIGHT), int(rng.uniform(0.25, 0.5) * HEIGHT)
    draw.rectangle((0, top, WIDTH, top + high), shade(rng))
    draw.line((0, top, WIDTH, top), shade(rng), int(rng.integers(1, 8)))
    draw.line((0, top + high, WIDTH, top + high), shade(rng), int(rng.integers(1, 8)))
    return photo


def _placed(rng: np.random.Generator, width: int, height: int) -> list[Point]:
    """Return where the corners of a tag lie in the photo, clockwise from the top left, all inside it."""
    angle = np.deg2rad(float(np.clip(rng.normal(0, 3.5), -_MOST_TILT, _MOST_TILT)))
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (width / 2, height / 2)
    corners = corners @ turn + rng.uniform(-0.03, 0.03, (4, 2)) * width
    low, high = corners.min(axis=0), corners.max(axis=0)
    scale = min(1.0, float(((WIDTH - 8, HEIGHT - 8) / (high - low)).min()))
    room = np.array((WIDTH, HEIGHT)) - scale * (high - low)
    where = room * rng.uniform(0.05, 0.95, 2) - scale * low
    return [(float(x), float(y)) for x, y in corners * scale + where]


def _seen(box: PixelBox, numbers: np.ndarray) -> Box:
    """Return the upright box around a tag's box in the photo, by the projective map from the tag to the photo."""
    left, top, right, bottom = box
    a, b, c, d, e, f, g, h = numbers
    x, y = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float).T
    below = g * x + h * y + 1
    across, down = (a * x + b * y + c) / below / WIDTH, (d * x + e * y + f) / below / HEIGHT
    clipped = np.clip([across.min(), down.min(), across.max(), down.max()], 0, 1)
    return Box(*clipped.tolist())
