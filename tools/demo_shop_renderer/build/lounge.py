"""Sofas and armchairs on a frame, or moulded in one: wooden, tubular, curved, tub, egg, sling, papasan, daybed."""

import math

import numpy as np

from demo_shop_renderer.build import rounds
from demo_shop_renderer.build.maker import Maker, Skin
from demo_shop_renderer.build.mesh import Points, curve, rounded, sheet
from demo_shop_renderer.shapes import Sofa


def wooden(maker: Maker, shape: Sofa, skins: tuple[Skin, ...]) -> None:
    """Build loose cushions on an open frame of wood."""
    cover, wood = skins[0], skins[1]
    wide, deep, arm = shape.width, shape.depth, shape.arm_height
    front, rear, seat = -deep / 2 + 0.06, deep / 2 - 0.1, shape.seat_height - 0.15
    for side in (-1, 1):
        x = side * (wide / 2 - 0.03)
        maker.rod((x, front - 0.03, 0), (x, front + 0.02, arm - 0.02), (0.014, 0.022), wood)
        maker.rod((x, rear + 0.1, 0), (x, rear - 0.02, arm - 0.02), (0.014, 0.022), wood)
        paddle = curve(
            np.array(
                [
                    (-0.045, front - 0.05),
                    (0.03, front - 0.05),
                    (0.035, front + 0.15),
                    (0.018, rear),
                    (-0.018, rear),
                    (-0.05, front + 0.12),
                ]
            ),
            5,
            closed=True,
        )
        maker.board(paddle, 0.024, (x, 0, arm - 0.012), wood, bevel=0.008, axis="y")
        maker.box((0.022, rear - front, 0.05), (x, (front + rear) / 2, seat), wood)
        if shape.seats > 1:
            for i in range(6):
                y = front + (rear - front) * (i + 1) / 7
                maker.rod((x, y, seat), (x, y, arm - 0.02), 0.009, wood)
        maker.rod(
            (x - side * 0.03, rear - 0.04, seat),
            (x - side * 0.03, rear + 0.1, shape.height - 0.06),
            (0.018, 0.013),
            wood,
        )
    inner = wide - 0.09
    for y, z in ((front, seat + 0.0), (rear - 0.03, seat)):
        maker.box((inner, 0.024, 0.06), (0, y, z), wood)
    for z in np.linspace(seat + 0.16, shape.height - 0.1, 4):
        maker.box((inner, 0.016, 0.035), (0, rear - 0.03 + (z - seat) * 0.25, z), wood, (-0.24, 0, 0))
    each = inner / shape.cushions
    for i in range(shape.cushions):
        x = -inner / 2 + each * (i + 0.5)
        maker.cushion(
            (each - 0.008, rear - front + 0.02, 0.14),
            (x, (front + rear) / 2 - 0.02, seat + 0.095),
            cover,
            (0.05, 0, 0),
            soft=shape.soft,
            crown=0.2,
            crease=0.006,
            sag=0.05,
        )
        high = shape.height - shape.seat_height + 0.02
        maker.cushion(
            (each - 0.012, 0.14, high),
            (x, rear - 0.06, shape.seat_height + high / 2),
            cover,
            (-0.25, 0, 0),
            soft=0.75,
            crown=0.3,
            crease=0.007,
        )


def tubular(maker: Maker, shape: Sofa, skins: tuple[Skin, ...]) -> None:
    """Build boxed cushions on bent steel tube."""
    cover, steel = skins[0], skins[1]
    wide, deep = shape.width, shape.depth
    if shape.legs == "cantilever":
        for side in (-1, 1):
            x = side * (wide / 2 - 0.02)
            path = [
                (x, deep / 2 - 0.05, shape.height - 0.06),
                (x, deep / 2 - 0.16, 0.36),
                (x, -deep / 2 + 0.05, 0.4),
                (x, -deep / 2 + 0.03, 0.014),
                (x, deep / 2 - 0.04, 0.014),
            ]
            maker.tube(rounded(path, 0.09), 0.0125, steel)
            arm = rounded(
                [
                    (x, -deep / 2 + 0.06, 0.4),
                    (x, -deep / 2 + 0.06, shape.arm_height),
                    (x, deep / 2 - 0.11, shape.arm_height),
                ],
                0.07,
            )
            maker.tube(arm, 0.0125, steel)
            maker.box((0.035, deep * 0.5, 0.02), (x, -0.06, shape.arm_height + 0.014), "plastic:black", bevel=0.009)
        maker.rod((-wide / 2 + 0.02, deep / 2 - 0.04, 0.014), (wide / 2 - 0.02, deep / 2 - 0.04, 0.014), 0.0125, steel)
        inner = wide - 0.09
        maker.cushion(
            (inner, deep - 0.2, 0.13),
            (0, -0.03, 0.405),
            cover,
            (0.05, 0, 0),
            soft=0.5,
            crown=0.2,
            crease=0.004,
            piping=cover,
        )
        maker.cushion(
            (inner, 0.11, 0.4),
            (0, deep / 2 - 0.14, 0.62),
            cover,
            (-0.24, 0, 0),
            soft=0.6,
            crown=0.3,
            crease=0.004,
            piping=cover,
        )
        return
    for side in (-1, 1):
        x = side * (wide / 2 - 0.015)
        frame = rounded(
            [
                (x, -deep / 2 + 0.02, 0.014),
                (x, -deep / 2 + 0.02, shape.arm_height),
                (x, deep / 2 - 0.02, shape.arm_height),
                (x, deep / 2 - 0.02, 0.014),
            ],
            0.06,
        )
        maker.tube(frame, 0.014, steel)
        maker.cushion(
            (0.13, deep - 0.09, shape.arm_height - 0.14),
            (x - side * 0.085, 0, 0.14 + (shape.arm_height - 0.14) / 2),
            cover,
            soft=0.5,
            crown=0.2,
            crease=0.004,
        )
    for y, z in ((-deep / 2 + 0.02, 0.14), (deep / 2 - 0.02, 0.14), (deep / 2 - 0.02, shape.arm_height)):
        maker.rod((-wide / 2 + 0.015, y, z), (wide / 2 - 0.015, y, z), 0.012, steel)
    inner = wide - 0.32
    maker.cushion((inner, deep - 0.24, 0.14), (0, -0.09, 0.22), cover, soft=0.4, crown=0.1, crease=0.003)
    maker.cushion(
        (inner, 0.16, shape.height - 0.16),
        (0, deep / 2 - 0.13, 0.15 + (shape.height - 0.16) / 2),
        cover,
        soft=0.5,
        crown=0.2,
        crease=0.004,
    )
    each = inner / shape.cushions
    for i in range(shape.cushions):
        maker.cushion(
            (each - 0.004, deep - 0.26, 0.15),
            (-inner / 2 + each * (i + 0.5), -0.1, 0.36),
            cover,
            soft=0.55,
            crown=0.2,
            crease=0.005,
            sag=0.04,
        )


def sling(maker: Maker, shape: Sofa, skins: tuple[Skin, ...]) -> None:
    """Build seat and back hung between wooden rails."""
    cover, wood = skins[0], skins[1]
    wide, deep = shape.width, shape.depth
    front, rear = -deep / 2 + 0.04, deep / 2 - 0.1
    for side in (-1, 1):
        x = side * (wide / 2 - 0.03)
        maker.rod((x, front, 0), (x, front, shape.arm_height), (0.017, 0.02), wood)
        maker.rod((x, rear, 0), (x, rear, shape.arm_height), (0.017, 0.02), wood)
        maker.box(
            (0.05, deep - 0.06, 0.016),
            (x, -0.03, shape.arm_height + 0.004),
            cover if "leather" in str(skins[0]) else wood,
            bevel=0.006,
        )
        maker.rod((x, front, 0.33), (x, rear, 0.28), 0.017, wood)
        maker.rod((x, front, 0.12), (x, rear, 0.12), 0.011, wood)
        maker.rod((x - side * 0.04, rear - 0.1, 0.3), (x - side * 0.04, rear + 0.09, shape.height), 0.015, wood)
    for y, z in ((front, 0.33), (rear, 0.28)):
        maker.rod((-wide / 2 + 0.03, y, z), (wide / 2 - 0.03, y, z), 0.016, wood)

    def seat(u: Points, v: Points) -> tuple[Points, Points, Points]:
        return (
            (u - 0.5) * (wide - 0.08),
            front + (rear - front) * v,
            0.345 - 0.05 * v - 0.035 * np.sin(math.pi * v) - 0.01 * np.sin(math.pi * u),
        )

    def back(u: Points, v: Points) -> tuple[Points, Points, Points]:
        return (
            (u - 0.5) * (wide - 0.13),
            rear - 0.08 + 0.17 * v + 0.03 * np.sin(math.pi * v),
            0.36 + (shape.height - 0.38) * v,
        )

    maker.put(sheet(seat, 8, 14), cover, thick=0.012)
    maker.put(sheet(back, 8, 14), cover, thick=0.012)


BUILDS = {
    "wooden": wooden,
    "tubular": tubular,
    "curved": rounds.curved,
    "tub": rounds.tub,
    "egg": rounds.egg,
    "sling": sling,
    "papasan": rounds.papasan,
    "daybed": rounds.daybed,
}
