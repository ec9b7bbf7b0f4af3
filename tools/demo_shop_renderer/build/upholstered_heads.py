"""Headboards that are upholstered."""

import math

import numpy as np

from demo_shop_renderer.build import outlines, soft
from demo_shop_renderer.build.maker import Maker, Skin, Skins
from demo_shop_renderer.build.mesh import UPRIGHT, curve
from demo_shop_renderer.shapes import Bed


def channels(maker: Maker, shape: Bed, skins: Skins, y: float, high: float) -> None:
    """Stand tall channels side by side."""
    count = max(6, round(shape.width / 0.2))
    each = (shape.width + 0.04) / count
    for i in range(count):
        x = -shape.width / 2 - 0.02 + each * (i + 0.5)
        maker.cushion(
            (each + 0.002, 0.12, high - 0.08),
            (x, y - 0.07, 0.08 + (high - 0.08) / 2),
            skins[0],
            soft=0.96,
            crown=0.25,
            crease=0.001,
            inner=5,
        )


def tufts(maker: Maker, shape: Bed, skins: Skins, y: float, high: float) -> None:
    """Button a padded panel."""
    wide = shape.width - 0.1
    maker.cushion(
        (shape.width, 0.07, high - 0.1),
        (0, y - 0.035, 0.1 + (high - 0.1) / 2),
        skins[0],
        soft=0.7,
        crown=0.1,
        crease=0.001,
    )
    form, buttons = soft.tufted(wide, high - 0.52, 0.08, 0.24)
    maker.put(form, skins[0], (0, y - 0.06, 0.5))
    for x, depth, z in buttons:
        maker.lathe(
            [(0.001, 0), (0.014, 0), (0.011, 0.006), (0.001, 0.009)],
            skins[0],
            (x, y - 0.06 + depth, 0.5 + z),
            turn=(UPRIGHT, 0, 0),
            around=10,
            smooth=False,
        )


def winged(maker: Maker, shape: Bed, skins: Skins, y: float, high: float) -> None:
    """Add wings to a buttoned panel."""
    tufts(maker, shape, skins, y, high)
    profile = curve(
        np.array(
            [
                (y, high),
                (y - 0.16, high - 0.015),
                (y - 0.24, high - 0.12),
                (y - 0.22, high - 0.5),
                (y - 0.25, shape.rail),
            ]
        ),
        6,
    )
    outline = np.concatenate([profile, [(y - 0.25, 0.1), (y, 0.1)]])
    for side in (-1, 1):
        maker.board(
            outline,
            0.075,
            (side * (shape.width / 2 - 0.01), 0, 0),
            skins[0],
            (UPRIGHT, 0, UPRIGHT),
            bevel=0.03,
            rounds=4,
        )


def arch(maker: Maker, shape: Bed, skins: Skins, y: float, high: float) -> None:
    """Pad one big arch."""
    outline = outlines.arch(shape.width + 0.02, high - 0.06, 0.42)
    angle = np.linspace(0, math.pi, 25)
    outline[2:] = np.stack(
        [
            np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.75 * (shape.width / 2 + 0.01),
            0.42 + np.sin(angle) * (high - 0.48),
        ],
        axis=-1,
    )
    maker.board(outline, 0.13, (0, y - 0.065, 0.06), skins[0], (UPRIGHT, 0, 0), bevel=0.055, rounds=5)


def pads(maker: Maker, shape: Bed, skins: Skins, y: float, high: float) -> None:
    """Hang two pads from a rail."""
    wide = shape.width
    posts(maker, shape, skins[0], y, high, 0.04)
    maker.rod((-wide / 2 + 0.02, y - 0.022, high - 0.04), (wide / 2 - 0.02, y - 0.022, high - 0.04), 0.017, skins[0])
    maker.box((wide - 0.08, 0.025, 0.08), (0, y - 0.022, 0.42), skins[0], axis="x")
    for side in (-1, 1):
        maker.cushion(
            (wide / 2 - 0.06, 0.1, 0.48),
            (side * wide * 0.245, y - 0.09, high - 0.32),
            skins[1],
            (-0.1, 0, 0),
            soft=0.8,
            crown=0.3,
            crease=0.004,
            piping=skins[1],
        )
        for shift in (-0.2, 0.2):
            maker.box((0.035, 0.012, 0.12), (side * wide * 0.245 + shift, y - 0.05, high - 0.07), skins[1])


def posts(maker: Maker, shape: Bed, skin: Skin, y: float, high: float, side: float = 0.05) -> None:
    """Stand a post at either side."""
    for sx in (-1, 1):
        maker.box(
            (side, 0.045, high), (sx * (shape.width - side) / 2, y - 0.022, high / 2), skin, axis="z", bevel=0.008
        )
