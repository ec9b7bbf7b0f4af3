"""Numbers in ink, printed by the `captcha` package in several fonts."""

from functools import cache, lru_cache
from importlib.resources import files

import numpy as np
from captcha.image import ColorTuple, ImageCaptcha
from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

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
    """Prints one number: in one piece, or character by character, each a little turned and out of line.

    The package draws chance from `secrets`. Here its ranges are single values from our generator, so that a seed always
    gives the same print. It stretches each character to its cell, as in a captcha, or leaves it as it was designed.
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

    def ink(self, text: str) -> Image.Image:
        """Return the printed text, mode L, cut to its ink."""
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


def printed(rng: np.random.Generator, text: str, em: int) -> Image.Image:
    """Return a text's ink in some font, mode L, cut to it; `em` is the size of the font in pixels."""
    return NumberPrint(rng, any_font(rng, em), len(text)).ink(text)


def any_font(rng: np.random.Generator, size: int) -> FreeTypeFont:
    """Return one of the fonts at a size in pixels."""
    return _font(_FONTS[rng.integers(len(_FONTS))], size)


@cache
def _font(name: tuple[str, str], size: int) -> FreeTypeFont:
    package, path = name
    return ImageFont.truetype(str(files(package).joinpath(path)), size)


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
