"""What stands around the number on a tag and around the tag: names, prices, bar codes, rules, shelves."""

import numpy as np
from PIL import Image, ImageDraw

from vsearch.training.tags.ink import any_font

Colour = tuple[int, int, int]
PixelBox = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels."""

PAPERS: tuple[tuple[Colour, Colour], ...] = (
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
"""Paper and ink of a tag."""

WORDS = ("SOFA", "Armchair", "STOL", "Bord", "table", "oak", "Lamp", "grey", "Bett", "white", "x", "cm", "kg", "Regal")


class Surroundings:
    """Draws what stands around a number on a tag.

    Args:
        rng: all chance comes from it.
        canvas: is drawn on.
        box: of the number, which is left free.
        em: size of the number's font in pixels.
        ink: colour of the print.
    """

    def __init__(self, rng: np.random.Generator, canvas: Image.Image, *, box: PixelBox, em: int, ink: Colour) -> None:
        self._rng, self._em, self._ink = rng, em, ink
        self._left, self._top, self._right, self._bottom = box
        self._draw = ImageDraw.Draw(canvas)
        self._width, self._height = canvas.size

    def draw(self) -> None:
        """Draw some of all there is."""
        self._above()
        self._below()
        self._beside()
        self._rules()
        self._edges()

    def _ems(self, least: float, most: float) -> float:
        """Return a length, given in ems."""
        return self._em * float(self._rng.uniform(least, most))

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
            bars(self._rng, self._draw, (int(sides[0]), int(y), int(sides[1]), self._height), self._ink)
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
        """Let the tag end near the number, on one side, below or above."""
        across, down = self._rng.random(2)
        width, height = self._width, self._height
        if down < 0.3:
            y = int(self._bottom + self._ems(0.2, 1))
            self._draw.rectangle((0, y, width, y + height), fill=shade(self._rng))
            self._draw.line((0, y, width, y), shade(self._rng), int(self._rng.integers(1, 4)))
        elif down < 0.4:
            self._draw.rectangle((0, -height, width, self._top - self._ems(0.2, 1)), fill=shade(self._rng))
        if across < 0.12:
            self._draw.rectangle((-width, 0, self._left - self._ems(0.2, 0.7), height), fill=shade(self._rng))
        elif across < 0.24:
            self._draw.rectangle((self._right + self._ems(0.2, 0.7), 0, 2 * width, height), fill=shade(self._rng))

    def _write(self, where: tuple[float, float], text: str, size: float) -> None:
        font = any_font(self._rng, max(6, round(size)))
        self._draw.text(where, text, fill=self._ink, font=font, anchor="lb")


def bars(rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: PixelBox, ink: Colour) -> None:
    """Draw a bar code into a box."""
    x, top, right, bottom = box
    while x < right:
        wide = int(rng.integers(1, 4))
        draw.rectangle((x, top, x + wide - 1, max(top, bottom)), fill=ink)
        x += wide + int(rng.integers(1, 4))


def scenery(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Return something that is no tag: surfaces, edges, stripes."""
    picture = Image.new("RGB", (width, height), shade(rng))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(0, 9))):
        x, y = (rng.uniform(-0.3, 1, 2) * (width, height)).tolist()
        w, h = (rng.uniform(0.03, 1, 2) * (width, height)).tolist()
        shape = int(rng.integers(3))
        if shape == 0:
            draw.rectangle((x, y, x + w, y + h), shade(rng))
        elif shape == 1:
            draw.ellipse((x, y, x + w, y + h), shade(rng))
        else:
            draw.line((x, y, x + w, y + float(rng.uniform(-1, 1)) * height), shade(rng), int(rng.integers(1, 6)))
    if rng.random() < 0.3:
        top, bottom = int(rng.uniform(-1, 0.5) * height), int(rng.uniform(0.5, 2) * height)
        bars(rng, draw, (0, top, width, bottom), shade(rng))
    return picture


def shade(rng: np.random.Generator) -> Colour:
    """Return the colour of a shelf, a floor, a wall."""
    red, green, blue = np.clip(rng.uniform(10, 245) + rng.normal(0, 18, 3), 0, 255).astype(int).tolist()
    return red, green, blue


def jitter(rng: np.random.Generator, colour: Colour, by: int) -> Colour:
    """Return a colour a little beside another."""
    red, green, blue = np.clip(np.array(colour) + rng.integers(-by, by + 1, 3), 0, 255).tolist()
    return red, green, blue
