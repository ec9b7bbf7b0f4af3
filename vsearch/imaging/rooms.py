"""What made photos are taken of besides a product: a wall and a floor that are made up, or a part of a room photo.

Light is float32 in 0..1.
"""

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from vsearch.imaging.codec import Picture, crop, resize
from vsearch.imaging.geometry import Box

Floats = NDArray[np.float32]


def made_room(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Draw a wall and a floor, float32 [height, width, 3], with a texture and a few shapes of other things."""
    wall, floor = (_surface(rng, height, width) for _ in range(2))
    skirting = round(height * rng.uniform(0.4, 1.0))
    scene = wall.copy()
    scene[skirting:] = floor[skirting:]
    for _ in range(rng.integers(0, 4)):
        y, x = rng.integers(0, height), rng.integers(0, width)
        h, w = rng.integers(height // 12, height // 2), rng.integers(width // 12, width // 2)
        scene[y : y + h, x : x + w] = rng.uniform(0.05, 0.95, 3) * rng.uniform(0.4, 1)
    return np.asarray(scipy.ndimage.gaussian_filter(scene, (*rng.uniform(0.3, 1.5, 1).repeat(2), 0)), np.float32)


def _surface(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Draw a wall or floor: a muted colour, or planks, with soft blotches."""
    colour = np.clip(rng.uniform(0.2, 0.95) + rng.normal(0, 0.07, 3), 0, 1)
    surface = np.broadcast_to(colour, (height, width, 3))
    blotches = rng.normal(0, rng.uniform(0.01, 0.1), (6, 6))
    surface = surface + scipy.ndimage.zoom(blotches, (height / 6, width / 6), order=1)[..., None]
    if rng.random() < 0.4:
        period, across = rng.integers(6, 30), rng.integers(0, 2)
        stripes = (np.indices((height, width))[across] // period) % 2
        surface = surface * (1 - rng.uniform(0.03, 0.25) * stripes[..., None])
    return np.clip(surface, 0, 1).astype(np.float32)


def part_of(room: Picture, rng: np.random.Generator, height: int, width: int) -> Floats:
    """Cut a random part of a room photo, mirrored half of the time -> float32 [height, width, 3]."""
    size = rng.uniform(0.55, 1.0)
    x, y = rng.uniform(0, 1 - size, 2)
    part = resize(crop(room, Box(x, y, x + size, y + size)), width, height)
    turned = part[:, ::-1] if rng.random() < 0.5 else part
    return np.asarray(turned / 255, np.float32)
