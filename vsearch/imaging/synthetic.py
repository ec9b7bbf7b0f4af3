"""Made shopper photos: what happens to a product between its packshot and a phone, seeded and pure.

The whitening of a generation learns from such views which differences do not matter; `vsearch evaluate shopper`
measures with others. The steps, in order: cut the product off its plain background, turn and tilt it, put it before
another background, cover a part, light it unevenly, and take it with a phone (cast, gamma, blur, noise, JPEG).

Pictures are RGB uint8 [height, width, 3]; inside, light is float32 in 0..1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray
from skimage.transform import ProjectiveTransform, warp

from vsearch.imaging.codec import Picture, crop, decode, encode_jpeg, resize
from vsearch.imaging.geometry import Box
from vsearch.imaging.preprocess import border, trim
from vsearch.imaging.rooms import made_room, part_of

Floats = NDArray[np.float32]

SIDE = 176  # px of a made photo's longer side: networks see less than this
_HIDDEN = 0.25  # share of the smaller of two products that the other may hide
_BACKGROUND_TOLERANCE = 16  # grey levels that still count as background when cutting out


@dataclass(frozen=True)
class Shot:
    """A made photo and where the product is in it."""

    photo: Picture
    box: Box


@dataclass(frozen=True)
class Scene:
    """A made photo of a room and where each product is in it."""

    photo: Picture
    boxes: tuple[Box, ...]


def shopper_view(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return the picture as a shopper might photograph it, cut to the product about as well as a person does it."""
    shot = shoot(picture, rng, share=(0.6, 0.95))
    return crop(shot.photo, _loosen(shot.box, rng.uniform(-0.04, 0.12, 4)))


def cut_to_box(shot: Shot, margin: float = 0.05) -> Picture:
    """Return the marked product of a shot with `margin` of its size around it."""
    return crop(shot.photo, with_margin(shot.box, margin))


def with_margin(box: Box, margin: float = 0.05) -> Box:
    """Return a box with `margin` of its size around it, inside the photo."""
    return _loosen(box, np.full(4, margin))


def shoot(
    picture: Picture,
    rng: np.random.Generator,
    *,
    room: Picture | None = None,
    share: tuple[float, float] = (0.35, 0.6),
) -> Shot:
    """Make a photo of a product in a room.

    Args:
        picture: catalogue picture. With a uniform border the product is cut out; else it is taken whole.
        rng: all chance comes from it.
        room: photo to stand the product in; a simple wall and floor is made up when None.
        share: least and greatest part of the photo's side that the product takes.
    """
    thing = trim(picture)
    thing = fit(thing, round(SIDE * rng.uniform(*share)))
    alpha = cutout(thing)
    scene = _room(room, rng)
    placed, mask = _place(thing, alpha, scene.shape[:2], rng)
    box = _box_of(mask)
    photo = _occlude(_stood_in(scene, placed, mask), box, rng)
    return Shot(taken(photo, rng), box)


def furnish(
    pictures: Sequence[Picture],
    rng: np.random.Generator,
    *,
    room: Picture | None = None,
    share: tuple[float, float] = (0.2, 0.65),
) -> Scene:
    """Make a photo of several products in a room, each at a size of its own, at the least one.

    One that would hide more than a quarter of another is left out; see `shoot` for the rest.
    """
    scene = _room(room, rng)
    masks: list[Floats] = []  # how much of each pixel is the product's
    for picture in pictures:
        thing = fit(trim(picture), round(SIDE * rng.uniform(*share)))
        placed, mask = _place(thing, cutout(thing), scene.shape[:2], rng)
        if all(np.minimum(mask, other).sum() < _HIDDEN * min(mask.sum(), other.sum()) for other in masks):
            masks.append(mask)
            scene = _stood_in(scene, placed, mask)
    return Scene(taken(_occlude(scene, _box_of(masks[0]), rng), rng), tuple(map(_box_of, masks)))


def cutout(picture: Picture) -> Floats:
    """Return how much each pixel belongs to the product, float32 [h, w] in 0..1.

    Background is what has the border's colour and hangs together with the border; a picture without a uniform border
    is all product.
    """
    colour, uniform = border(picture)
    if not uniform:
        return np.ones(picture.shape[:2], np.float32)
    plain = np.abs(picture.astype(np.int16) - colour.astype(np.int16)).max(axis=2) < _BACKGROUND_TOLERANCE
    seed = np.zeros_like(plain)
    seed[0], seed[-1], seed[:, 0], seed[:, -1] = True, True, True, True
    background = scipy.ndimage.binary_propagation(seed & plain, mask=plain)
    if background.mean() > 0.97:
        return np.ones(picture.shape[:2], np.float32)
    soft = scipy.ndimage.gaussian_filter((~background).astype(np.float32), 0.6)
    sharp: Floats = np.clip((soft - 0.25) / 0.55, 0, 1)  # half a pixel in from the edge, where the white fringe is
    return sharp


# ---- geometry ----


def corners_of(picture: Picture) -> NDArray[np.float64]:
    """Return the corners x, y of a picture, float64 [4, 2], from the top left clockwise."""
    height, width = picture.shape[:2]
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def seen_from_elsewhere(corners: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the corners [4, 2] of a picture when it is tilted, stretched and put in perspective, about (0, 0)."""
    centre, size = corners.mean(axis=0), corners[2] - corners[0]
    angle = rng.normal(0, 0.06)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = np.array([rng.uniform(0.82, 1.1), rng.uniform(0.9, 1.08)])
    return np.asarray(((corners - centre) * stretch) @ turn.T + rng.uniform(-0.09, 0.09, (4, 2)) * size)


def _place(thing: Picture, alpha: Floats, shape: tuple[int, int], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Stand the product somewhere in a frame, tilted and in perspective -> (light [h, w, 3], mask [h, w])."""
    corners = corners_of(thing)
    moved = seen_from_elsewhere(corners, rng)
    low, high = moved.min(axis=0), moved.max(axis=0)
    room_left = np.array(shape[::-1]) - (high - low)
    if (room_left < 0).any():
        shrink = (np.array(shape[::-1]) / (high - low)).min()
        moved, low, high = moved * shrink, low * shrink, high * shrink
        room_left = np.maximum(np.array(shape[::-1]) - (high - low), 0)
    moved += rng.uniform(0, 1, 2) * room_left - low
    transform = ProjectiveTransform.from_estimate(moved, corners)
    stacked = np.dstack([thing.astype(np.float32) / 255 * alpha[..., None], alpha])
    warped = warp(stacked, transform, output_shape=shape, order=1, preserve_range=True).astype(np.float32)
    mask = np.clip(warped[..., 3], 0, 1)
    return warped[..., :3] / np.maximum(mask, 1e-3)[..., None], mask


def _stood_in(scene: Floats, placed: Floats, mask: Floats) -> Floats:
    """Return a scene with a product in it, and its shadow."""
    shaded = scene * (1 - _shadow(mask) * (1 - mask))[..., None]
    return np.asarray(shaded * (1 - mask[..., None]) + placed * mask[..., None], np.float32)


def _room(room: Picture | None, rng: np.random.Generator) -> Floats:
    """Return what a product is stood in, float32 [h, w, 3]: a part of a photo, or a wall and floor that are made up."""
    width = round(SIDE * rng.uniform(0.8, 1.0))
    return made_room(rng, SIDE, width) if room is None else part_of(room, rng, SIDE, width)


def fit(picture: Picture, side: int) -> Picture:
    """Return the picture with its longer side `side` px long, and the shorter at least 8."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    return resize(picture, max(8, round(width * scale)), max(8, round(height * scale)))


def _box_of(mask: Floats) -> Box:
    rows, columns = np.flatnonzero((mask > 0.5).any(axis=1)), np.flatnonzero((mask > 0.5).any(axis=0))
    height, width = mask.shape
    if not len(rows):
        return Box(0.0, 0.0, 1.0, 1.0)
    return Box(columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height)


def _loosen(box: Box, margins: NDArray[np.float64]) -> Box:
    """Move the four edges outwards by shares of the box's own size, staying inside the photo."""
    width, height = box.x1 - box.x0, box.y1 - box.y0
    left, top, right, bottom = (float(margin) for margin in margins)
    return Box(
        max(0.0, box.x0 - left * width),
        max(0.0, box.y0 - top * height),
        min(1.0, box.x1 + right * width),
        min(1.0, box.y1 + bottom * height),
    )


# ---- light and phone ----


def taken(photo: Floats, rng: np.random.Generator) -> Picture:
    """Return light [h, w, 3] as a phone takes it: uneven light, cast, exposure, blur, noise and JPEG."""
    return _phone(_light(photo, rng), rng)


def _shadow(mask: Floats) -> Floats:
    """A soft contact shadow below and around the product, 0..0.5."""
    height = mask.shape[0]
    soft = scipy.ndimage.gaussian_filter(np.roll(mask, height // 40, axis=0), height / 40)
    return np.asarray(0.5 * soft, np.float32)


def _occlude(photo: Floats, box: Box, rng: np.random.Generator) -> Floats:
    """Cover a corner or an edge of the product with something plain, one time in four."""
    if rng.random() > 0.25:
        return photo
    height, width = photo.shape[:2]
    x = (box.x0 + rng.choice([0.0, 1.0]) * (box.x1 - box.x0)) * width
    y = (box.y0 + rng.uniform(0.3, 1.0) * (box.y1 - box.y0)) * height
    radius = rng.uniform(0.08, 0.22) * np.array([(box.y1 - box.y0) * height, (box.x1 - box.x0) * width])
    rows, columns = np.ogrid[:height, :width]
    inside = ((rows - y) / radius[0]) ** 2 + ((columns - x) / radius[1]) ** 2 < 1
    return np.where(inside[..., None], rng.uniform(0.05, 0.95, 3), photo).astype(np.float32)


def _light(photo: Floats, rng: np.random.Generator) -> Floats:
    """Light from one side, a colour cast, another exposure and saturation."""
    height, width = photo.shape[:2]
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.3)
    ramp = 1 + depth * (np.cos(angle) * columns + np.sin(angle) * rows)
    warm = rng.normal(0, 0.07)
    cast = np.array([1 + warm, 1 + rng.normal(0, 0.02), 1 - warm])
    grey = photo.mean(axis=2, keepdims=True)
    coloured = grey + (photo - grey) * rng.uniform(0.6, 1.25)
    lit = np.clip(coloured * ramp[..., None] * cast * rng.uniform(0.7, 1.2), 0, 1) ** rng.uniform(0.75, 1.35)
    return np.asarray(lit, np.float32)


def _phone(photo: Floats, rng: np.random.Generator) -> Picture:
    """Blur, sensor noise and JPEG."""
    blurred = scipy.ndimage.gaussian_filter(photo, (*rng.uniform(0, 1.0, 1).repeat(2), 0))
    noisy = blurred * 255 + rng.normal(0, rng.uniform(0, 7), photo.shape)
    taken = np.clip(noisy, 0, 255).astype(np.uint8)
    return decode(encode_jpeg(taken, quality=int(rng.integers(45, 92))))
