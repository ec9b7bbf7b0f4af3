"""Doors and drawers, and what they are opened by. The face lies in the plane y, outwards is -y."""

import math

import numpy as np

from demo_shop_renderer.build import outlines
from demo_shop_renderer.build.maker import Maker, Skin
from demo_shop_renderer.build.mesh import UPRIGHT, rounded
from demo_shop_renderer.build.nodes import Graph, grey

Place = tuple[float, float, float]
GAP = 0.0025
THICK = 0.02


def front(maker: Maker, kind: str, style: str, size: tuple[float, float], at: Place, skin: Skin, metal: Skin) -> None:
    """Add one front.

    Args:
        maker: of the piece.
        kind: d door, w drawer, g glass, c cane, t tambour or m mirror.
        style: of doors and drawers.
        size: of the opening.
        at: its middle, in the plane of the carcass's front edge.
        skin: of the front; that of the panel, where the panel is cane.
        metal: of a locker's slots.
    """
    wide, high = size[0] - 2 * GAP, size[1] - 2 * GAP
    x, y, z = at
    face = y - THICK / 2
    if kind in "gcm":
        _framed(maker, kind, (wide, high), (x, face, z), skin, metal)
    elif kind == "t":
        count = max(6, round(wide / 0.022))
        maker.box((wide, 0.008, high), (x, face + 0.006, z), skin, axis="z")
        for i in range(count):
            maker.box(
                (wide / count * 0.86, 0.01, high),
                (x - wide / 2 + wide / count * (i + 0.5), face - 0.003, z),
                skin,
                axis="z",
                bevel=0.004,
            )
    else:
        grain = "z" if kind == "d" else "x"
        maker.box((wide, THICK, high), (x, face, z), skin, axis=grain, bevel=0.0025)
        _ornament(maker, style if high > 0.1 else "flat", (wide, high), (x, face - THICK / 2, z), skin)


def _framed(maker: Maker, kind: str, size: tuple[float, float], at: Place, skin: Skin, frame: Skin) -> None:
    wide, high = size
    x, y, z = at
    bar = 0.045 if kind != "m" else 0.004
    for side in (-1, 1):
        maker.box((bar, THICK, high), (x + side * (wide - bar) / 2, y, z), frame, axis="z", bevel=0.002)
        maker.box((wide - 2 * bar, THICK, bar), (x, y, z + side * (high - bar) / 2), frame, axis="x", bevel=0.002)
    pane: Skin = {"g": "glass:clear", "c": "cane:natural"}.get(kind) or _mirror(maker)
    maker.box((wide - 2 * bar + 0.004, 0.006, high - 2 * bar + 0.004), (x, y, z), pane, bevel=0.001)
    if kind == "g":
        maker.box((0.014, THICK * 0.8, high - 2 * bar), (x, y, z), frame, axis="z", bevel=0.002)


def _mirror(maker: Maker) -> Skin:
    return Graph("mirror").set(Base_Color=grey(0.86), Metallic=1.0, Roughness=0.02)


def _ornament(maker: Maker, style: str, size: tuple[float, float], at: Place, skin: Skin) -> None:
    wide, high = size
    x, y, z = at
    if style == "shaker":
        bar = min(0.07, wide * 0.2, high * 0.25)
        for side in (-1, 1):
            maker.box((bar, 0.012, high), (x + side * (wide - bar) / 2, y - 0.004, z), skin, axis="z", bevel=0.003)
            maker.box(
                (wide - 2 * bar, 0.012, bar), (x, y - 0.004, z + side * (high - bar) / 2), skin, axis="x", bevel=0.003
            )
    elif style in ("slats", "fluted"):
        pitch = 0.045 if style == "slats" else 0.03
        count = max(3, round(wide / pitch))
        for i in range(count):
            place = (x - wide / 2 + wide / count * (i + 0.5), y - 0.006, z)
            if style == "slats":
                maker.box((wide / count * 0.55, 0.016, high), place, skin, axis="z", bevel=0.003)
            else:
                maker.rod(
                    (place[0], y, z - high / 2 + 0.004),
                    (place[0], y, z + high / 2 - 0.004),
                    wide / count * 0.46,
                    skin,
                    around=12,
                )
    elif style == "arches":
        outline = outlines.arch(wide * 0.72, high * 0.84, high * 0.84 - wide * 0.36)
        maker.board(
            outline, 0.014, (x, y - 0.004, z - high * 0.42), skin, (UPRIGHT, 0, 0), bevel=0.005, rounds=3, axis="y"
        )
        ring = [(px, 0, pz) for px, pz in outline]
        maker.tube(np.array(ring), 0.006, skin, closed=True, at=(x, y - 0.004, z - high * 0.42), around=8)
    elif style == "louvre":
        for top in (1, -1):
            for i in range(4):
                maker.box(
                    (wide * 0.5, 0.006, 0.008),
                    (x, y - 0.001, z + top * (high / 2 - 0.05 - 0.022 * i)),
                    "plastic:black",
                    bevel=0.002,
                )


def handle(maker: Maker, kind: str, at: Place, skin: Skin, upright: bool, long: float = 0.5) -> None:
    """Add a handle at a place on a front; upright on doors, across on drawers."""
    x, y, z = at
    if kind == "knob":
        profile = [(0.006, 0), (0.006, 0.012), (0.016, 0.018), (0.016, 0.026), (0.001, 0.029)]
        maker.lathe(profile, skin, at, turn=(UPRIGHT, 0, 0), around=18, smooth=False)
    elif kind in ("bar", "long"):
        half = 0.065 if kind == "bar" else long / 2
        ends = (
            [(0, 0, -half), (0, -0.028, -half), (0, -0.028, half), (0, 0, half)]
            if upright
            else [(-half, 0, 0), (-half, -0.028, 0), (half, -0.028, 0), (half, 0, 0)]
        )
        maker.tube(rounded(ends, 0.008), 0.005, skin, at=at)
    elif kind == "cup":
        profile = [(0.045, 0.0), (0.043, 0.012), (0.032, 0.022), (0.001, 0.026)]
        maker.lathe(profile, skin, (x, y, z), turn=(UPRIGHT, 0, 0), around=24, squash=0.55)
    elif kind == "ring":
        maker.lathe(
            [(0.012, 0), (0.012, 0.006), (0.001, 0.008)], skin, at, turn=(UPRIGHT, 0, 0), around=16, smooth=False
        )
        ring = [
            (0.02 * math.sin(a), 0.0, -0.02 + 0.02 * math.cos(a)) for a in np.linspace(0, math.tau, 24, endpoint=False)
        ]
        maker.tube(ring, 0.003, skin, closed=True, at=(x, y - 0.01, z), around=6)
    elif kind == "slot":
        size = (0.012, 0.006, 0.12) if upright else (0.14, 0.006, 0.014)
        maker.box(size, (x, y - 0.001, z), "plastic:black", bevel=0.004)
