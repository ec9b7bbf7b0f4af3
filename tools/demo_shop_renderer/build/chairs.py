"""Chairs and stools of wood: posts, rails, spindles, seats; and those bent round."""

import math

import numpy as np

from demo_shop_renderer.build import outlines
from demo_shop_renderer.build.chair_backs import BACKS, posts, stance
from demo_shop_renderer.build.legs import SIDES, turned
from demo_shop_renderer.build.maker import Maker, Skin, Skins
from demo_shop_renderer.build.mesh import UPRIGHT, Mesh, Points, curve, loft
from demo_shop_renderer.shapes import Chair


def wooden(maker: Maker, shape: Chair, skins: Skins) -> None:
    """Build four or three legs, a seat, and a back if there is one."""
    frame = skins[0]
    legs(maker, shape, frame)
    seat(maker, shape, skins)
    if shape.back != "none":
        posts(maker, shape, frame)
        BACKS[shape.back](maker, shape, skins)


def legs(maker: Maker, shape: Chair, skin: Skin) -> None:
    """Add the legs and what joins them."""
    wide, deep, spread = stance(shape)
    top = shape.seat_height - 0.02
    metal = "steel" in str(skin) or "brass" in str(skin) or "chrome" in str(skin)
    thick = 0.011 if metal else 0.018
    if shape.legs == "tripod":
        for i in range(3):
            a = math.tau * i / 3 + UPRIGHT
            inner, outer = wide * 0.7, wide + spread
            maker.rod(
                (outer * math.cos(a), outer * math.sin(a), 0),
                (inner * math.cos(a), inner * math.sin(a), top),
                (0.014, 0.021),
                skin,
            )
        return
    if shape.legs == "bent":
        for i in range(4):
            a = math.tau * i / 4 + math.pi / 4
            radius = shape.width / 2 - 0.02
            knots = [
                (radius + spread, 0),
                (radius, top * 0.7),
                (radius - 0.005, top - 0.07),
                (radius - 0.05, top - 0.01),
                (radius * 0.45, top),
            ]
            line = curve(np.array([(r * math.cos(a), r * math.sin(a), z) for r, z in knots]), 5)
            maker.tube(line, thick if metal else 0.016, skin)
    for sx, sy in SIDES if shape.legs != "bent" else ():
        foot, head = (sx * (wide + spread), sy * (deep + spread)), (sx * wide, sy * deep)
        if shape.legs == "turned":
            before = len(maker.parts)
            turned(maker, (0, 0), top, 0.021, skin)
            length = math.hypot(top, spread)
            for part in maker.parts[before:]:
                part.location = (*foot, 0)
                part.rotation_euler = (sy * math.asin(spread / length), -sx * math.asin(spread / length), 0)
        elif shape.legs == "tapered":
            maker.rod((*foot, 0), (*head, top), (0.012, 0.021), skin)
        elif metal:
            maker.rod((*foot, 0), (*head, top), thick, skin)
        else:
            maker.box((0.034, 0.034, top), (sx * wide, sy * deep, top / 2), skin, axis="z")
    stretchers(maker, shape, skin, thick)


def stretchers(maker: Maker, shape: Chair, skin: Skin, thick: float) -> None:
    """Add the bars between the legs."""
    wide, deep, spread = stance(shape)
    level = 0.2 if shape.seat_height < 0.55 else 0.26

    def at(sx: float, sy: float, z: float) -> tuple[float, float, float]:
        share = spread * (1 - z / shape.seat_height) if shape.legs != "straight" or shape.seat_height > 0.55 else 0.0
        return sx * (wide + share), sy * (deep + share), z

    bar = min(thick, 0.011)
    if shape.stretcher == "box":
        for sy in (-1, 1):
            maker.rod(at(-1, sy, level), at(1, sy, level), bar, skin)
            maker.rod(at(sy, -1, level + 0.03), at(sy, 1, level + 0.03), bar, skin)
    elif shape.stretcher == "h":
        for sx in (-1, 1):
            maker.rod(at(sx, -1, level), at(sx, 1, level), (bar, bar), skin)
        maker.rod(at(-1, 0, level), at(1, 0, level), bar, skin)
    elif shape.stretcher == "ring":
        radius = shape.width / 2 - 0.035
        maker.tube(
            [(radius * math.cos(a), radius * math.sin(a), level) for a in np.linspace(0, math.tau, 40, endpoint=False)],
            0.009,
            skin,
            closed=True,
        )


def seat(maker: Maker, shape: Chair, skins: Skins) -> None:
    """Add what is sat on."""
    frame, cover = skins[0], skins[min(1, len(skins) - 1)]
    wide, deep, top = shape.width, shape.depth - (0.03 if shape.back != "none" else 0.0), shape.seat_height
    round_one = shape.legs in ("tripod", "bent") or shape.seat == "round"
    outline = outlines.ellipse(wide, min(wide, deep), 2.0) if round_one else trapeze(wide, deep)
    if shape.seat == "pad":
        if shape.legs == "straight" and shape.seat_height > 0.6:
            maker.board(outline * 0.94, 0.016, (0, 0, top - 0.035), "plastic:black")
        else:
            _apron(maker, shape, frame)
        maker.cushion(
            (wide - 0.02, deep - 0.02, 0.06), (0, -0.01, top + 0.002), cover, soft=0.85, crown=0.4, crease=0.002
        )
    elif shape.seat in ("woven", "cane"):
        if round_one:
            maker.tube([(*point, top - 0.012) for point in outline * 0.97], 0.014, frame, closed=True)
            maker.board(outline * 0.93, 0.012, (0, 0, top - 0.01), cover)
        else:
            _apron(maker, shape, frame, 0.032)
            maker.board(outline * (0.97, 0.96), 0.028, (0, 0, top - 0.012), cover, bevel=0.012, rounds=3)
    elif shape.seat in ("saddle", "dish"):
        maker.put(_saddle(outline, 0.034, 0.016 if shape.seat == "saddle" else 0.01), frame, (0, 0, top), axis="x")
    else:
        under = outline * 0.98
        maker.board(under, 0.02, (0, 0, top - 0.03), frame, bevel=0.005)
        maker.board(outline, 0.022, (0, 0, top - 0.01), cover, bevel=0.007, rounds=3, axis="x")


def trapeze(wide: float, deep: float) -> Points:
    """Return a seat's outline, wider in front."""
    outline = outlines.ellipse(wide, deep, 5.0, 64)
    outline[:, 0] *= 1 - 0.1 * (outline[:, 1] / deep + 0.5)
    return outline


def _apron(maker: Maker, shape: Chair, skin: Skin, high: float = 0.045) -> None:
    wide, deep, _ = stance(shape)
    z = shape.seat_height - 0.024 - high / 2
    for side in (-1, 1):
        maker.box((2 * wide, 0.02, high), (0, side * deep, z), skin)
        maker.box((0.02, 2 * deep, high), (side * wide, 0, z), skin)


def _saddle(outline: Points, thick: float, hollow: float) -> Mesh:
    """Return a thick seat, hollowed where one sits."""
    steps = [(0.9, -thick), (0.98, -thick * 0.72), (1.0, -thick * 0.35), (0.985, -0.003)]
    rings = [np.column_stack([outline * s, np.full(len(outline), z)]) for s, z in steps]
    for s in (0.93, 0.78, 0.6, 0.4, 0.2, 0.02):
        dip = hollow * (1 - s**2) * 1.2
        ridge = 0.35 * hollow * np.exp(-((outline[:, 0] * s / 0.05) ** 2)) * (outline[:, 1] < 0)
        rings.append(np.column_stack([outline * s, -0.001 - dip + ridge]))
    return loft(np.stack(rings))
