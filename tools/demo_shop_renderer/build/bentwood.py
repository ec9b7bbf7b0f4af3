"""Chairs of steamed wood: a round seat and a back of loops."""

import numpy as np

from demo_shop_renderer.build import outlines
from demo_shop_renderer.build.chairs import stretchers, trapeze
from demo_shop_renderer.build.legs import SIDES
from demo_shop_renderer.build.maker import Maker, Skin, Skins
from demo_shop_renderer.build.mesh import curve
from demo_shop_renderer.shapes import Chair


def bentwood(maker: Maker, shape: Chair, skins: Skins) -> None:
    """Build a round seat with a back of steamed loops."""
    frame = skins[0]
    if shape.legs == "tapered":
        for sx, sy in SIDES:
            y = sy * 0.19
            top = shape.seat_height + (0.0 if sy < 0 else 0.22)
            maker.rod(
                (sx * 0.235, y + sy * 0.03, 0), (sx * 0.22, y - (0.02 if sy > 0 else 0), top), (0.013, 0.018), frame
            )
        for sx in (-1, 1):
            maker.rod((sx * 0.225, -0.19, 0.22), (sx * 0.225, 0.2, 0.22), 0.009, frame)
        for y in (-0.18, 0.18):
            maker.box((0.44, 0.022, 0.04), (0, y, shape.seat_height - 0.03), frame)
        outline = trapeze(0.46, 0.42)
        maker.board(outline, 0.03, (0, 0, shape.seat_height - 0.01), skins[-1], bevel=0.013, rounds=3)
    else:
        radius = shape.width / 2 - 0.012
        for sx, sy in SIDES:
            foot, head = (
                (sx * (radius * 0.8 + 0.02), sy * (radius * 0.8 + 0.03), 0),
                (sx * radius * 0.7, sy * radius * 0.7, shape.seat_height - 0.02),
            )
            maker.rod(foot, head, (0.012, 0.017), frame)
        stretchers(maker, shape, frame, 0.011)
        circle = outlines.ellipse(2 * radius, 2 * radius)
        maker.tube([(*point, shape.seat_height - 0.012) for point in circle], 0.019, frame, closed=True)
        maker.board(circle * 0.94, 0.01, (0, 0, shape.seat_height - 0.006), skins[min(1, len(skins) - 1)])
    _LOOPS[shape.back](maker, shape, frame)


def _hoop(maker: Maker, half: float, foot: float, top: float, y: float, skin: Skin, thick: float = 0.013) -> None:
    knots = [
        (-half * 0.86, y - 0.02, foot),
        (-half, y + 0.035, foot + (top - foot) * 0.5),
        (-half * 0.78, y + 0.075, top - 0.07),
        (0, y + 0.095, top),
    ]
    line = np.array(knots + [(-x, yy, z) for x, yy, z in reversed(knots[:-1])])
    maker.tube(curve(line, 7), thick, skin)


def _open(maker: Maker, shape: Chair, skin: Skin) -> None:
    radius = shape.width / 2 - 0.012
    _hoop(maker, radius * 0.92, shape.seat_height - 0.03, shape.height - 0.012, radius * 0.62, skin)
    _hoop(maker, radius * 0.6, shape.seat_height - 0.01, shape.height - 0.1, radius * 0.66, skin, 0.01)


def _cross(maker: Maker, shape: Chair, skin: Skin) -> None:
    radius = shape.width / 2 - 0.012
    _hoop(maker, radius * 0.95, shape.seat_height - 0.03, shape.height - 0.012, radius * 0.62, skin)
    y, low, top = radius * 0.62, shape.seat_height, shape.height
    for side in (-1, 1):
        knots = [
            (-side * radius * 0.72, y + 0.0, low + 0.02),
            (0, y + 0.035, low + (top - low) * 0.45),
            (side * radius * 0.83, y + 0.05, top - 0.1),
        ]
        maker.tube(curve(np.array(knots), 8), 0.009, skin)
    maker.tube(
        curve(
            np.array(
                [
                    (-radius * 0.93, y + 0.05, top - 0.13),
                    (0, y + 0.085, top - 0.11),
                    (radius * 0.93, y + 0.05, top - 0.13),
                ]
            ),
            8,
        ),
        0.009,
        skin,
    )


def _wishbone(maker: Maker, shape: Chair, skin: Skin) -> None:
    top = shape.height - 0.02
    half = shape.width / 2 - 0.02
    knots = [
        (-half, -0.13, top - 0.05),
        (-half, 0.05, top - 0.03),
        (-half * 0.75, 0.19, top - 0.005),
        (0, 0.245, top),
        (half * 0.75, 0.19, top - 0.005),
        (half, 0.05, top - 0.03),
        (half, -0.13, top - 0.05),
    ]
    line = curve(np.array(knots), 7)
    maker.tube(line, np.linspace(-1, 1, len(line)) ** 2 * -0.003 + 0.017, skin)
    fork = shape.seat_height + 0.12
    maker.rod((0, 0.185, shape.seat_height - 0.02), (0, 0.205, fork), (0.014, 0.013), skin)
    for side in (-1, 1):
        arm = curve(
            np.array([(0, 0.203, fork - 0.03), (side * 0.035, 0.215, fork + 0.06), (side * 0.06, 0.238, top - 0.005)]),
            6,
        )
        maker.tube(arm, 0.01, skin)
        maker.rod(
            (side * half * 0.87, 0.16, shape.seat_height + 0.2),
            (side * half * 0.9, 0.12, top - 0.02),
            (0.017, 0.014),
            skin,
        )


_LOOPS = {"open": _open, "cross": _cross, "wishbone": _wishbone}
