"""Turned and stacked bodies of lamps, and those that are a frame."""

import numpy as np

from demo_shop_renderer.build import shades
from demo_shop_renderer.build.maker import Maker, Skins
from demo_shop_renderer.build.mesh import curve
from demo_shop_renderer.shapes import Lamp


def _turned(maker: Maker, shape: Lamp, skins: Skins, lit: bool) -> None:
    """Stand the shade on a turned body: gourd, candlestick, ball, block or bottle."""
    radius, low = shape.base_width / 2, shape.height - shape.shade_height
    body = low - 0.05 if shape.shade != "globe" else low + 0.02
    profile = [(r * radius, z * body) for r, z in _PROFILES[shape.stand]]
    maker.lathe(profile, skins[1], around=44, smooth=shape.stand not in ("block",))
    if shape.shade != "globe":
        maker.rod((0, 0, body - 0.01), (0, 0, low + 0.06), 0.006, "brass")
        maker.lathe(
            [(0.001, 0), (0.018, 0), (0.016, 0.012), (0.001, 0.014)],
            "brass",
            (0, 0, body - 0.002),
            smooth=False,
            around=18,
        )
    shades.shade(maker, shape, skins[0], (0, 0, low), lit)


_PROFILES = {
    "gourd": [
        (0.001, 0),
        (0.55, 0),
        (0.6, 0.03),
        (0.9, 0.18),
        (1.0, 0.33),
        (0.82, 0.5),
        (0.42, 0.62),
        (0.56, 0.74),
        (0.52, 0.86),
        (0.24, 0.97),
        (0.16, 1.0),
        (0.001, 1.0),
    ],
    "candlestick": [
        (0.001, 0),
        (1.0, 0),
        (1.0, 0.04),
        (0.7, 0.09),
        (0.3, 0.14),
        (0.42, 0.2),
        (0.26, 0.26),
        (0.3, 0.5),
        (0.24, 0.7),
        (0.44, 0.76),
        (0.26, 0.82),
        (0.36, 0.95),
        (0.2, 1.0),
        (0.001, 1.0),
    ],
    "ball": [
        (0.001, 0),
        (0.5, 0),
        (0.56, 0.04),
        (0.9, 0.25),
        (1.0, 0.5),
        (0.88, 0.75),
        (0.5, 0.95),
        (0.2, 1.0),
        (0.001, 1.0),
    ],
    "block": [(0.001, 0), (1.0, 0), (1.0, 0.9), (0.92, 1.0), (0.001, 1.0)],
    "bottle": [
        (0.001, 0),
        (0.8, 0),
        (0.94, 0.05),
        (1.0, 0.25),
        (0.98, 0.45),
        (0.7, 0.64),
        (0.28, 0.76),
        (0.22, 0.9),
        (0.26, 1.0),
        (0.001, 1.0),
    ],
}


def _stack(maker: Maker, shape: Lamp, skins: Skins, lit: bool) -> None:
    radius, low = shape.base_width / 2, shape.height - shape.shade_height
    body = low - 0.03
    rows = (
        (1.0, 0.1, "disc"),
        (0.62, 0.27, "ball"),
        (0.8, 0.08, "disc"),
        (0.52, 0.24, "ball"),
        (0.66, 0.07, "disc"),
        (0.4, 0.2, "ball"),
    )
    total = sum(share for _, share, _ in rows)
    z = 0.0
    for i, (wide, share, kind) in enumerate(rows):
        high, r = body * share / total, wide * radius
        profile = (
            [(0.001, 0), (r, 0), (r, high), (0.001, high)]
            if kind == "disc"
            else [(0.001, 0), (r * 0.7, high * 0.1), (r, high / 2), (r * 0.7, high * 0.9), (0.001, high)]
        )
        maker.lathe(
            profile, skins[1 + i % 2] if len(skins) > 2 else skins[1], (0, 0, z), smooth=kind != "disc", around=36
        )
        z += high
    maker.rod((0, 0, z - 0.01), (0, 0, low + 0.05), 0.006, "brass")
    shades.shade(maker, shape, skins[0], (0, 0, low), lit)


def _swan(maker: Maker, shape: Lamp, skins: Skins, lit: bool) -> None:
    high = shape.height
    knots = [
        (0, 0.02, 0.015),
        (0, 0.05, high * 0.4),
        (0, 0.06, high * 0.75),
        (0, 0.02, high - 0.02),
        (0, -0.02, high - 0.03),
    ]
    maker.tube(curve(np.array(knots), 8), 0.008, skins[1])
    maker.lathe([(0.001, 0), (0.03, 0), (0.02, 0.02), (0.008, 0.03)], skins[1], (0, 0.02, 0.014), around=20)
    shades.shade(maker, shape, skins[0], (0, -0.02, high - shape.shade_height - 0.01), lit)


def _frame(maker: Maker, shape: Lamp, skins: Skins, lit: bool) -> None:
    half, high, t = shape.base_width / 2 - 0.007, shape.height, 0.014
    for sx in (-1, 1):
        for sy in (-1, 1):
            maker.box((t, t, high), (sx * half, sy * half, high / 2), skins[1], axis="z", bevel=0.002)
    for z in (0.05, high - t / 2, high * 0.45):
        for side in (-1, 1):
            maker.box((2 * half, t * 0.8, t * 0.8), (0, side * half, z), skins[1], axis="x", bevel=0.002)
            maker.box((t * 0.8, 2 * half, t * 0.8), (side * half, 0, z), skins[1], axis="y", bevel=0.002)
    shades.paper_box(maker, 2 * half - 0.012, high - 0.06, skins[0], (0, 0, 0.055), lit)


def _shelf(maker: Maker, shape: Lamp, skins: Skins, lit: bool) -> None:
    half, low, t = shape.base_width / 2 - 0.012, shape.height - shape.shade_height, 0.022
    for sx in (-1, 1):
        for sy in (-1, 1):
            maker.box((t, t, shape.height), (sx * half, sy * half, shape.height / 2), skins[1], axis="z", bevel=0.003)
    for z in (0.12, low * 0.4, low * 0.72):
        maker.box((2 * half, 2 * half, 0.014), (0, 0, z), skins[1], axis="x", bevel=0.003)
        maker.rests.append((0.0, 0.0, z + 0.007, half * 1.4, half * 1.4, low * 0.25))
    for side in (-1, 1):
        maker.box((2 * half, t * 0.7, t * 0.7), (0, side * half, shape.height - t / 2), skins[1], axis="x", bevel=0.003)
        maker.box((t * 0.7, 2 * half, t * 0.7), (side * half, 0, shape.height - t / 2), skins[1], axis="y", bevel=0.003)
    shades.paper_box(maker, 2 * half - 0.01, shape.shade_height, skins[0], (0, 0, low), lit)


BODIES = {
    "stack": _stack,
    "swan": _swan,
    "frame": _frame,
    "shelf": _shelf,
    **dict.fromkeys(_PROFILES, _turned),
}
"""Stand -> what builds it and its shade."""
