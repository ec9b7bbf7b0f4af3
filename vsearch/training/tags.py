"""Pictures of shelf tags with an article number, drawn from a seed: training data that costs no photographer."""

import io
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal

import numpy as np
from captcha.image import ImageCaptcha
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from PIL.ImageFont import FreeTypeFont

from vsearch.images import Picture

Digits = Literal[4, 8]
Colour = tuple[int, int, int]

STRIP = {4: (48, 112), 8: (48, 176)}
"""(height, width) in pixels of the strip around a number of so many digits."""

_FONTS = (
    ("captcha", "data/DroidSansMono.ttf"),
    *(
        ("matplotlib", f"mpl-data/fonts/ttf/{name}.ttf")
        for name in (
            "DejaVuSans",
            "DejaVuSans-Bold",
            "DejaVuSansMono",
            "DejaVuSansMono-Bold",
            "DejaVuSerif",
            "DejaVuSerif-Bold",
            "DejaVuSans-Oblique",
            "STIXGeneral",
            "STIXGeneralBol",
        )
    ),
)
_PAPER: tuple[tuple[Colour, Colour], ...] = (  # paper, ink
    ((250, 214, 50), (20, 20, 20)),
    ((255, 226, 90), (25, 25, 60)),
    ((245, 245, 240), (20, 20, 20)),
    ((250, 250, 250), (40, 40, 40)),
    ((236, 232, 220), (50, 35, 30)),
    ((240, 244, 250), (20, 50, 120)),
    ((248, 246, 240), (170, 25, 30)),
    ((200, 30, 40), (255, 250, 245)),
    ((30, 80, 160), (250, 250, 250)),
    ((40, 40, 42), (240, 240, 235)),
)
_WORDS = ("SOFA", "Armchair", "STOL", "Bord", "table", "oak", "Lamp", "grey", "Bett", "white", "x", "cm", "kg", "Regal")


class _NumberPrint(ImageCaptcha):
    """Prints one number: in one piece, or character by character, each a little turned and out of line.

    The package draws chance from `secrets`. Here its ranges are single values from our generator, so that a seed always
    gives the same print. It stretches each character to its cell, as in a captcha, or leaves it as it was designed.
    """

    lookup_table = list(range(256))
    character_offset_dx = (0, 0)
    character_offset_dy = (0, 0)
    character_warp_dx = (0.0, 0.0)
    character_warp_dy = (0.0, 0.0)
    word_space_probability = 1.0
    word_offset_dx = 0.0

    def __init__(self, rng: np.random.Generator, font: FreeTypeFont, length: int) -> None:
        em = int(font.size)
        super().__init__((length + 2) * em, 2 * em)
        self._truefonts = [font]
        self._rng = rng
        self._turn = float(rng.choice((1.0, 3.0, 8.0), p=(0.4, 0.4, 0.2)))
        self._hop = float(rng.choice((0.0, 0.03, 0.08), p=(0.4, 0.4, 0.2))) * em
        self._stretched = bool(rng.random() < 0.5)
        self._gap = int(rng.integers(0, max(2, em // 6)))

    def ink(self, text: str) -> Image.Image:
        """Return the printed text, mode L, cut to its ink."""
        pieces = [text] if self._rng.random() < 0.6 else list(text)
        printed = self.create_captcha_image(pieces, (255, 255, 255), (0, 0, 0)).convert("L")  # type: ignore[arg-type]
        return printed.crop(printed.getbbox())

    def _draw_character(self, c: str, draw: ImageDraw.ImageDraw, color: tuple[int, ...]) -> Image.Image:
        if len(c) > 1:
            self.character_rotate = (0, 0)
            return super()._draw_character(c, draw, color)  # type: ignore[arg-type]
        angle = float(self._rng.uniform(-self._turn, self._turn))
        if self._stretched and c != ".":
            self.character_rotate = (angle, angle)  # type: ignore[assignment]  # the package computes with floats
            glyph = super()._draw_character(c, draw, color)  # type: ignore[arg-type]
        else:
            glyph = _glyph(self._truefonts[0], c)
            glyph = glyph.rotate(angle, Image.Resampling.BILINEAR) if abs(angle) > 0.5 and c != "." else glyph
        cell = Image.new("RGBA", (glyph.width + self._gap, glyph.height + 2 * int(self._hop) + 2))
        cell.paste(glyph, (0, int(self._hop) + 1 + round(float(self._rng.uniform(-self._hop, self._hop)))))
        return cell


@lru_cache(4096)
def _glyph(font: FreeTypeFont, character: str) -> Image.Image:
    """Return a digit or a dot in white, mode RGBA, as its font designed it."""
    height = int(font.getbbox("0")[3])
    if character == ".":
        side = max(2, round(0.13 * font.size))
        cell = Image.new("RGBA", (2 * side, height))
        ImageDraw.Draw(cell).ellipse((side // 2, height - side, side // 2 + side - 1, height - 1), "white")
    else:
        cell = Image.new("RGBA", (int(font.getlength(character)) + 1, height + 1))
        ImageDraw.Draw(cell).text((0, 0), character, font=font, fill="white")
    return cell


def dotted(number: str) -> str:
    """Return an 8-digit number as it is printed, "123.456.78"; others unchanged."""
    return f"{number[:3]}.{number[3:6]}.{number[6:]}" if len(number) == 8 else number


def draw_tag(
    rng: np.random.Generator,
    digits: Digits,
    *,
    blank: bool = False,
    size: tuple[int, int] | None = None,
) -> tuple[Picture, str]:
    """Draw the strip of a shelf tag inside a rough box around its number.

    Args:
        rng: all chance comes from it.
        digits: 4 ("1234") or 8 ("123.456.78").
        blank: draw a strip in which no whole number can be read.
        size: (height, width) in pixels; `STRIP` when not given.

    Returns:
        The picture, uint8 [height, width, 3], and the digits of the number; of a blank one "".
    """
    height, width = size or STRIP[digits]
    number = "".join(str(digit) for digit in rng.integers(0, 10, digits))
    way = str(rng.choice(("cut", "far", "near", "other", "print", "scene"))) if blank else ""
    if way == "scene":
        return _photographed(rng, _scene(rng, width, height)), ""
    text = _other_print(rng, digits) if way in ("other", "print") else dotted(number)
    em = round(width / (3.2 if digits == 4 else 6.2) * rng.uniform(0.85, 1.25))
    canvas, box = _tag(rng, text, em, room=2.0 if blank else 1.0)
    strip = _cut(rng, canvas, _window(rng, box, way), (width, height))
    return _photographed(rng, strip), "" if blank else number


def _other_print(rng: np.random.Generator, digits: int) -> str:
    """Return print that is no article number: a price, a bar code's digits, a date, words."""
    some = "".join(str(digit) for digit in rng.integers(0, 10, 13))
    other = (
        f"{some[:2]}.{some[2:4]}",
        f"{some[:3]}.-",
        some,
        f"{some[:2]}.{some[2:4]}.20{some[4:6]}",
        some[:3],
        f"{rng.choice(_WORDS)} {rng.choice(_WORDS)}",
        f"{some[:2]}x{some[2:5]} cm",
        str(rng.choice(_WORDS)) * 2,
        f"{some[:3]}.{some[3:6]}.{some[6:8]}" if digits == 4 else some[:5],
    )
    return str(other[rng.integers(len(other))])


def _tag(rng: np.random.Generator, text: str, em: int, *, room: float) -> tuple[Image.Image, tuple[int, int, int, int]]:
    """Draw the middle of a tag around a text; return it and the text's box (left, top, right, bottom) in pixels."""
    paper, ink = _PAPER[rng.integers(len(_PAPER))]
    name = _FONTS[rng.integers(len(_FONTS))]
    mask = _NumberPrint(rng, _font(name, em), len(text)).ink(text)
    side, rise = round(mask.width * 0.18 * room) + 4, round((mask.width * 0.1 + em) * room)
    canvas = Image.new("RGB", (mask.width + 2 * side, mask.height + 2 * rise), _jitter(rng, paper, 12))
    box = (side, rise, side + mask.width, rise + mask.height)
    _neighbours(rng, ImageDraw.Draw(canvas), box, em, ink)
    fade = float(rng.uniform(0.65, 1.0))
    canvas.paste(_jitter(rng, ink, 15), (side, rise), mask.point([int(fade * value) for value in range(256)]))
    return canvas, box


def _neighbours(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], em: int, ink: Colour
) -> None:
    """Draw what stands around a number on a tag: name, price, bar code, rules, the tag's edge and the shelf."""
    left, top, right, bottom = box
    width, height = draw.im.size  # type: ignore[union-attr]
    above, below = top - em * rng.uniform(0.25, 1.0), bottom + em * rng.uniform(0.25, 1.0)
    kinds = rng.random(6)
    if kinds[0] < 0.6:
        words = " ".join(str(word) for word in rng.choice(_WORDS, 4))
        _write(rng, draw, (left - rng.uniform(0, 1) * em, above), words, round(em * rng.uniform(0.4, 0.9)), ink)
    elif kinds[0] < 0.85:
        price = f"{rng.integers(5, 2000)}.{rng.integers(0, 100):02d}"
        _write(rng, draw, (left + rng.uniform(-0.5, 2) * em, above), price, round(em * rng.uniform(1.2, 2.2)), ink)
    if kinds[1] < 0.45:
        _bars(rng, draw, (left - em * rng.uniform(-1, 1), below, right + em * rng.uniform(-1, 1), height), ink)
    elif kinds[1] < 0.75:
        words = f"{rng.integers(10, 250)} x {rng.integers(10, 250)} cm {rng.choice(_WORDS)}"
        size = round(em * rng.uniform(0.35, 0.8))
        _write(rng, draw, (left + rng.uniform(-1, 1) * em, below + size), words, size, ink)
    if kinds[2] < 0.25:
        said = ("Art.", "Nr.", "No", "Art", "#")[rng.integers(5)]
        size = round(em * rng.uniform(0.4, 0.8))
        _write(rng, draw, (left - em * rng.uniform(0.3, 0.6) - 2 * size, bottom), said, size, ink)
    if kinds[3] < 0.2:
        gap = em * rng.uniform(0.15, 0.3)
        draw.rectangle((left - 2 * gap, top - gap, right + 2 * gap, bottom + gap), outline=ink, width=max(1, em // 14))
    elif kinds[3] < 0.35:
        y = bottom + em * rng.uniform(0.12, 0.25)
        draw.line((0, y, width, y), ink, max(1, em // 12))
    if kinds[4] < 0.3:
        y = int(bottom + em * rng.uniform(0.2, 1.0))
        draw.rectangle((0, y, width, y + height), fill=_shade(rng))
        draw.line((0, y, width, y), _shade(rng), int(rng.integers(1, 4)))
    elif kinds[4] < 0.4:
        draw.rectangle((0, -height, width, top - em * rng.uniform(0.2, 1.0)), fill=_shade(rng))
    if kinds[5] < 0.12:
        draw.rectangle((-width, 0, left - em * rng.uniform(0.2, 0.7), height), fill=_shade(rng))
    elif kinds[5] < 0.24:
        draw.rectangle((right + em * rng.uniform(0.2, 0.7), 0, 2 * width, height), fill=_shade(rng))


def _write(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    where: tuple[float, float],
    text: str,
    size: int,
    ink: Colour,
) -> None:  # fmt: skip
    """Write a text whose lower left corner is `where`."""
    font = _font(_FONTS[rng.integers(len(_FONTS))], max(6, size))
    draw.text(where, text, fill=ink, font=font, anchor="lb")


def _bars(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], ink: Colour
) -> None:
    """Draw a bar code."""
    left, top, right, bottom = box
    x = int(left)
    while x < right:
        wide = int(rng.integers(1, 4))
        draw.rectangle((x, top, x + wide - 1, max(top, bottom)), fill=ink)
        x += wide + int(rng.integers(1, 4))


def _scene(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Return something that is no tag: surfaces, edges, stripes."""
    picture = Image.new("RGB", (width, height), _shade(rng))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(0, 9))):
        x, y = rng.uniform(-0.3, 1, 2) * (width, height)
        w, h = rng.uniform(0.03, 1, 2) * (width, height)
        shape = int(rng.integers(3))
        if shape == 0:
            draw.rectangle((x, y, x + w, y + h), _shade(rng))
        elif shape == 1:
            draw.ellipse((x, y, x + w, y + h), _shade(rng))
        else:
            draw.line((x, y, x + w, y + rng.uniform(-1, 1) * height), _shade(rng), int(rng.integers(1, 6)))
    if rng.random() < 0.3:
        _bars(rng, draw, (0, rng.uniform(-1, 0.5) * height, width, rng.uniform(0.5, 2) * height), _shade(rng))
    return picture


def _window(rng: np.random.Generator, box: tuple[int, int, int, int], way: str) -> list[tuple[float, float]]:
    """Return the corners (from the top left, clockwise) of a rough, tilted window around a box, in pixels."""
    left, top, right, bottom = box
    w, h = right - left, bottom - top
    angle = np.deg2rad(float(np.clip(rng.normal(0, 2.5), -8, 8)))
    sin, cos = np.sin(angle), np.cos(angle)
    slop = rng.uniform(0.04, 0.24)
    wide = (w * cos + h * abs(sin)) * (1 + slop)
    high = (h * cos + w * abs(sin)) * (1 + rng.uniform(0.1, 0.8))
    x, y = (left + right) / 2 + w * slop * rng.uniform(-0.4, 0.4), (top + bottom) / 2 + h * rng.uniform(-0.1, 0.1)
    if way == "cut" and rng.random() < 0.6:
        x += w * rng.choice((-1, 1)) * rng.uniform(0.3, 0.65)
    elif way == "cut":
        y += high * rng.choice((-1, 1)) * rng.uniform(0.45, 0.6)
    grow = {"far": rng.uniform(2.2, 3.5), "near": rng.uniform(0.4, 0.68)}.get(way, 1.0)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (wide * grow / 2, high * grow / 2)
    corners += rng.uniform(-0.06, 0.06, (4, 2)) * high
    turned = corners @ np.array([(cos, sin), (-sin, cos)])
    return [(float(x + dx), float(y + dy)) for dx, dy in turned]


def _cut(
    rng: np.random.Generator, canvas: Image.Image, corners: list[tuple[float, float]], size: tuple[int, int]
) -> Image.Image:
    """Return what lies inside four corners as a picture of (width, height) pixels."""
    width, height = size
    targets = ((0, 0), (width, 0), (width, height), (0, height))
    rows, values = [], []
    for (u, v), (x, y) in zip(targets, corners, strict=True):
        rows += [(u, v, 1, 0, 0, 0, -x * u, -x * v), (0, 0, 0, u, v, 1, -y * u, -y * v)]
        values += [x, y]
    coefficients = np.linalg.solve(np.array(rows, float), np.array(values, float))
    return canvas.transform(
        size, Image.Transform.PERSPECTIVE, coefficients.tolist(), Image.Resampling.BICUBIC, fillcolor=_shade(rng)
    )


def _photographed(rng: np.random.Generator, image: Image.Image) -> Picture:
    """Return the picture as a phone would take it: light, stains, blur, noise, JPEG."""
    if rng.random() < 0.3:
        _stain(rng, image)
    if rng.random() < 0.35:
        share = float(rng.uniform(0.45, 0.9))
        small = image.resize((round(image.width * share), round(image.height * share)), Image.Resampling.BILINEAR)
        image = small.resize(image.size, Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 1.3))))
    pixels = np.asarray(image, np.float32)
    if rng.random() < 0.25:
        pixels = _shaken(rng, pixels)
    pixels = pixels * _light(rng, image.height, image.width)
    pixels += rng.uniform(0, 40) if rng.random() < 0.3 else 0
    sigma = np.float32(rng.uniform(0, 14) if rng.random() < 0.7 else 0)
    pixels += sigma * rng.standard_normal(pixels.shape, np.float32)
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=int(rng.integers(35, 96)))
    return np.array(Image.open(buffer))


def _stain(rng: np.random.Generator, image: Image.Image) -> None:
    """Draw dirt and scratches."""
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.uniform(0, 1, 2) * image.size
        colour = (*_shade(rng), int(rng.integers(40, 140)))
        if rng.random() < 0.5:
            radius = image.height * rng.uniform(0.03, 0.15)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius * rng.uniform(0.3, 1)), colour)
        else:
            dx, dy = rng.uniform(-1, 1, 2) * image.size
            draw.line((x, y, x + dx, y + dy), colour, 1)


def _shaken(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """Return float32 pixels [h, w, 3] smeared along a short way, as by a hand that moves."""
    dx, dy = rng.integers(-2, 3, 2)
    moved = [np.roll(pixels, (step * dy // 2, step * dx // 2), (0, 1)) for step in range(3)]
    return sum(moved) / np.float32(len(moved))


def _light(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return factors of light: float32 [height, width, 3]: a slope, sometimes a shadow's edge or a gloss; a cast."""
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    slope = rng.uniform(-0.3, 0.3, 2).astype(np.float32)
    light = np.float32(rng.uniform(0.5, 1.1)) * (1 + slope[0] * x + slope[1] * y)
    way = rng.random()
    if way < 0.2:
        edge = x * np.float32(rng.uniform(-2, 2)) + y - np.float32(rng.uniform(-1, 1))
        light = light * (1 - np.float32(rng.uniform(0.15, 0.5)) / (1 + np.exp(-edge * 8)))
    elif way < 0.35:
        spot = (x - np.float32(rng.uniform(-1, 1))) ** 2 * 4 + (y - np.float32(rng.uniform(-1, 1))) ** 2
        light = light + np.float32(rng.uniform(0.1, 0.5)) * np.exp(-4 * spot)
    return light[:, :, None] * rng.uniform(0.9, 1.1, 3).astype(np.float32)


def _shade(rng: np.random.Generator) -> Colour:
    """Return the colour of a shelf, a floor, a wall."""
    grey = rng.uniform(10, 245)
    red, green, blue = np.clip(grey + rng.normal(0, 18, 3), 0, 255).astype(int).tolist()
    return red, green, blue


def _jitter(rng: np.random.Generator, colour: Colour, by: int) -> Colour:
    red, green, blue = np.clip(np.array(colour) + rng.integers(-by, by + 1, 3), 0, 255).tolist()
    return red, green, blue


@cache
def _font(name: tuple[str, str], size: int) -> FreeTypeFont:
    package, path = name
    return ImageFont.truetype(str(files(package).joinpath(path)), size)
