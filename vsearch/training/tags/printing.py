"""Print a tag: its number in ink, and the names, prices, barcodes and rules around it."""

from functools import cache, lru_cache
from importlib.resources import files

import numpy as np
from captcha.image import ColorTuple, ImageCaptcha
from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

Color = tuple[int, int, int]
PixelBox = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels."""

PAPERS: tuple[tuple[Color, Color], ...] = (
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
"""Colors of paper and ink."""

WORDS = ("SOFA", "Armchair", "STOL", "Bord", "table", "oak", "Lamp", "grey", "Bett", "white", "x", "cm", "kg", "Regal")

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


class NumberPrint(ImageCaptcha):
    """Prints a number as a whole, or character by character, slightly rotated and out of line.

    `captcha` draws random numbers from `secrets`. Its ranges are set to single values here, so that a seed always gives
    the same print.
    """

    lookup_table = list(range(256))  # noqa: RUF012  # as the package declares it
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

    def render(self, text: str) -> Image.Image:
        """Return the text's ink as a mask (mode L), cropped to the text."""
        pieces = [text] if self._rng.random() < 0.6 else list(text)
        printed = self.create_captcha_image(pieces, (255, 255, 255), (0, 0, 0)).convert("L")  # type: ignore[arg-type]
        return printed.crop(printed.getbbox())

    def _draw_character(self, c: str, draw: ImageDraw.ImageDraw, color: ColorTuple) -> Image.Image:
        if len(c) > 1:
            self.character_rotate = (0, 0)
            return super()._draw_character(c, draw, color)
        angle = float(self._rng.uniform(-self._turn, self._turn))
        if self._stretched and c != ".":
            self.character_rotate = (angle, angle)  # type: ignore[assignment]  # the package computes with floats
            glyph = super()._draw_character(c, draw, color)
        else:
            glyph = _glyph(self._truefonts[0], c)
            glyph = glyph.rotate(angle, Image.Resampling.BILINEAR) if abs(angle) > 0.5 and c != "." else glyph
        cell = Image.new("RGBA", (glyph.width + self._gap, glyph.height + 2 * int(self._hop) + 2))
        cell.paste(glyph, (0, int(self._hop) + 1 + round(float(self._rng.uniform(-self._hop, self._hop)))))
        return cell


def print_text(rng: np.random.Generator, text: str, em: int) -> Image.Image:
    """Return the ink of the text in a random font of `em` pixels as a mask (mode L), cropped to the text."""
    return NumberPrint(rng, random_font(rng, em), len(text)).render(text)


def random_font(rng: np.random.Generator, size: int) -> FreeTypeFont:
    """Return a random font with a size in pixels."""
    return _font(_FONTS[rng.integers(len(_FONTS))], size)


@cache
def _font(name: tuple[str, str], size: int) -> FreeTypeFont:
    package, path = name
    return ImageFont.truetype(str(files(package).joinpath(path)), size)


@lru_cache(4096)
def _glyph(font: FreeTypeFont, character: str) -> Image.Image:
    """Return a digit or a dot in white, mode RGBA, not stretched to a cell."""
    height = int(font.getbbox("0")[3])
    if character == ".":
        side = max(2, round(0.13 * font.size))
        cell = Image.new("RGBA", (2 * side, height))
        ImageDraw.Draw(cell).ellipse((side // 2, height - side, side // 2 + side - 1, height - 1), "white")
    else:
        cell = Image.new("RGBA", (int(font.getlength(character)) + 1, height + 1))
        ImageDraw.Draw(cell).text((0, 0), character, font=font, fill="white")
    return cell


class TagDecoration:
    """Draws text, barcodes, rules and edges around the number of a tag.

    Args:
        rng: source of all randomness.
        canvas: image to draw on.
        box: area of the number, which is kept clear.
        em: size of the number's font in pixels.
        ink: color to draw with.
    """

    def __init__(self, rng: np.random.Generator, canvas: Image.Image, *, box: PixelBox, em: int, ink: Color) -> None:
        self._rng, self._em, self._ink = rng, em, ink
        self._left, self._top, self._right, self._bottom = box
        self._draw = ImageDraw.Draw(canvas)
        self._width, self._height = canvas.size

    def draw(self) -> None:
        """Draw a random selection of them."""
        self._above()
        self._below()
        self._beside()
        self._rules()
        self._edges()

    def _ems(self, low: float, high: float) -> float:
        """Return a random length in pixels; the bounds are in ems."""
        return self._em * float(self._rng.uniform(low, high))

    def _above(self) -> None:
        y, chance = self._top - self._ems(0.25, 1), self._rng.random()
        if chance < 0.6:
            words = " ".join(str(word) for word in self._rng.choice(WORDS, 4))
            self._write((self._left - self._ems(0, 1), y), words, self._ems(0.4, 0.9))
        elif chance < 0.85:
            price = f"{self._rng.integers(5, 2000)}.{self._rng.integers(0, 100):02d}"
            self._write((self._left + self._ems(-0.5, 2), y), price, self._ems(1.2, 2.2))

    def _below(self) -> None:
        y, chance = self._bottom + self._ems(0.25, 1), self._rng.random()
        if chance < 0.45:
            sides = self._left + self._ems(-1, 1), self._right + self._ems(-1, 1)
            draw_bar_code(self._rng, self._draw, (int(sides[0]), int(y), int(sides[1]), self._height), self._ink)
        elif chance < 0.75:
            words = f"{self._rng.integers(10, 250)} x {self._rng.integers(10, 250)} cm {self._rng.choice(WORDS)}"
            size = self._ems(0.35, 0.8)
            self._write((self._left + self._ems(-1, 1), y + size), words, size)

    def _beside(self) -> None:
        if self._rng.random() < 0.25:
            said = ("Art.", "Nr.", "No", "Art", "#")[self._rng.integers(5)]
            size = self._ems(0.4, 0.8)
            self._write((self._left - self._ems(0.3, 0.6) - 2 * size, self._bottom), said, size)

    def _rules(self) -> None:
        chance = self._rng.random()
        if chance < 0.2:
            gap = self._ems(0.15, 0.3)
            frame = (self._left - 2 * gap, self._top - gap, self._right + 2 * gap, self._bottom + gap)
            self._draw.rectangle(frame, outline=self._ink, width=max(1, self._em // 14))
        elif chance < 0.35:
            y = self._bottom + self._ems(0.12, 0.25)
            self._draw.line((0, y, self._width, y), self._ink, max(1, self._em // 12))

    def _edges(self) -> None:
        """Draw edges of the tag near the number: at a side, below or above."""
        across, down = self._rng.random(2)
        width, height = self._width, self._height
        if down < 0.3:
            y = int(self._bottom + self._ems(0.2, 1))
            self._draw.rectangle((0, y, width, y + height), fill=random_color(self._rng))
            self._draw.line((0, y, width, y), random_color(self._rng), int(self._rng.integers(1, 4)))
        elif down < 0.4:
            self._draw.rectangle((0, -height, width, self._top - self._ems(0.2, 1)), fill=random_color(self._rng))
        if across < 0.12:
            self._draw.rectangle((-width, 0, self._left - self._ems(0.2, 0.7), height), fill=random_color(self._rng))
        elif across < 0.24:
            self._draw.rectangle(
                (self._right + self._ems(0.2, 0.7), 0, 2 * width, height), fill=random_color(self._rng)
            )

    def _write(self, where: tuple[float, float], text: str, size: float) -> None:
        font = random_font(self._rng, max(6, round(size)))
        self._draw.text(where, text, fill=self._ink, font=font, anchor="lb")


def draw_bar_code(rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: PixelBox, ink: Color) -> None:
    """Fill a box with bars."""
    x, top, right, bottom = box
    while x < right:
        wide = int(rng.integers(1, 4))
        draw.rectangle((x, top, x + wide - 1, max(top, bottom)), fill=ink)
        x += wide + int(rng.integers(1, 4))


def draw_background(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Return an image without a tag, of surfaces, edges and stripes."""
    picture = Image.new("RGB", (width, height), random_color(rng))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(0, 9))):
        x, y = (rng.uniform(-0.3, 1, 2) * (width, height)).tolist()
        w, h = (rng.uniform(0.03, 1, 2) * (width, height)).tolist()
        shape = int(rng.integers(3))
        if shape == 0:
            draw.rectangle((x, y, x + w, y + h), random_color(rng))
        elif shape == 1:
            draw.ellipse((x, y, x + w, y + h), random_color(rng))
        else:
            draw.line((x, y, x + w, y + float(rng.uniform(-1, 1)) * height), random_color(rng), int(rng.integers(1, 6)))
    if rng.random() < 0.3:
        top, bottom = int(rng.uniform(-1, 0.5) * height), int(rng.uniform(0.5, 2) * height)
        draw_bar_code(rng, draw, (0, top, width, bottom), random_color(rng))
    return picture


def random_color(rng: np.random.Generator) -> Color:
    """Return a random color that is typical of shelves, floors and walls."""
    red, green, blue = np.clip(rng.uniform(10, 245) + rng.normal(0, 18, 3), 0, 255).astype(int).tolist()
    return red, green, blue


def jitter(rng: np.random.Generator, color: Color, by: int) -> Color:
    """Return a random color near a given one."""
    red, green, blue = np.clip(np.array(color) + rng.integers(-by, by + 1, 3), 0, 255).tolist()
    return red, green, blue
