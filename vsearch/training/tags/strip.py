"""Draw a strip of a shelf tag, roughly cropped to its number, as if photographed with a phone camera."""

import io
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from vsearch.imaging.codec import Picture
from vsearch.ocr import format_article_number
from vsearch.training.tags.printing import (
    PAPERS,
    WORDS,
    Color,
    PixelBox,
    TagDecoration,
    draw_background,
    jitter,
    print_text,
    random_color,
)

Point = tuple[float, float]
Pixels = NDArray[np.float32]
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
        blank: draw a strip without a complete number: cut off, too far away or too close, other print, or no tag.

    Returns:
        The image, uint8 [height, width, 3], and the digits of the number; "" for a blank strip.
    """
    height, width = STRIP[digits]
    number = "".join(str(digit) for digit in rng.integers(0, 10, digits))
    way = str(rng.choice(_BLANKS)) if blank else ""
    if way == "scene":
        return _photograph(rng, draw_background(rng, width, height)), ""
    text = _other_print(rng, digits) if way in ("other", "print") else format_article_number(number)
    em = round(width / _EMS[digits] * rng.uniform(0.85, 1.25))
    canvas, box = _tag(rng, text, em, room=2.0 if blank else 1.0)
    corners = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
    strip = _warp(canvas, _window(rng, box, way), corners, size=(width, height), fill=random_color(rng))
    return _photograph(rng, strip), "" if blank else number


def _other_print(rng: np.random.Generator, digits: Digits) -> str:
    """Return text other than an article number: a price, the digits of a barcode, a date, words."""
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
    """Draw the part of a tag around the text; return it and the text's box."""
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


def _warp(
    image: Image.Image, sources: Sequence[Point], targets: Sequence[Point], *, size: tuple[int, int], fill: Color
) -> Image.Image:
    """Return an image of `size` (width, height) in which four points of the image are at the targets."""
    rows, values = [], []
    for (u, v), (x, y) in zip(targets, sources, strict=True):
        rows += [(u, v, 1, 0, 0, 0, -x * u, -x * v), (0, 0, 0, u, v, 1, -y * u, -y * v)]
        values += [x, y]
    perspective = np.linalg.solve(np.array(rows, float), np.array(values, float)).tolist()
    return image.transform(size, Image.Transform.PERSPECTIVE, perspective, Image.Resampling.BICUBIC, fillcolor=fill)


def _photograph(rng: np.random.Generator, image: Image.Image) -> Picture:
    """Return a simulated phone photo of the image, uint8 [height, width, 3]; `image` itself may be changed."""
    if rng.random() < 0.3:
        _stain(rng, image)
    if rng.random() < 0.35:
        share = 1 - float(rng.uniform(0.1, 0.55))
        small = image.resize((round(image.width * share), round(image.height * share)), Image.Resampling.BILINEAR)
        image = small.resize(image.size, Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 1.3))))
    pixels = np.asarray(image, np.float32)
    if rng.random() < 0.25:
        pixels = _blur_motion(rng, pixels)
    pixels = pixels * _draw_light(rng, image.height, image.width)
    pixels += np.float32(rng.uniform(0, 40) if rng.random() < 0.3 else 0)
    sigma = np.float32(rng.uniform(0, 14) if rng.random() < 0.7 else 0)
    pixels += sigma * rng.standard_normal(pixels.shape, np.float32)
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=int(rng.integers(35, 96)))
    return np.array(Image.open(buffer))


def _stain(rng: np.random.Generator, image: Image.Image) -> None:
    """Draw dirt and scratches."""
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(int(rng.integers(1, 4))):
        x, y = (rng.uniform(0, 1, 2) * image.size).tolist()
        color = (*random_color(rng), int(rng.integers(40, 140)))
        if rng.random() < 0.5:
            radius = min(image.height, 60) * float(rng.uniform(0.03, 0.15))
            draw.ellipse((x - radius, y - radius, x + radius, y + radius * float(rng.uniform(0.3, 1))), color)
        else:
            dx, dy = (rng.uniform(-1, 1, 2) * image.size).tolist()
            draw.line((x, y, x + dx, y + dy), color, 1)


def _blur_motion(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """Return pixels [h, w, 3] with a slight motion blur."""
    dx, dy = rng.integers(-2, 3, 2).tolist()
    moved = [np.roll(pixels, (step * dy // 2, step * dx // 2), (0, 1)) for step in range(3)]
    return np.asarray((moved[0] + moved[1] + moved[2]) / np.float32(3), np.float32)


def _draw_light(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Return light factors [height, width, 3]: a gradient, sometimes a shadow or a reflection, and a color cast."""
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    draw = rng.uniform(-1, 1, 8).astype(np.float32)
    light = (np.float32(0.8) + np.float32(0.3) * draw[0]) * (1 + np.float32(0.3) * (draw[1] * x + draw[2] * y))
    way = rng.random()
    if way < 0.2:
        edge = 2 * draw[3] * x + y - draw[4]
        light = light * (1 - (np.float32(0.32) + np.float32(0.17) * draw[5]) / (1 + np.exp(-edge * 8)))
    elif way < 0.35:
        spot = 4 * (x - draw[3]) ** 2 + (y - draw[4]) ** 2
        light = light + (np.float32(0.3) + np.float32(0.2) * draw[5]) * np.exp(-4 * spot)
    cast = rng.uniform(0.9, 1.1, 3).astype(np.float32)
    return np.asarray(light[:, :, None] * cast, np.float32)
