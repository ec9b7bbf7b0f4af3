"""Lampshades, and the bulb in each."""

import math

import numpy as np

from demo_shop_renderer.build.maker import Maker, Skin
from demo_shop_renderer.build.mesh import Mesh, Points, sheet
from demo_shop_renderer.palette import Finish
from demo_shop_renderer.shapes import Lamp

Place = tuple[float, float, float]
GLOW = {"shade cloth": 2.2, "paper": 2.6, "opal glass": 5.0, "cased glass": 1.5}
"""How strongly a lit shade shines, by its material; the others let no light through."""


def shade(maker: Maker, shape: Lamp, skin: Skin, at: Place, lit: bool, tilt: float = 0.0) -> None:
    """Add a shade, the middle of its lower edge at a point; tilted about its top."""
    wide, high = shape.shade_width / 2, shape.shade_height
    glow = _glow(skin, lit)
    turn = (tilt, 0, 0) if shape.stand != "angle" else (0, -tilt, 0)
    if shape.shade == "globe":
        profile = [(0.1, 0.012), (0.5, 0.07), (0.87, 0.25), (1.0, 0.5), (0.87, 0.75), (0.5, 0.93), (0.001, 1.0)]
        maker.lathe([(r * wide, z * high) for r, z in profile], skin, at, around=40, glow=glow)
    elif shape.shade == "lantern":
        ribs = round(high / 0.05)
        steps = [
            (
                wide * (1.0 - 0.035 * (i % 2)) * min(1.0, 0.75 + 0.5 * min(i, 2 * ribs - i) / ribs * 4),
                high * i / (2 * ribs),
            )
            for i in range(2 * ribs + 1)
        ]
        maker.lathe(steps, skin, at, around=40, smooth=False, glow=glow)
    elif shape.shade == "bankers":
        maker.put(_trough(wide, shape.depth * 0.42, high), skin, at, thick=0.006, glow=glow)
    elif shape.shade == "pleated":
        maker.put(_skirt(wide * 0.55, wide, high, 44, 0.012), skin, at, thick=0.003, glow=glow)
    else:
        line = _PROFILES[shape.shade]
        around = np.array([(r * wide, z * high) for r, z in line])
        maker.put(_turned(around), skin, at, turn, thick=0.005, glow=glow)
    middle = (at[0], at[1], at[2] + high * 0.5)
    maker.bulbs.append(middle)
    if shape.shade in ("drum", "empire", "cone", "dome", "spot", "mushroom", "pleated", "bankers"):
        radius = min(0.032, wide * 0.3)
        ball = [(0.001, -1.0), (0.7, -0.7), (1.0, 0.0), (0.7, 0.7), (0.45, 1.2), (0.4, 1.8)]
        maker.lathe(
            [(r * radius, z * radius) for r, z in ball],
            "opal glass:white",
            middle,
            around=18,
            glow=12.0 if lit else 0.0,
        )


def _glow(skin: Skin, lit: bool) -> float:
    return GLOW.get(skin.material, 0.0) if lit and isinstance(skin, Finish) else 0.0


def _turned(line: Points) -> Mesh:
    def form(u: Points, v: Points) -> tuple[Points, Points, Points]:
        at = v * (len(line) - 1)
        r, z = (np.interp(at, np.arange(len(line)), line[:, k]) for k in (0, 1))
        return r * np.cos(u * math.tau), r * np.sin(u * math.tau), z

    return sheet(form, 48, (len(line) - 1) * 2)


def _skirt(top: float, foot: float, high: float, pleats: int, deep: float) -> Mesh:
    def form(u: Points, v: Points) -> tuple[Points, Points, Points]:
        r = (
            foot
            + (top - foot) * v
            + deep * np.abs(((u * pleats) % 1) * 2 - 1) * (1.2 - 0.6 * v)
            - 0.006 * np.sin(v * math.pi)
        )
        return r * np.cos(u * math.tau), r * np.sin(u * math.tau), v * high

    return sheet(form, pleats * 4, 6)


def _trough(wide: float, deep: float, high: float) -> Mesh:
    def form(u: Points, v: Points) -> tuple[Points, Points, Points]:
        angle = v * math.pi
        x = (u - 0.5) * 2 * wide * (1 - 0.06 * np.sin(angle))
        return x, -np.cos(angle) * deep, high * np.sin(angle) ** 0.8

    return sheet(form, 10, 24)


def paper_box(maker: Maker, wide: float, high: float, skin: Skin, at: Place, lit: bool) -> None:
    """Add four walls of paper."""
    glow, x, y, z = _glow(skin, lit), *at
    for side in (-1, 1):
        maker.box((wide, 0.003, high), (x, y + side * wide / 2, z + high / 2), skin, bevel=0.0005, glow=glow)
        maker.box((0.003, wide, high), (x + side * wide / 2, y, z + high / 2), skin, bevel=0.0005, glow=glow)
    maker.bulbs.append((x, y, z + high / 2))


_PROFILES = {
    "drum": [(1.0, 0), (0.97, 0.5), (0.94, 1.0)],
    "empire": [(1.0, 0), (0.8, 0.45), (0.62, 0.85), (0.56, 1.0)],
    "cone": [(1.0, 0), (0.7, 0.5), (0.34, 0.96), (0.3, 1.0), (0.1, 1.02)],
    "dome": [(1.0, 0), (0.97, 0.25), (0.85, 0.56), (0.6, 0.83), (0.3, 0.97), (0.08, 1.0)],
    "bowl": [(0.08, 0), (0.4, 0.06), (0.75, 0.3), (0.95, 0.7), (1.0, 1.0)],
    "spot": [(1.0, 0), (0.96, 0.4), (0.8, 0.75), (0.5, 0.97), (0.1, 1.0)],
    "mushroom": [(1.0, 0), (0.99, 0.16), (0.9, 0.5), (0.68, 0.8), (0.36, 0.96), (0.05, 1.0)],
}
"""Shade -> its outline from the lower edge up, as shares of half its width and of its height."""
