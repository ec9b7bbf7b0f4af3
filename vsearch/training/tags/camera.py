"""Simulate a phone camera: perspective, light, blur, noise and JPEG."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from vsearch.imaging.codec import Picture
from vsearch.training.tags.printing import Color, random_color

Point = tuple[float, float]
Pixels = NDArray[np.float32]


def warp(
    image: Image.Image, sources: Sequence[Point], targets: Sequence[Point], *, size: tuple[int, int], fill: Color
) -> Image.Image:
    """Return a picture of `size` (width, height) in which four points of the image are at the targets."""
    rows, values = [], []
    for (u, v), (x, y) in zip(targets, sources, strict=True):
        rows += [(u, v, 1, 0, 0, 0, -x * u, -x * v), (0, 0, 0, u, v, 1, -y * u, -y * v)]
        values += [x, y]
    perspective = np.linalg.solve(np.array(rows, float), np.array(values, float)).tolist()
    return image.transform(size, Image.Transform.PERSPECTIVE, perspective, Image.Resampling.BICUBIC, fillcolor=fill)


def photograph(rng: np.random.Generator, image: Image.Image) -> Picture:
    """Return a phone photo of the picture, uint8 [height, width, 3]; stains are drawn on the picture itself."""
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
    """Return pixels [h, w, 3] blurred along a short way."""
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
