"""A small drawing board for the demo catalogue: soft solids on a plain background.

All coordinates are fractions of the canvas, x to the right and y downwards. Everything is drawn at twice the
size and reduced at the end, which is what makes the edges smooth.
"""

from collections.abc import Callable, Sequence

from PIL import Image, ImageColor, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float]
Pixels = tuple[int, int, int, int]

_SUPERSAMPLE = 2
_SOFTNESS = 4
_SHADOW: Colour = (58, 48, 42)
_LIGHT: Colour = (255, 246, 218)


def colour(text: str) -> Colour:
    """Return the colour written as "#rrggbb" or by name."""
    red, green, blue = ImageColor.getrgb(text)[:3]
    return red, green, blue


def shade(base: Colour, amount: float) -> Colour:
    """Return the colour lightened (amount above 0, up to 1) or darkened (below 0, down to -1)."""
    target = 255 if amount > 0 else 0
    red, green, blue = (round(part + (target - part) * abs(amount)) for part in base)
    return red, green, blue


class Canvas:
    """A square picture that solids are drawn on, back to front."""

    def __init__(self, side: int) -> None:
        self._pixels = side * _SUPERSAMPLE
        self._image = Image.new("RGB", (self._pixels, self._pixels))
        self._left, self._top, self._unit = 0.0, 0.0, float(self._pixels)

    def frame(self, left: float, top: float, size: float) -> None:
        """From here on draw inside this square; its corner and side are fractions of the whole canvas."""
        self._left, self._top, self._unit = left * self._pixels, top * self._pixels, size * self._pixels

    def backdrop(self, top: Colour, bottom: Colour, *, y0: float = 0, y1: float = 1) -> None:
        """Fill the full width from y0 to y1 with a vertical gradient."""
        box = self._box(0, y0, 1, y1)
        self._image.paste(_gradient(top, bottom, box[2] - box[0], box[3] - box[1]), box[:2])

    def shadow(self, x0: float, y0: float, x1: float, y1: float, *, strength: float = 0.42) -> None:
        """Darken a soft ellipse, as a solid does on the floor below it."""
        self._soft(self._box(x0, y0, x1, y1), _SHADOW, strength, 0.012)

    def glow(self, x0: float, y0: float, x1: float, y1: float, *, strength: float = 0.6) -> None:
        """Lighten a soft ellipse, as a lamp does."""
        self._soft(self._box(x0, y0, x1, y1), _LIGHT, strength, 0.05)

    def rect(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        fill: Colour,
        *,
        radius: float = 0.0,
        volume: float = 0.12,
    ) -> None:
        """Draw a rectangle with round corners, lighter by `volume` at its top and darker at its foot."""
        reach = radius * self._unit

        def draw(pen: ImageDraw.ImageDraw, width: int, height: int) -> None:
            pen.rounded_rectangle([0, 0, width - 1, height - 1], min(reach, width / 2, height / 2), fill=255)

        self._solid(self._box(x0, y0, x1, y1), draw, fill, volume)

    def ellipse(self, x0: float, y0: float, x1: float, y1: float, fill: Colour, *, volume: float = 0.12) -> None:
        """Draw an ellipse inside the box."""

        def draw(pen: ImageDraw.ImageDraw, width: int, height: int) -> None:
            pen.ellipse([0, 0, width - 1, height - 1], fill=255)

        self._solid(self._box(x0, y0, x1, y1), draw, fill, volume)

    def half_disc(self, x0: float, y0: float, x1: float, y1: float, fill: Colour, *, volume: float = 0.12) -> None:
        """Draw the upper half of an ellipse so that its flat side lies on y1."""

        def draw(pen: ImageDraw.ImageDraw, width: int, height: int) -> None:
            pen.pieslice([0, 0, width - 1, 2 * height - 1], 180, 360, fill=255)

        self._solid(self._box(x0, y0, x1, y1), draw, fill, volume)

    def polygon(self, points: Sequence[Point], fill: Colour, *, volume: float = 0.08) -> None:
        """Draw a polygon."""
        columns, lines = zip(*points, strict=True)
        box = self._box(min(columns), min(lines), max(columns), max(lines))

        def draw(pen: ImageDraw.ImageDraw, width: int, height: int) -> None:
            corners = [self._at(x, y) for x, y in points]
            pen.polygon([(x - box[0], y - box[1]) for x, y in corners], fill=255)

        self._solid(box, draw, fill, volume)

    def bar(self, start: Point, end: Point, width: float, fill: Colour, *, taper: float = 1.0) -> None:
        """Draw a straight bar such as a leg; `taper` is the width at its end divided by that at its start."""
        (x0, y0), (x1, y1) = start, end
        length = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 1e-6)
        across, along = (y1 - y0) / length * width / 2, -(x1 - x0) / length * width / 2
        self.polygon(
            [
                (x0 - across, y0 - along),
                (x0 + across, y0 + along),
                (x1 + across * taper, y1 + along * taper),
                (x1 - across * taper, y1 - along * taper),
            ],
            fill,
        )

    def arc(self, x0: float, y0: float, x1: float, y1: float, degrees: Point, width: float, fill: Colour) -> None:
        """Draw part of an ellipse's outline; 0 degrees is to the right, 90 is down."""
        pen = ImageDraw.Draw(self._image)
        pen.arc(self._box(x0, y0, x1, y1), *degrees, fill=fill, width=round(width * self._unit))

    def line(self, start: Point, end: Point, width: float, fill: Colour) -> None:
        """Draw a seam, a groove or a cable."""
        pen = ImageDraw.Draw(self._image)
        pen.line([self._at(*start), self._at(*end)], fill=fill, width=max(1, round(width * self._unit)))

    def finish(self) -> Image.Image:
        """Return the picture at its final size."""
        return self._image.reduce(_SUPERSAMPLE)

    def _at(self, x: float, y: float) -> Point:
        return self._left + x * self._unit, self._top + y * self._unit

    def _box(self, x0: float, y0: float, x1: float, y1: float) -> Pixels:
        left, top, right, bottom = (round(value) for value in (*self._at(x0, y0), *self._at(x1, y1)))
        return left, top, max(right, left + 1), max(bottom, top + 1)

    def _soft(self, box: Pixels, fill: Colour, strength: float, blur: float) -> None:
        """Paste an ellipse with a soft edge; its mask is made small, since nothing in it is sharp."""
        left, top, right, bottom = box
        reach = round(3 * blur * self._unit)
        width, height = right - left + 2 * reach, bottom - top + 2 * reach
        small = (max(8, width // _SOFTNESS), max(8, height // _SOFTNESS))
        inner = reach / _SOFTNESS
        mask = Image.new("L", small)
        corners = [inner, inner, small[0] - inner, small[1] - inner]
        ImageDraw.Draw(mask).ellipse(corners, fill=round(255 * strength))
        mask = mask.filter(ImageFilter.GaussianBlur(blur * self._unit / _SOFTNESS))
        self._image.paste(fill, (left - reach, top - reach), mask.resize((width, height), Image.Resampling.BICUBIC))

    def _solid(
        self,
        box: Pixels,
        draw: Callable[[ImageDraw.ImageDraw, int, int], None],
        fill: Colour,
        volume: float,
    ) -> None:
        width, height = box[2] - box[0], box[3] - box[1]
        mask = Image.new("L", (width, height))
        draw(ImageDraw.Draw(mask), width, height)
        self._image.paste(_gradient(shade(fill, volume), shade(fill, -volume), width, height), box[:2], mask)


def _gradient(top: Colour, bottom: Colour, width: int, height: int) -> Image.Image:
    strip = Image.new("RGB", (1, 2))
    strip.putpixel((0, 0), top)
    strip.putpixel((0, 1), bottom)
    column = strip.resize((1, height), Image.Resampling.BILINEAR)
    return column.resize((width, height), Image.Resampling.NEAREST)
