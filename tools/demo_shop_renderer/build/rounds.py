"""Sofas and armchairs without a back of their own kind: curved, tub, egg, papasan, daybed."""

import math

import numpy as np

from demo_shop_renderer.build import outlines, soft
from demo_shop_renderer.build.legs import feet, star
from demo_shop_renderer.build.maker import Maker, Skin
from demo_shop_renderer.build.mesh import UPRIGHT, Points, curve, lathe, loft, sheet
from demo_shop_renderer.shapes import Sofa


def curved(maker: Maker, shape: Sofa, skins: tuple[Skin, ...]) -> None:
    """Build a rounded seat in the bend of a rounded back."""
    cover = skins[0]
    wide, deep, high = shape.width, shape.depth, shape.height
    seat = outlines.ellipse(wide * 0.96, deep * 0.96, 2.5, 72)
    rings = []
    for scale, z in (
        (0.9, 0.03),
        (0.97, 0.07),
        (1.0, 0.16),
        (1.0, 0.3),
        (0.985, 0.37),
        (0.93, 0.415),
        (0.8, 0.43),
        (0.3, 0.432),
    ):
        rings.append(np.column_stack([seat * scale, np.full(len(seat), z)]))
    maker.put(loft(np.stack(rings)), cover)
    angle = np.linspace(-0.12, math.pi + 0.12, 44)
    thick = 0.15 if wide > 1.4 else 0.14
    path = np.stack([(wide / 2 - thick) * np.cos(angle), -0.04 + (deep / 2 - thick + 0.04) * np.sin(angle)], axis=-1)
    steps = []
    for i, (x, y) in enumerate(path):
        ahead = path[min(i + 1, len(path) - 1)] - path[max(i - 1, 0)]
        out = np.array([ahead[1], -ahead[0]]) / np.linalg.norm(ahead)
        end = min(1.0, min(i, len(path) - 1 - i) / 4)
        fat = thick * (0.35 + 0.65 * math.sin(end * math.pi / 2))
        rise = 0.62 + (high - 0.62) * math.sin(math.pi * i / (len(path) - 1)) ** 0.6
        around = np.linspace(0, math.tau, 22, endpoint=False)
        level = 0.03 + (rise - 0.03) * (0.5 + 0.5 * np.sign(np.sin(around)) * np.abs(np.sin(around)) ** 0.5)
        thin = fat * np.sign(np.cos(around)) * np.abs(np.cos(around)) ** 0.7
        steps.append(np.column_stack([x + out[0] * thin, y + out[1] * thin, level]))
    maker.put(loft(np.stack(steps)), cover)
    if wide > 1.4:
        for side in (-1, 1):
            maker.put(
                lathe([(0.001, 0.0), (0.13, 0.02), (0.19, 0.1), (0.19, 0.18), (0.13, 0.27), (0.001, 0.29)], 32),
                cover,
                (side * wide * 0.27, deep * 0.16, 0.42),
                (0.2, 0, 0),
            )


def tub(maker: Maker, shape: Sofa, skins: tuple[Skin, ...]) -> None:
    """Build channels set round a seat."""
    cover, metal = skins[0], skins[1]
    wide, deep = shape.width, shape.depth
    feet(maker, "tapered", (wide * 0.72, deep * 0.72), shape.leg_height, metal, inset=0.0, thick=0.016)
    seat = outlines.ellipse(wide * 0.9, deep * 0.9, 2.6, 56)
    rings = [
        np.column_stack([seat * s, np.full(len(seat), shape.leg_height + z)])
        for s, z in ((0.9, 0.0), (0.96, 0.02), (0.96, 0.14))
    ]
    maker.put(loft(np.stack(rings)), cover)
    top = shape.seat_height - shape.leg_height
    rings = [
        np.column_stack([seat * s, np.full(len(seat), shape.leg_height + z)])
        for s, z in (
            (0.84, 0.13),
            (0.9, 0.17),
            (0.9, top - 0.04),
            (0.85, top - 0.005),
            (0.7, top + 0.012),
            (0.2, top + 0.018),
        )
    ]
    maker.put(loft(np.stack(rings)), cover, (0, -0.02, 0))
    count = 15
    for i in range(count):
        angle = math.radians(-26 + 232 * i / (count - 1))
        x, y = (wide / 2 - 0.055) * math.cos(angle), (deep / 2 - 0.055) * math.sin(angle)
        rise = 0.6 + (shape.height - 0.6) * max(0.0, math.sin(angle)) ** 0.8
        high = rise - shape.leg_height
        maker.cushion(
            (0.135, 0.11, high),
            (x, y, shape.leg_height + high / 2),
            cover,
            (-0.06 * math.sin(angle), 0.06 * math.cos(angle), angle - UPRIGHT),
            soft=0.96,
            crown=0.2,
            crease=0.001,
            inner=3,
        )


def egg(maker: Maker, shape: Sofa, skins: tuple[Skin, ...]) -> None:
    """Build a tall shell with ears on a swivel foot, and a cushion in it."""
    cover, metal = skins[0], skins[1]
    star(maker, 0.32, shape.leg_height + 0.06, metal, arms=4)
    wide, deep, high = shape.width, shape.depth, shape.height
    profile = curve(
        np.array(
            [(-0.5, 0.44), (-0.42, 0.39), (-0.1, 0.33), (0.2, 0.34), (0.36, 0.44), (0.42, 0.7), (0.46, 0.9), (0.5, 1.0)]
        ),
        6,
    )

    def form(u: Points, v: Points) -> tuple[Points, Points, Points]:
        at = v * (len(profile) - 1)
        y, z = (np.interp(at, np.arange(len(profile)), profile[:, k]) for k in (0, 1))
        across = 2 * u - 1
        half = wide * 0.545 * np.interp(v, [0, 0.12, 0.45, 0.7, 0.9, 1], [0.62, 0.82, 1.0, 0.98, 0.9, 0.6])
        wrap = np.abs(across) ** 1.8
        lift = np.interp(v, [0, 0.2, 0.45, 0.6, 1], [0.02, 0.16, 0.2, 0.12, 0.0]) * wrap
        forward = np.interp(v, [0, 0.4, 0.6, 0.85, 1], [0, 0.03, 0.32, 0.36, 0.2]) * wrap
        return across * half * (1 - 0.1 * wrap), y * deep * 0.9 - forward, z * high + lift

    maker.put(sheet(form, 26, 30), cover, thick=0.05, bevel=0.0, subdivide=1)
    maker.cushion(
        (wide * 0.62, deep * 0.58, 0.1),
        (0, -0.06, shape.leg_height + 0.17),
        cover,
        (0.06, 0, 0),
        soft=0.95,
        crown=0.3,
        crease=0.004,
    )
    maker.pillow(wide * 0.5, 0.24, 0.12, (0, deep * 0.26, high - 0.22), cover, (UPRIGHT - 0.2, 0, 0))


def papasan(maker: Maker, shape: Sofa, skins: tuple[Skin, ...]) -> None:
    """Build a round cushion in a bowl of canes."""
    cover, cane = skins[0], skins[1]
    radius = shape.width / 2
    for z, r in ((0.012, 0.36), (0.2, 0.22), (0.3, 0.33)):
        ring = [(r * math.cos(a), r * math.sin(a), z) for a in np.linspace(0, math.tau, 40, endpoint=False)]
        maker.tube(ring, 0.014, cane, closed=True)
    for i in range(10):
        a, b = math.tau * i / 10, math.tau * (i + 1.2) / 10
        knots = np.array(
            [
                (0.36 * math.cos(a), 0.36 * math.sin(a), 0.012),
                (0.22 * math.cos((a + b) / 2), 0.22 * math.sin((a + b) / 2), 0.2),
                (0.33 * math.cos(b), 0.33 * math.sin(b), 0.3),
            ]
        )
        maker.tube(curve(knots, 6), 0.01, cane)
    tilt, middle = 0.5, (0, 0.06, 0.5)
    bowl = [(0.05, -0.26), (0.3, -0.2), (radius * 0.82, -0.05), (radius, 0.12)]
    for r, z in bowl:
        rim = [(r * math.cos(a), r * math.sin(a), z) for a in np.linspace(0, math.tau, 48, endpoint=False)]
        maker.tube(rim, 0.013 if r < radius else 0.019, cane, closed=True, at=middle, turn=(tilt, 0, 0))
    for i in range(16):
        a = math.tau * i / 16
        line = curve(np.array([(r * math.cos(a), r * math.sin(a), z) for r, z in bowl]), 5)
        maker.tube(line, 0.009, cane, at=middle, turn=(tilt, 0, 0))
    form = lathe(
        [
            (0.001, -0.2),
            (0.28, -0.17),
            (radius * 0.78, -0.02),
            (radius * 0.97, 0.12),
            (radius * 0.95, 0.19),
            (radius * 0.8, 0.16),
            (0.28, 0.0),
            (0.001, -0.04),
        ],
        60,
    )
    points = form.points.copy()
    angle = np.arctan2(points[:, 1], points[:, 0])
    reach = np.hypot(points[:, 0], points[:, 1]) / radius
    points[:, 2] += 0.045 * (np.abs(np.sin(angle * 4)) ** 0.5 - 0.6) * np.clip(reach * 1.6, 0, 1) + 0.01 * soft.ripple(
        points, 9, 3
    )
    maker.put(type(form)(points, form.faces), cover, middle, (tilt, 0, 0))


def daybed(maker: Maker, shape: Sofa, skins: tuple[Skin, ...]) -> None:
    """Build a mattress on a platform, with rolls at its ends."""
    cover, wood = skins[0], skins[1]
    wide, deep = shape.width, shape.depth
    feet(maker, "tapered", (wide, deep), shape.leg_height, wood, inset=0.1, thick=0.024)
    maker.box((wide, deep, 0.035), (0, 0, shape.leg_height + 0.017), wood, bevel=0.006)
    thick = shape.seat_height - shape.leg_height - 0.035
    maker.cushion(
        (wide - 0.03, deep - 0.03, thick),
        (0, 0, shape.leg_height + 0.035 + thick / 2),
        cover,
        soft=0.6,
        crown=0.1,
        crease=0.004,
        piping=cover,
        inner=10,
    )
    for i in range(1, 5):
        x = -wide / 2 + wide * i / 5
        maker.rod(
            (x, -deep / 2 + 0.03, shape.seat_height + 0.006),
            (x, deep / 2 - 0.03, shape.seat_height + 0.006),
            0.004,
            cover,
        )
    for side in (-1, 1):
        maker.put(
            soft.bolster(0.105, deep - 0.08, maker.next_seed()),
            cover,
            (side * (wide / 2 - 0.13), 0, shape.seat_height + 0.1),
        )
