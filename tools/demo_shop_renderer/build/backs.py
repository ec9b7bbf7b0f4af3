"""Backs of sofas and armchairs that are a box of upholstery."""

import numpy as np

from demo_shop_renderer.build import soft
from demo_shop_renderer.build.maker import Maker, Skin
from demo_shop_renderer.build.mesh import UPRIGHT, curve
from demo_shop_renderer.shapes import Sofa


class Box:
    """The measures of one piece, taken from its shape once."""

    def __init__(self, shape: Sofa) -> None:
        self.shape = shape
        self.body = 0.96 if shape.chaise else shape.depth
        self.rear = shape.depth / 2
        self.middle = self.rear - self.body / 2
        self.inner = shape.width - 2 * shape.arm_width
        self.thick = {"grid": 0.2, "block": 0.18, "channel": 0.14}.get(shape.back, 0.15 + 0.03 * (shape.base == "box"))
        self.deck = shape.seat_height - self.thick
        self.back = {"tight": 0.16, "wing": 0.14, "camel": 0.15, "block": 0.26, "grid": 0.24}.get(shape.back, 0.17)
        self.count = max(1, shape.cushions)


def _panel(maker: Maker, box: Box, cover: Skin, thick: float, top: float, lean: float = 0.0) -> None:
    shape = box.shape
    wide = box.inner + 0.03 if shape.arms != "none" else shape.width
    if shape.back in ("box", "pillow") and shape.arms in ("track", "pad", "round"):
        wide = shape.width - 0.02
    high = top - shape.leg_height
    maker.cushion(
        (wide, thick, high),
        (0, box.rear - thick / 2 + 0.02 * lean, shape.leg_height + high / 2),
        cover,
        (-lean, 0, 0),
        soft=0.5,
        crown=0.03,
        crease=0.003,
        inner=9,
    )


def _boxed(maker: Maker, box: Box, cover: Skin) -> None:
    shape = box.shape
    _panel(maker, box, cover, box.back, shape.height - 0.05)
    each, high = box.inner / box.count, shape.height - shape.seat_height
    for i in range(box.count):
        x = -box.inner / 2 + each * (i + 0.5)
        maker.cushion(
            (each - 0.008, 0.18, high),
            (x, box.rear - box.back - 0.06, shape.seat_height + high / 2 - 0.012),
            cover,
            (-0.16, 0, 0),
            soft=0.75,
            crown=0.3,
            crease=0.009,
            piping=cover if shape.piping else None,
        )


def _pillows(maker: Maker, box: Box, cover: Skin) -> None:
    shape = box.shape
    _panel(maker, box, cover, box.back, shape.height - 0.12)
    each, high = box.inner / box.count, shape.height - shape.seat_height + 0.06
    for i in range(box.count):
        x = -box.inner / 2 + each * (i + 0.5)
        maker.pillow(
            each + 0.05,
            high,
            0.3,
            (x, box.rear - box.back - 0.07, shape.seat_height + high / 2 - 0.05),
            cover,
            (UPRIGHT - 0.22, 0, 0),
        )


def _tight(maker: Maker, box: Box, cover: Skin) -> None:
    _panel(maker, box, cover, box.back, box.shape.height, 0.06)
    high = box.shape.height - box.shape.seat_height - 0.03
    each = box.inner / box.count
    for i in range(box.count):
        x = -box.inner / 2 + each * (i + 0.5)
        maker.cushion(
            (each - 0.006, 0.1, high),
            (x, box.rear - box.back - 0.02, box.shape.seat_height + high / 2),
            cover,
            (-0.12, 0, 0),
            soft=0.7,
            crown=0.5,
            crease=0.004,
            piping=cover if box.shape.piping else None,
        )


def _channels(maker: Maker, box: Box, cover: Skin) -> None:
    shape = box.shape
    _panel(maker, box, cover, box.back - 0.04, shape.height - 0.02)
    wide = box.inner if shape.arms != "none" else shape.width
    count = max(4, round(wide / 0.115))
    high = shape.height - shape.seat_height + 0.1
    for i in range(count):
        x = -wide / 2 + wide / count * (i + 0.5)
        maker.cushion(
            (wide / count + 0.002, 0.13, high),
            (x, box.rear - 0.13, shape.height - high / 2),
            cover,
            (-0.07, 0, 0),
            soft=0.98,
            crown=0.2,
            crease=0.002,
            inner=4,
        )


def _tufts(maker: Maker, box: Box, cover: Skin) -> None:
    shape = box.shape
    _panel(maker, box, cover, box.back - 0.03, shape.height)
    wide = box.inner if shape.arms != "slope" else box.inner + 0.02
    form, buttons = soft.tufted(wide, shape.height - shape.seat_height + 0.02, 0.09, 0.19 if shape.seats > 1 else 0.15)
    place = (0, box.rear - box.back + 0.045, shape.seat_height - 0.03)
    maker.put(form, cover, place, (-0.1, 0, 0))
    for x, y, z in buttons:
        maker.lathe(
            [(0.001, 0), (0.012, 0), (0.01, 0.005), (0.001, 0.008)],
            cover,
            (place[0] + x, place[1] + y + 0.1 * z, place[2] + z),
            turn=(UPRIGHT, 0, 0),
            around=10,
            smooth=False,
        )


def _wings(maker: Maker, box: Box, cover: Skin) -> None:
    shape = box.shape
    _panel(maker, box, cover, box.back, shape.height, 0.1)
    high = shape.height - shape.seat_height
    maker.cushion(
        (box.inner + 0.06, 0.1, high - 0.02),
        (0, box.rear - box.back - 0.02, shape.seat_height + high / 2),
        cover,
        (-0.14, 0, 0),
        soft=0.7,
        crown=0.5,
        crease=0.004,
        piping=cover,
    )
    rear, top = box.rear - 0.02, shape.height - 0.01
    profile = curve(
        np.array(
            [
                (rear, top),
                (rear - 0.16, top - 0.02),
                (rear - 0.27, top - 0.14),
                (rear - 0.25, top - 0.33),
                (rear - 0.3, shape.arm_height - 0.1),
            ]
        ),
        6,
    )
    outline = np.concatenate([profile, [(rear, shape.arm_height - 0.1)]])
    for side in (-1, 1):
        maker.board(
            outline,
            0.075,
            (side * (shape.width / 2 - shape.arm_width * 0.7), 0, 0),
            cover,
            (UPRIGHT, 0, UPRIGHT),
            bevel=0.03,
            rounds=4,
        )


def _camel(maker: Maker, box: Box, cover: Skin) -> None:
    shape, half = box.shape, box.inner / 2 + 0.02
    low = shape.height - 0.14
    knots = [
        (half, low),
        (half * 0.8, low - 0.005),
        (half * 0.45, low + 0.08),
        (0, shape.height),
        (-half * 0.45, low + 0.08),
        (-half * 0.8, low - 0.005),
        (-half, low),
    ]
    outline = np.concatenate([[(-half, shape.leg_height), (half, shape.leg_height)], curve(np.array(knots), 6)])
    maker.board(outline, box.back, (0, box.rear - box.back / 2, 0), cover, (UPRIGHT, 0, 0), bevel=0.05, rounds=4)
    inner = (outline * (0.95, 1) - (0, 0.03))[2:]
    inner = np.concatenate([[(-half * 0.95, shape.seat_height), (half * 0.95, shape.seat_height)], inner])
    maker.board(inner, 0.1, (0, box.rear - box.back - 0.02, 0), cover, (UPRIGHT, 0, 0), bevel=0.045, rounds=4)


def _blocks(maker: Maker, box: Box, cover: Skin) -> None:
    shape = box.shape
    high = shape.height - shape.leg_height
    maker.cushion(
        (shape.width - 0.004, box.back, high),
        (0, box.rear - box.back / 2, shape.leg_height + high / 2),
        cover,
        soft=0.4,
        crown=0.05,
        crease=0.004,
        inner=9,
    )
    each = box.inner / box.count
    for i in range(box.count):
        x = -box.inner / 2 + each * (i + 0.5)
        maker.pillow(
            each - 0.06,
            0.44,
            0.22,
            (x, box.rear - box.back - 0.08, shape.seat_height + 0.13),
            cover,
            (UPRIGHT - 0.32, 0, 0),
        )


def _grid(maker: Maker, box: Box, cover: Skin) -> None:
    shape = box.shape
    columns, rows = max(3, round(shape.width / 0.3)), 2
    each = shape.width / columns
    _panel(maker, box, cover, 0.16, shape.height - 0.04, 0.1)
    high = (shape.height - shape.seat_height + 0.08) / rows
    for i in range(columns):
        x = -shape.width / 2 + each * (i + 0.5)
        for j in range(rows):
            z = shape.seat_height - 0.05 + high * (j + 0.5)
            maker.cushion(
                (each + 0.004, 0.2, high + 0.006),
                (x, box.rear - 0.2 + 0.05 * j, z),
                cover,
                (-0.2, 0, 0),
                soft=0.8,
                crown=0.5,
                crease=0.01,
                inner=5,
            )


BACKS = {
    "box": _boxed,
    "pillow": _pillows,
    "tight": _tight,
    "channel": _channels,
    "tufted": _tufts,
    "wing": _wings,
    "camel": _camel,
    "block": _blocks,
    "grid": _grid,
}
