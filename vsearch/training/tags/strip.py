"""Draw the strip of a shelf tag in a rough box around its number, as the reader sees it."""

from typing import Literal

import numpy as np
from PIL import Image

from vsearch.imaging.codec import Picture
from vsearch.ocr import format_article_number
from vsearch.training.tags.camera import Point, photograph, warp
from vsearch.training.tags.printing import (
    PAPERS,
    WORDS,
    PixelBox,
    TagDecoration,
    draw_background,
    jitter,
    print_text,
    random_color,
)

Digits = Literal[4, 8]

STRIP = {4: (48, 112), 8: (48, 176)}
"""Number of digits -> (height, width) of the strip in pixels."""

_EMS = {4: 3.2, 8: 6.2}
"""Approximate width of a strip in ems of the number's font."""

_BLANKS = ("cut", "far", "near", "other", "print", "scene")


def draw_tag(rng: np.random.Generator, digits: Digits, *, blank: bool = False) -> tuple[Picture, str]:
    """Draw a strip with a random number.

    Args:
        rng: source of all randomness.
        digits: 4 ("1234") or 8 ("123.456.78").
        blank: draw a strip without a whole number: cut off, too far or too near, other print, no tag.

    Returns:
        The picture, uint8 [height, width, 3], and the digits of the number; "" for a blank strip.
    """
    height, width = STRIP[digits]
    number = "".join(str(digit) for digit in rng.integers(0, 10, digits))
    way = str(rng.choice(_BLANKS)) if blank else ""
    if way == "scene":
        return photograph(rng, draw_background(rng, width, height)), ""
    text = _other_print(rng, digits) if way in ("other", "print") else format_article_number(number)
    em = round(width / _EMS[digits] * rng.uniform(0.85, 1.25))
    canvas, box = _tag(rng, text, em, room=2.0 if blank else 1.0)
    corners = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
    strip = warp(canvas, _window(rng, box, way), corners, size=(width, height), fill=random_color(rng))
    return photograph(rng, strip), "" if blank else number


def _other_print(rng: np.random.Generator, digits: Digits) -> str:
    """Return text other than an article number: a price, the digits of a bar code, a date, words."""
    some = "".join(str(digit) for digit in rng.integers(0, 10, 13))
    words = rng.choice(WORDS, 2).tolist()
    price = f"{some[:2]}.{some[2:4]}" if digits == 4 else f"{some[:4]}.{some[4:6]}"
    other = (
        price,  # three times, since it is most easily mistaken for a number
        price,
        price,
        f"{some[:3]}.-",
        some,
        f"{some[:2]}.{some[2:4]}.20{some[4:6]}",
        some[:3],
        " ".join(words),
        f"{some[:2]}x{some[2:5]} cm",
        words[0] * 2,
        format_article_number(some[:8]) if digits == 4 else some[:5],
    )
    return other[int(rng.integers(len(other)))]


def _tag(rng: np.random.Generator, text: str, em: int, *, room: float) -> tuple[Image.Image, PixelBox]:
    """Draw the part of a tag around a text; return it and the text's box."""
    paper, ink = PAPERS[rng.integers(len(PAPERS))]
    mask = print_text(rng, text, em)
    side, rise = round(mask.width * 0.18 * room) + 4, round((mask.width * 0.1 + em) * room)
    canvas = Image.new("RGB", (mask.width + 2 * side, mask.height + 2 * rise), jitter(rng, paper, 12))
    box = (side, rise, side + mask.width, rise + mask.height)
    TagDecoration(rng, canvas, box=box, em=em, ink=ink).draw()
    fade = float(rng.uniform(0.65, 1.0))
    canvas.paste(jitter(rng, ink, 15), (side, rise), mask.point([int(fade * value) for value in range(256)]))
    return canvas, box


def _window(rng: np.random.Generator, box: PixelBox, way: str) -> list[Point]:
    """Return the corners, clockwise from the top left, of a rough, tilted window around a box, in pixels."""
    left, top, right, bottom = box
    w, h = right - left, bottom - top
    angle = np.deg2rad(float(np.clip(rng.normal(0, 2.5), -8, 8)))
    sin, cos = np.sin(angle), np.cos(angle)
    slop = rng.uniform(0.04, 0.24)
    wide = (w * cos + h * abs(sin)) * (1 + slop)
    high = (h * cos + w * abs(sin)) * (1 + rng.uniform(0.1, 0.8))
    x = (left + right) / 2 + w * slop * rng.uniform(-0.4, 0.4)
    y = (top + bottom) / 2 + h * rng.uniform(-0.1, 0.1)
    if way == "cut" and rng.random() < 0.6:
        x += w * rng.choice((-1, 1)) * rng.uniform(0.3, 0.65)
    elif way == "cut":
        y += high * rng.choice((-1, 1)) * rng.uniform(0.45, 0.6)
    grow = {"far": rng.uniform(2.2, 3.5), "near": rng.uniform(0.4, 0.68)}.get(way, 1.0)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (wide * grow / 2, high * grow / 2)
    corners += rng.uniform(-0.06, 0.06, (4, 2)) * high
    turned = corners @ np.array([(cos, sin), (-sin, cos)])
    return [(float(x + dx), float(y + dy)) for dx, dy in turned]
