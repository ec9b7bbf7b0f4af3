"""Synthetic shopper photos: catalog products as a phone might photograph them. Pure functions with a seeded generator.

A generation's whitening is fitted on such views; `vsearch evaluate shopper` uses others. The steps: cut the product out
of its plain background, tilt it and put it in perspective, place it on a different background, cover part of it, light
it unevenly, and simulate a phone camera (color cast, gamma, blur, noise, JPEG).

Images are RGB uint8 [height, width, 3]; internally, light is float32 in 0..1.
"""

from collections.abc import Sequence

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray
from skimage.transform import ProjectiveTransform, warp

from vsearch.imaging.codec import Picture, crop, decode, encode_jpeg, resize
from vsearch.imaging.geometry import Box
from vsearch.imaging.preprocess import border, trim

Floats = NDArray[np.float32]
Range = tuple[float, float]

SIDE = 176
"""Default longer side of a photo in px.

Views of twice the size take three times as long, and a whitening fitted on them finds no more products.
"""

_MAX_OVERLAP = 0.25  # fraction of the smaller of two products that may be hidden
_BACKGROUND_TOLERANCE = 16  # gray levels
_MARGIN = 0.05


def shopper_view(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return a photo of the product in a room, cropped to it as roughly as a person would."""
    photo, box = photo_in_room(picture, rng, size=(0.6, 0.95))
    return crop(photo, _expand(box, rng.uniform(-0.04, 0.12, 4)))


def photo_in_room(
    picture: Picture,
    rng: np.random.Generator,
    *,
    room: Picture | None = None,
    size: Range = (0.35, 0.6),
    side: int = SIDE,
) -> tuple[Picture, Box]:
    """Return a photo of a product in a room (by default a generated wall and floor), and the box of the product.

    A catalog image with a uniform border is cut out; others are used whole. `size` is a range, as fractions of the
    photo; `side` is the longer side of the photo in px.
    """
    product = resize_to(trim(picture), round(side * rng.uniform(*size)))
    alpha = cutout(product)
    scene = _background(room, rng, side)
    placed, mask = _place(product, alpha, scene.shape[:2], rng)
    box = _bounding_box(mask)
    return _take_photo(_occlude(_compose(scene, placed, mask), box, rng), rng), box


def photo_of_room(
    pictures: Sequence[Picture], rng: np.random.Generator, size: Range = (0.2, 0.65)
) -> tuple[Picture, tuple[Box, ...]]:
    """Return a photo of several products in a room, and their boxes.

    Products that would hide too much of another product are left out; see `photo_in_room`.
    """
    scene = _background(None, rng, SIDE)
    masks: list[Floats] = []
    for picture in pictures:
        product = resize_to(trim(picture), round(SIDE * rng.uniform(*size)))
        placed, mask = _place(product, cutout(product), scene.shape[:2], rng)
        if all(np.minimum(mask, other).sum() < _MAX_OVERLAP * min(mask.sum(), other.sum()) for other in masks):
            masks.append(mask)
            scene = _compose(scene, placed, mask)
    return _take_photo(_occlude(scene, _bounding_box(masks[0]), rng), rng), tuple(map(_bounding_box, masks))


def photo_on_own_background(picture: Picture, rng: np.random.Generator, *, side: int = SIDE) -> Picture:
    """Return a photo of the whole image from another viewpoint, `side` px long, with its edges extended."""
    whole = resize_to(picture, side)
    height, width = (max(length, side // 2) for length in whole.shape[:2])
    corners = _corners(whole)
    moved = (width / 2, height / 2) + rng.uniform(0.8, 0.95) * _change_viewpoint(corners, rng)
    transform = ProjectiveTransform.from_estimate(moved, corners)
    light = warp(whole.astype(np.float32) / 255, transform, output_shape=(height, width), order=1, mode="edge")
    return _take_photo(light.astype(np.float32), rng)


def add_margin(box: Box, margin: float = _MARGIN) -> Box:
    """Return a box expanded on each side by a fraction of its size, within the photo."""
    return _expand(box, np.full(4, margin))


def resize_to(picture: Picture, side: int) -> Picture:
    """Resize the image so that its longer side is `side` px, and the other at least 8."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    return resize(picture, max(8, round(width * scale)), max(8, round(height * scale)))


def cutout(picture: Picture) -> Floats:
    """Return the opacity of the product at each pixel, float32 [h, w] in 0..1.

    The background has the color of the border and is connected to it. Without a uniform border, every pixel is product.
    """
    color, uniform = border(picture)
    opaque = np.ones(picture.shape[:2], np.float32)
    if not uniform:
        return opaque
    plain = np.abs(picture.astype(np.int16) - color.astype(np.int16)).max(axis=2) < _BACKGROUND_TOLERANCE
    seed = np.zeros_like(plain)
    seed[0], seed[-1], seed[:, 0], seed[:, -1] = True, True, True, True
    background = scipy.ndimage.binary_propagation(seed & plain, mask=plain)
    if background.mean() > 0.97:
        return opaque
    soft = scipy.ndimage.gaussian_filter((~background).astype(np.float32), 0.6)
    return np.asarray(
        np.clip((soft - 0.25) / 0.55, 0, 1), np.float32
    )  # half a pixel inside the edge, to avoid white fringes


def _corners(picture: Picture) -> NDArray[np.float64]:
    height, width = picture.shape[:2]
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def _change_viewpoint(corners: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return tilted and stretched corners [4, 2] in perspective, centered at (0, 0)."""
    center, size = corners.mean(axis=0), corners[2] - corners[0]
    angle = rng.normal(0, 0.06)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = np.array([rng.uniform(0.82, 1.1), rng.uniform(0.9, 1.08)])
    return np.asarray(((corners - center) * stretch) @ rotation.T + rng.uniform(-0.09, 0.09, (4, 2)) * size)


def _place(product: Picture, alpha: Floats, shape: tuple[int, int], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Place a product at random in a frame -> (light [h, w, 3], mask [h, w])."""
    corners = _corners(product)
    moved = _change_viewpoint(corners, rng)
    low, high = moved.min(axis=0), moved.max(axis=0)
    free = np.array(shape[::-1]) - (high - low)
    if (free < 0).any():
        shrink = (np.array(shape[::-1]) / (high - low)).min()
        moved, low, high = moved * shrink, low * shrink, high * shrink
        free = np.maximum(np.array(shape[::-1]) - (high - low), 0)
    moved += rng.uniform(0, 1, 2) * free - low
    transform = ProjectiveTransform.from_estimate(moved, corners)
    stacked = np.dstack([product.astype(np.float32) / 255 * alpha[..., None], alpha])
    warped = warp(stacked, transform, output_shape=shape, order=1, preserve_range=True).astype(np.float32)
    mask = np.clip(warped[..., 3], 0, 1)
    return warped[..., :3] / np.maximum(mask, 1e-3)[..., None], mask


def _compose(scene: Floats, placed: Floats, mask: Floats) -> Floats:
    """Return a scene with a product and its soft contact shadow."""
    height = mask.shape[0]
    shadow = np.float32(0.5) * scipy.ndimage.gaussian_filter(np.roll(mask, height // 40, axis=0), height / 40)
    shaded = scene * (1 - shadow * (1 - mask))[..., None]
    return np.asarray(shaded * (1 - mask[..., None]) + placed * mask[..., None], np.float32)


def _bounding_box(mask: Floats) -> Box:
    rows, columns = np.flatnonzero((mask > 0.5).any(axis=1)), np.flatnonzero((mask > 0.5).any(axis=0))
    height, width = mask.shape
    if not len(rows):
        return Box(0.0, 0.0, 1.0, 1.0)
    return Box(columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height)


def _expand(box: Box, margins: NDArray[np.float64]) -> Box:
    """Move the four edges outward by fractions of the size of the box, within the photo."""
    width, height = box.x1 - box.x0, box.y1 - box.y0
    left, top, right, bottom = (float(margin) for margin in margins)
    return Box(
        max(0.0, box.x0 - left * width),
        max(0.0, box.y0 - top * height),
        min(1.0, box.x1 + right * width),
        min(1.0, box.y1 + bottom * height),
    )


def _background(room: Picture | None, rng: np.random.Generator, side: int) -> Floats:
    """Return a random part of a room photo, mirrored half the time, or a generated room, float32 [h, w, 3]."""
    width = round(side * rng.uniform(0.8, 1.0))
    if room is None:
        return _generate_room(rng, side, width)
    size = rng.uniform(0.55, 1.0)
    x, y = rng.uniform(0, 1 - size, 2)
    part = resize(crop(room, Box(x, y, x + size, y + size)), width, side)
    return np.asarray((part[:, ::-1] if rng.random() < 0.5 else part) / 255, np.float32)


def _generate_room(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Draw a wall and a floor with a few plain objects, float32 [height, width, 3]."""
    scene, floor = (_generate_surface(rng, height, width) for _ in range(2))
    skirting = round(height * rng.uniform(0.4, 1.0))
    scene[skirting:] = floor[skirting:]
    for _ in range(rng.integers(0, 4)):
        y, x = rng.integers(0, height), rng.integers(0, width)
        h, w = rng.integers(height // 12, height // 2), rng.integers(width // 12, width // 2)
        scene[y : y + h, x : x + w] = rng.uniform(0.05, 0.95, 3) * rng.uniform(0.4, 1)
    return np.asarray(scipy.ndimage.gaussian_filter(scene, (*rng.uniform(0.3, 1.5, 1).repeat(2), 0)), np.float32)


def _generate_surface(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Draw a muted color with soft blotches, or planks."""
    color = np.clip(rng.uniform(0.2, 0.95) + rng.normal(0, 0.07, 3), 0, 1)
    surface = np.broadcast_to(color, (height, width, 3))
    blotches = rng.normal(0, rng.uniform(0.01, 0.1), (6, 6))
    surface = surface + scipy.ndimage.zoom(blotches, (height / 6, width / 6), order=1)[..., None]
    if rng.random() < 0.4:
        period, across = rng.integers(6, 30), rng.integers(0, 2)
        stripes = (np.indices((height, width))[across] // period) % 2
        surface = surface * (1 - rng.uniform(0.03, 0.25) * stripes[..., None])
    return np.clip(surface, 0, 1).astype(np.float32)


def _occlude(photo: Floats, box: Box, rng: np.random.Generator) -> Floats:
    """One time in four, cover a corner or an edge of the product with a plain ellipse."""
    if rng.random() > 0.25:
        return photo
    height, width = photo.shape[:2]
    x = (box.x0 + rng.choice([0.0, 1.0]) * (box.x1 - box.x0)) * width
    y = (box.y0 + rng.uniform(0.3, 1.0) * (box.y1 - box.y0)) * height
    radius = rng.uniform(0.08, 0.22) * np.array([(box.y1 - box.y0) * height, (box.x1 - box.x0) * width])
    rows, columns = np.ogrid[:height, :width]
    inside = ((rows - y) / radius[0]) ** 2 + ((columns - x) / radius[1]) ** 2 < 1
    return np.where(inside[..., None], rng.uniform(0.05, 0.95, 3), photo).astype(np.float32)


def _take_photo(scene: Floats, rng: np.random.Generator) -> Picture:
    """Light a scene from one side, and simulate a phone camera: color cast, exposure, blur, noise and JPEG."""
    height, width = scene.shape[:2]
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.3)
    ramp = 1 + depth * (np.cos(angle) * columns + np.sin(angle) * rows)
    warmth = rng.normal(0, 0.07)
    cast = np.array([1 + warmth, 1 + rng.normal(0, 0.02), 1 - warmth])
    gray = scene.mean(axis=2, keepdims=True)
    saturated = gray + (scene - gray) * rng.uniform(0.6, 1.25)
    lit = np.clip(saturated * ramp[..., None] * cast * rng.uniform(0.7, 1.2), 0, 1) ** rng.uniform(0.75, 1.35)
    blurred = scipy.ndimage.gaussian_filter(lit.astype(np.float32), (*rng.uniform(0, 1.0, 1).repeat(2), 0))
    noisy = blurred * 255 + rng.normal(0, rng.uniform(0, 7), scene.shape)
    return decode(encode_jpeg(np.clip(noisy, 0, 255).astype(np.uint8), quality=int(rng.integers(45, 92))))
