"""What stands at the head of a bed, and at some feet too."""

import numpy as np

from demo_shop_renderer.build import outlines, upholstered_heads
from demo_shop_renderer.build.legs import turned
from demo_shop_renderer.build.maker import Maker, Skins
from demo_shop_renderer.build.mesh import UPRIGHT, Points, curve, sheet
from demo_shop_renderer.build.upholstered_heads import posts
from demo_shop_renderer.shapes import Bed


def _slats(maker: Maker, shape: Bed, skins: Skins, y: float, high: float) -> None:
    wide, frame = shape.width, skins[0]
    if shape.frame != "canopy":
        posts(maker, shape, frame, y, high)
    maker.box((wide, 0.04, 0.08), (0, y - 0.022, high - 0.04), frame, axis="x", bevel=0.012)
    maker.box((wide - 0.1, 0.03, 0.07), (0, y - 0.022, 0.46), frame, axis="x")
    count = int(wide / 0.11)
    for i in range(count):
        maker.box(
            (0.045, 0.018, high - 0.5),
            (-wide / 2 + 0.1 + (wide - 0.2) * i / (count - 1), y - 0.022, 0.46 + (high - 0.5) / 2),
            frame,
            axis="z",
        )


def _spindles(maker: Maker, shape: Bed, skins: Skins, y: float, high: float) -> None:
    wide, frame = shape.width, skins[0]
    if y > 0:
        for side in (-1, 1):
            turned(maker, (side * (wide / 2 - 0.03), y - 0.03), high, 0.028, frame)
    maker.rod((-wide / 2 + 0.03, y - 0.03, high - 0.09), (wide / 2 - 0.03, y - 0.03, high - 0.09), 0.022, frame)
    maker.rod((-wide / 2 + 0.03, y - 0.03, 0.34), (wide / 2 - 0.03, y - 0.03, 0.34), 0.018, frame)
    count = int(wide / 0.12)
    for i in range(count):
        x = -wide / 2 + 0.12 + (wide - 0.24) * i / (count - 1)
        span = high - 0.43
        profile = [(0.009, 0), (0.014, 0.2), (0.009, 0.28), (0.017, 0.5), (0.009, 0.72), (0.014, 0.8), (0.009, 1.0)]
        maker.lathe([(r, z * span) for r, z in profile], frame, (x, y - 0.03, 0.34), around=12)


def _bars(maker: Maker, shape: Bed, skins: Skins, y: float, high: float) -> None:
    wide, frame = shape.width, skins[0]
    half = wide / 2 - 0.02
    rise = high * 0.16
    knots = [
        (-half, y - 0.03, 0),
        (-half, y - 0.03, high * 0.55),
        (-half * 0.92, y - 0.03, high - rise),
        (0, y - 0.03, high),
        (half * 0.92, y - 0.03, high - rise),
        (half, y - 0.03, high * 0.55),
        (half, y - 0.03, 0),
    ]
    maker.tube(curve(np.array(knots), 9), 0.017, frame)
    maker.rod((-half, y - 0.03, 0.36), (half, y - 0.03, 0.36), 0.012, frame)
    for i in range(9):
        x = -half + 2 * half * (i + 1) / 10
        top = high - rise * abs(x / half) ** 2 * 1.05 - 0.01
        maker.rod((x, y - 0.03, 0.36), (x, y - 0.03, top), 0.008, frame)
        maker.lathe(
            [(0.001, -0.02), (0.017, -0.008), (0.017, 0.008), (0.001, 0.02)],
            frame,
            (x, y - 0.03, (0.36 + top) / 2),
            around=14,
        )
    for side in (-1, 1):
        maker.lathe(
            [(0.001, -0.03), (0.026, -0.01), (0.026, 0.012), (0.001, 0.03)],
            frame,
            (side * half, y - 0.03, high * 0.6),
            around=18,
        )


def _panel(maker: Maker, shape: Bed, skins: Skins, y: float, high: float) -> None:
    maker.box(
        (shape.width + 0.02, 0.035, high - 0.26),
        (0, y - 0.05, 0.26 + (high - 0.26) / 2),
        skins[0],
        (-0.08, 0, 0),
        axis="x",
        bevel=0.012,
    )
    for side in (-1, 1):
        maker.box((0.05, 0.05, 0.6), (side * shape.width * 0.36, y - 0.03, 0.3), skins[0], axis="z")


def _planks(maker: Maker, shape: Bed, skins: Skins, y: float, high: float) -> None:
    rows = 3
    each = (high - shape.rail - 0.03) / rows
    for i in range(rows):
        maker.box(
            (shape.width, 0.03, each - 0.012),
            (0, y - 0.05 + 0.012 * i, shape.rail + 0.04 + each * (i + 0.5)),
            skins[0],
            (-0.1, 0, 0),
            axis="x",
            bevel=0.006,
        )
    for side in (-1, 1):
        maker.box(
            (0.06, 0.03, high - 0.05),
            (side * shape.width * 0.3, y - 0.016, high / 2),
            skins[0],
            (-0.05, 0, 0),
            axis="z",
        )


def _sleigh(maker: Maker, shape: Bed, skins: Skins, y: float, high: float) -> None:
    out = 1 if y > 0 else -1
    start = y - out * 0.17
    knots = [
        (0.0, 0.12),
        (-0.01 * out, 0.3),
        (0.0, high * 0.62),
        (0.05 * out, high * 0.85),
        (0.12 * out, high * 0.985),
        (0.165 * out, high * 0.985),
        (0.17 * out, high * 0.93),
    ]
    line = curve(np.array(knots), 7)
    length = np.linspace(0, 1, len(line))

    def form(u: Points, v: Points) -> tuple[Points, ...]:
        return (
            (u - 0.5) * (shape.width - 0.04),
            start + np.interp(v, length, line[:, 0]),
            np.interp(v, length, line[:, 1]),
        )

    maker.put(sheet(form, 4, 40), skins[0], thick=0.035, axis="x", bevel=0.004)
    for side in (-1, 1):
        path = np.column_stack([np.full(len(line), side * (shape.width / 2 - 0.025)), start + line[:, 0], line[:, 1]])
        maker.tube(path, 0.032, skins[0], around=12)


def _cane(maker: Maker, shape: Bed, skins: Skins, y: float, high: float) -> None:
    wide, low = shape.width, 0.34
    ring = outlines.rectangle(wide - 0.05, high - low, 0.16)
    path = [(x, 0, z) for x, z in ring]
    middle = (0, y - 0.03, low + (high - low) / 2)
    maker.tube(np.array(path), 0.028, skins[0], closed=True, at=middle)
    maker.board(ring * 0.985, 0.008, middle, skins[1], (UPRIGHT, 0, 0))
    maker.box((0.045, 0.03, high - low), middle, skins[0], axis="z")
    for side in (-1, 1):
        maker.box((0.05, 0.045, low + 0.2), (side * wide * 0.42, y - 0.03, (low + 0.2) / 2), skins[0], axis="z")


def _shelf(maker: Maker, shape: Bed, skins: Skins, y: float, high: float) -> None:
    wide, deep, t, skin = shape.width + 0.04, 0.22, 0.022, skins[0]
    middle = y - deep / 2
    for side in (-1, 1):
        maker.box((t, deep, high), (side * (wide - t) / 2, middle, high / 2), skin, axis="z")
    for z in (high - t / 2, high - 0.3):
        maker.box((wide - 2 * t, deep, t), (0, middle, z), skin, axis="x")
    maker.box((wide - 2 * t, 0.012, high), (0, y - 0.01, high / 2), skin, axis="x")
    maker.box((wide - 2 * t, 0.02, high - 0.3), (0, y - deep + 0.012, (high - 0.3) / 2), skin, axis="x")
    maker.box((t, deep, 0.3), (0, middle, high - 0.15), skin, axis="z")
    for side in (-1, 1):
        maker.rests.append((side * wide / 4, middle, high - 0.3 + t / 2, wide * 0.42, deep - 0.04, 0.25))


HEADS = {
    "slats": _slats,
    "spindles": _spindles,
    "bars": _bars,
    "panel": _panel,
    "planks": _planks,
    "channel": upholstered_heads.channels,
    "tufted": upholstered_heads.tufts,
    "winged": upholstered_heads.winged,
    "sleigh": _sleigh,
    "cane": _cane,
    "arch": upholstered_heads.arch,
    "shelf": _shelf,
    "pads": upholstered_heads.pads,
}
