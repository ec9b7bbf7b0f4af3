"""What lies on a bed: mattress, duvet or quilt, pillows, a throw."""

import math
from dataclasses import dataclass

import numpy as np

from demo_shop_renderer.build import soft
from demo_shop_renderer.build.maker import Maker, Skin
from demo_shop_renderer.build.mesh import Points, sheet
from demo_shop_renderer.shapes import Bed

SHEET = "cotton:white"
_OPEN = ("wood", "upholstered", "drawers")
"""Frames that a duvet may hang over."""


@dataclass(frozen=True)
class Mattress:
    """Where the mattress lies: its width and length, the y of its foot, its underside's height, its thickness."""

    width: float
    length: float
    foot: float
    low: float
    thick: float

    @property
    def top(self) -> float:
        """How high one lies."""
        return self.low + self.thick

    @property
    def head(self) -> float:
        """The y of its head."""
        return self.foot + self.length


def spread(maker: Maker, shape: Bed, cover: Skin, throw: Skin, bed: Mattress) -> None:
    """Make the bed."""
    at = (0, bed.foot + bed.length / 2, bed.low + bed.thick / 2)
    maker.cushion((bed.width, bed.length, bed.thick), at, SHEET, soft=0.5, crown=0.03, crease=0.002, inner=9)
    _duvet(maker, shape, cover, bed)
    _pillows(maker, shape, cover, throw, bed)
    if shape.spread == "throw":
        _blanket(maker, throw, bed, bed.foot + 0.14, 0.52)
    elif shape.spread == "folded":
        size = (bed.width * 0.7, 0.42, 0.07)
        maker.cushion(
            size, (0, bed.foot + 0.4, bed.top + 0.105), throw, (0, 0, 0.02), soft=0.8, crown=0.3, crease=0.012
        )


def _over(across: Points, half: float, hang: float, bend: float = 0.055) -> tuple[Points, Points]:
    """Return sideways place and drop of cloth that lies flat, then hangs, for -1 to 1 across it."""
    along = np.abs(across) * (half + hang)
    flat, turn = half - bend, bend * math.pi / 2
    angle = np.clip((along - flat) / bend, 0, math.pi / 2)
    x = np.where(along < flat, along, flat + bend * np.sin(angle))
    drop = -(bend - bend * np.cos(angle)) - np.maximum(0, along - flat - turn)
    return np.sign(across) * x, drop


def _duvet(maker: Maker, shape: Bed, cover: Skin, bed: Mattress) -> None:
    outside = shape.spread in ("quilt", "plain") and shape.foot == "none" and shape.frame in _OPEN
    half = shape.width / 2 + 0.022 if outside else bed.width / 2 + 0.022
    hang = 0.27 if outside else bed.thick - 0.035  # over the frame, or tucked in
    head = bed.head - (0.5 if shape.spread != "folded" else 0.62)
    length, seed = head - bed.foot + (0.085 if outside else 0.0), maker.next_seed()
    quilted = shape.spread == "quilt"

    def form(u: Points, v: Points) -> tuple[Points, Points, Points]:
        x, side = _over(2 * u - 1, half, hang)
        along = v * (length + hang)
        flat = length - 0.05
        angle = np.clip((along - flat) / 0.055, 0, math.pi / 2)
        y = head - np.where(along < flat, along, flat + 0.055 * np.sin(angle))
        drop = -(0.055 - 0.055 * np.cos(angle)) - np.maximum(0, along - flat - 0.055 * math.pi / 2)
        fall = np.minimum(side, drop)
        place = np.stack([x, y], axis=-1)
        waves = (
            0.012 * soft.ripple(place, 5, seed)
            + 0.007 * np.abs(soft.ripple(place, 9, seed + 1))
            + 0.003 * soft.ripple(place, 21, seed + 2)
        )
        if quilted:
            waves = 0.012 * np.abs(np.sin(x * 18)) ** 0.5 * np.abs(np.sin(y * 18)) ** 0.5
        lying = np.clip(1 + fall / 0.06, 0.15, 1)
        roll = 0.045 * np.exp(-(((head - y) / 0.05) ** 2)) * (fall > -0.06)
        sway = 0.014 * np.sin(y * 11 + seed) * np.clip(-side / 0.2, 0, 1)
        sway_foot = 0.014 * np.sin(x * 11 + seed) * np.clip(-drop / 0.2, 0, 1)
        return x + np.sign(x) * sway, y - sway_foot, bed.top + 0.03 + fall + waves * lying + roll

    maker.put(sheet(form, 46, 44), cover, thick=0.03)


def _pillows(maker: Maker, shape: Bed, cover: Skin, throw: Skin, bed: Mattress) -> None:
    count = 2 if shape.width > 1.25 else 1
    for i in range(count):
        x = (i - (count - 1) / 2) * bed.width * 0.49
        tilt = 0.62 if shape.spread != "folded" else 0.3
        wide = min(0.68, bed.width * 0.46 if count == 2 else bed.width * 0.72)
        maker.pillow(wide, 0.46, 0.2, (x, bed.head - 0.23, bed.top + 0.15), SHEET, (tilt, 0, 0.04 * (2 * i - 1)))
        if shape.pillows > 1:
            maker.pillow(
                wide * 0.92,
                0.42,
                0.17,
                (x * 0.96, bed.head - 0.36, bed.top + 0.18),
                cover,
                (tilt + 0.14, 0, -0.05 * (2 * i - 1)),
            )
    if shape.spread in ("throw", "plain") and count == 2:
        maker.pillow(0.5, 0.32, 0.15, (0.03, bed.head - 0.56, bed.top + 0.17), throw, (0.9, 0, 0.06))


def _blanket(maker: Maker, throw: Skin, bed: Mattress, start: float, long: float) -> None:
    seed = maker.next_seed()

    def form(u: Points, v: Points) -> tuple[Points, Points, Points]:
        x, fall = _over(2 * u - 1, bed.width / 2 + 0.05, bed.thick - 0.02)
        y = start + long * v + 0.02 * soft.ripple(np.stack([x, v], axis=-1), 3, seed)
        folds = 0.008 * np.sin(v * 30 + 1.5 * soft.ripple(np.stack([x, v], axis=-1), 3, seed + 1))
        waves = 0.01 * soft.ripple(np.stack([x, y], axis=-1), 5, seed + 2)
        return x * (1 - 0.02 * fall), y, bed.top + 0.078 + fall + (waves + folds) * np.clip(1 + fall / 0.1, 0.3, 1)

    maker.put(sheet(form, 44, 22), throw, thick=0.012)
