"""What phones do to photos: colour casts, wrong exposure, noise, blur; the picture keeps its size, and boxes hold."""

import io
import random

import numpy as np
from PIL import Image, ImageFilter


def spoil(image: Image.Image, chance: random.Random) -> Image.Image:
    """Return the picture as a phone might have taken it."""
    grain = np.random.default_rng(chance.randrange(2**31))
    light = (np.asarray(image.convert("RGB"), np.float32) / 255) ** 2.2
    light *= _balance(light, chance.uniform(0.35, 0.8))
    strong = chance.random() < 0.3
    cast = 0.2 if strong else 0.08
    light *= np.array([1 + chance.uniform(-cast, cast), 1.0, 1 + chance.uniform(-cast, cast)], np.float32)
    light *= 2 ** (chance.uniform(-0.75, 0.7) if strong else chance.uniform(-0.3, 0.3))
    high, wide = light.shape[:2]
    down, across = np.mgrid[-1 : 1 : high * 1j, -1 : 1 : wide * 1j]
    light *= (1 - chance.uniform(0.0, 0.3) * (down**2 + across**2) / 2)[..., None]
    if chance.random() < 0.15:
        light = _flare(light, chance)
    noise = chance.choice((0.003, 0.006, 0.01, 0.022))
    speckle = grain.normal(0, 1, light.shape).astype(np.float32) * 0.75
    speckle += grain.normal(0, 1, (high, wide, 1)).astype(np.float32) * 0.65
    light = light + speckle * noise * np.sqrt(np.clip(light, 0, 1) + 0.02)
    spoilt = Image.fromarray((np.clip(light, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8))
    return _blurred(spoilt, chance)


def _balance(light: np.ndarray, share: float) -> np.ndarray:
    """Return by what each channel is multiplied so that the picture's mean comes closer to grey, as phones do it."""
    mean = light.reshape(-1, 3).mean(0) + 1e-4
    return np.asarray((mean.mean() / mean) ** share, np.float32)


def _flare(light: np.ndarray, chance: random.Random) -> np.ndarray:
    """Add a veil of stray light from one side."""
    high, wide = light.shape[:2]
    down, across = np.mgrid[0 : 1 : high * 1j, 0 : 1 : wide * 1j]
    x, y = chance.random(), chance.uniform(-0.1, 0.3)
    veil = np.exp(-((across - x) ** 2 + (down - y) ** 2) / 0.18) * chance.uniform(0.05, 0.16)
    return np.asarray(light + veil[..., None].astype(np.float32))


def _blurred(image: Image.Image, chance: random.Random) -> Image.Image:
    kind = chance.random()
    if kind < 0.12:
        return _shaken(image, chance.uniform(2.0, 5.0), chance.uniform(0, np.pi))
    if kind < 0.45:
        return image.filter(ImageFilter.GaussianBlur(chance.uniform(0.3, 0.9)))
    if kind < 0.6:
        return image.filter(ImageFilter.UnsharpMask(1.2, chance.randint(50, 110), 2))
    return image


def _shaken(image: Image.Image, length: float, angle: float) -> Image.Image:
    """Return the picture smeared along a line, as by an unsteady hand."""
    picture = np.asarray(image, np.float32)
    steps = 7
    whole = np.zeros_like(picture)
    for step in np.linspace(-length / 2, length / 2, steps):
        dx, dy = round(step * np.cos(angle)), round(step * np.sin(angle))
        padded = np.pad(picture, ((8, 8), (8, 8), (0, 0)), mode="edge")
        whole += padded[8 + dy : 8 + dy + picture.shape[0], 8 + dx : 8 + dx + picture.shape[1]]
    return Image.fromarray((whole / steps + 0.5).astype(np.uint8))


def jpeg(image: Image.Image, most: int, best: int = 88, worst: int = 40) -> bytes:
    """Return the picture as a JPEG of the best quality at which it has at most so many bytes."""
    for quality in range(best, worst - 1, -6):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True, subsampling=2)
        if buffer.tell() <= most:
            break
    return buffer.getvalue()
