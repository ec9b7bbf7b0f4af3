"""What carries a table's top: legs, frames, columns and slabs."""

import math

import numpy as np

from demo_shop_renderer.build.legs import SIDES, hairpin, sled, trumpet, turned
from demo_shop_renderer.build.maker import Maker, Skin
from demo_shop_renderer.build.mesh import UPRIGHT, fluted, rounded
from demo_shop_renderer.shapes import Table


def stand(maker: Maker, shape: Table, base: Skin, top: Skin, under: float) -> None:
    """Add what carries the top, up to its underside."""
    if shape.legs in _FRAMES:
        _FRAMES[shape.legs](maker, shape, base if shape.legs not in ("plinth", "waterfall") else top, under)
    else:
        four(maker, shape, base, under)


def four(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    """Add four legs (three under a tripod's top)."""
    wide, deep = shape.width / 2 - shape.inset, shape.depth / 2 - shape.inset
    thick = 0.03 if shape.height > 0.6 else 0.024
    if shape.legs == "tripod":
        for i in range(3):
            a = math.tau * i / 3 + 0.6
            maker.rod(
                (wide * math.cos(a), deep * math.sin(a), 0),
                (wide * 0.62 * math.cos(a), deep * 0.62 * math.sin(a), under),
                (thick * 0.55, thick * 0.95),
                skin,
            )
        return
    if shape.top in ("round", "oval", "pebble", "tray", "boat"):
        wide, deep = wide * (0.72 if shape.top != "boat" else 0.86), deep * (0.72 if shape.top != "boat" else 0.8)
    for sx, sy in SIDES:
        x, y = sx * wide, sy * deep
        if shape.legs == "turned":
            turned(maker, (x, y), under, thick * 1.35, skin)
        elif shape.legs == "hairpin":
            hairpin(maker, (x, y), (sx, sy), under, skin)
        elif shape.legs == "block":
            maker.box((0.07, 0.07, under), (x, y, under / 2), skin, axis="z")
        elif shape.legs == "straight":
            maker.rod((x, y, 0), (x, y, under), 0.012 if shape.height < 0.6 else 0.017, skin)
        else:
            lean = 0.16 if shape.legs == "splayed" else 0.05
            maker.rod((x * (1 + lean), y * (1 + lean), 0), (x, y, under), (thick * 0.5, thick), skin)


def trestle(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    """Add two stout trestles joined by a stretcher."""
    x = shape.width / 2 - 0.32
    for side in (-1, 1):
        maker.box((0.09, shape.depth * 0.78, 0.07), (side * x, 0, 0.035), skin, bevel=0.012)
        maker.box((0.08, shape.depth * 0.7, 0.06), (side * x, 0, under - 0.03), skin, bevel=0.01)
        maker.box((0.075, 0.17, under - 0.12), (side * x, 0, under / 2), skin, axis="z", bevel=0.01)
    maker.box((2 * x, 0.05, 0.1), (0, 0, under * 0.42), skin, bevel=0.008)


def sawhorse(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    """Add two sawhorses."""
    x, deep = shape.width / 2 - 0.26, shape.depth / 2 - 0.07
    for side in (-1, 1):
        maker.box((0.05, 2 * deep + 0.06, 0.055), (side * x, 0, under - 0.028), skin, axis="y")
        for sx in (-1, 1):
            for sy in (-1, 1):
                start, end = (
                    (side * x + sx * 0.15, sy * deep, 0),
                    (side * x + sx * 0.02, sy * (deep - 0.05), under - 0.03),
                )
                maker.rod(start, end, 0.019, skin, around=4)
        maker.box((0.2, 2 * deep - 0.1, 0.016), (side * x, 0, under * 0.3), skin, axis="y")


def crossed(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    """Add crossed legs at each end, or crossed rods under a tray."""
    if shape.top == "tray":
        radius = shape.width * 0.33
        for turn in (0.5, 0.5 + UPRIGHT):
            for side in (-1, 1):
                c, s = math.cos(turn), math.sin(turn)
                shift = side * 0.09
                start = (side * radius * c - shift * s, side * radius * s + shift * c, 0)
                end = (-side * radius * 0.8 * c - shift * s, -side * radius * 0.8 * s + shift * c, under)
                maker.rod(start, end, 0.013, skin)
        return
    x, deep = shape.width / 2 - 0.2, shape.depth / 2 - 0.09
    bar = 0.028 if shape.height > 0.6 else 0.02
    for side in (-1, 1):
        for lean in (-1, 1):
            length = math.hypot(2 * deep, under)
            tilt = math.atan2(2 * deep, under)
            maker.box((bar * 1.6, bar, length - 0.02), (side * x, 0, under / 2), skin, (lean * tilt, 0, 0), axis="z")
        maker.box((bar * 1.6, 2 * deep + 0.06, 0.008), (side * x, 0, under - 0.004), skin)


def pedestal(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    """Add one flowing stem."""
    trumpet(maker, shape.width * 0.27, 0.04, under, skin, 0.13)


def column(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    """Add a fluted column, or a whole drum."""
    low = shape.height < 0.5
    radius = shape.width / 2 - shape.inset if low else shape.width * 0.2
    maker.put(fluted(radius, under - 0.02, 40 if low else 24, 0.012 if low else 0.02), skin, (0, 0, 0.02), axis="z")
    rim = radius * (1.0 if low else 1.3)
    maker.lathe(
        [(0.001, 0), (rim, 0), (rim, 0.012), (rim * 0.98, 0.024), (0.001, 0.024)], skin, smooth=False, around=60
    )


def double(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    """Add two fluted drums."""
    for side in (-1, 1):
        at = (side * shape.width * 0.26, 0, 0)
        maker.put(fluted(shape.depth * 0.25, under, 26, 0.018), skin, at, axis="z")


def drums(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    """Add three stout columns."""
    for x, y in ((-0.22, 0.1), (0.26, 0.12), (0.02, -0.2)):
        radius = 0.1
        profile = [(0.001, 0), (radius * 0.95, 0), (radius, 0.01), (radius, under), (0.001, under)]
        maker.lathe(profile, skin, (x * shape.width, y * shape.depth, 0), smooth=False, around=40)


def slabs(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    """Add two upright slabs."""
    for side in (-1, 1):
        maker.box(
            (0.09, shape.depth * 0.74, under),
            (side * (shape.width / 2 - shape.inset - 0.05), 0, under / 2),
            skin,
            bevel=0.006,
        )


def star(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    """Add two frames of wood crossing under glass."""
    wide, deep = shape.width * 0.36, shape.depth * 0.38
    for sy in (-1, 1):
        feet = [
            (-wide, -sy * deep, 0.018),
            (-wide * 0.82, -sy * deep * 0.82, under - 0.018),
            (wide * 0.82, sy * deep * 0.82, under - 0.018),
            (wide, sy * deep, 0.018),
        ]
        low = under * (0.34 if sy > 0 else 0.42)
        for a, b in ((feet[0], feet[1]), (feet[3], feet[2])):
            maker.rod((a[0], a[1], 0), (b[0], b[1], under), (0.017, 0.022), skin)
        start = np.array(feet[0]) + (np.array(feet[1]) - np.array(feet[0])) * low / under
        end = np.array(feet[3]) + (np.array(feet[2]) - np.array(feet[3])) * low / under
        maker.rod(start, end, 0.019, skin)


def plinth(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    """Add a hollow cube: four sides and a top."""
    wide, deep, high, t = shape.width, shape.depth, shape.height, shape.thick
    maker.box((wide, deep, t), (0, 0, high - t / 2), skin, bevel=0.003)
    for side in (-1, 1):
        maker.box((wide, t, high - t - 0.002), (0, side * (deep - t) / 2, (high - t) / 2), skin, bevel=0.002)
        maker.box((t, deep - 2 * t, high - t - 0.002), (side * (wide - t) / 2, 0, (high - t) / 2), skin, bevel=0.002)


def waterfall(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    """Add top and sides as one bent sheet."""
    half, high, t = shape.width / 2, shape.height, shape.thick
    outer = [(half, 0, 0), (half, 0, high), (-half, 0, high), (-half, 0, 0)]
    inner = [(-half + t, 0, 0), (-half + t, 0, high - t), (half - t, 0, high - t), (half - t, 0, 0)]
    line = np.concatenate([rounded(outer, 0.07, 6), rounded(inner, 0.05, 6)])[:, [0, 2]]
    maker.board(line, shape.depth, (0, 0, 0), skin, (UPRIGHT, 0, 0), axis="x", bevel=0.004)


def lift(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    """Add two telescopic columns on long feet."""
    x = shape.width / 2 - 0.3
    for side in (-1, 1):
        maker.box((0.08, shape.depth * 0.92, 0.03), (side * x, 0, 0.015), skin, bevel=0.008)
        maker.box((0.09, 0.06, under * 0.62), (side * x, 0, under * 0.31 + 0.02), skin)
        maker.box((0.075, 0.045, under * 0.6), (side * x, 0, under * 0.68), skin)
        maker.box((0.06, shape.depth * 0.7, 0.035), (side * x, 0, under - 0.018), skin)
    maker.box((2 * x, 0.06, 0.035), (0, 0, under - 0.018), skin)
    maker.box((0.09, 0.03, 0.012), (shape.width / 2 - 0.2, -shape.depth / 2 + 0.03, under - 0.006), "plastic:black")


def sleds(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    """Add two closed frames."""
    sled(maker, (shape.width, shape.depth), under, skin, max(0.05, shape.inset), 0.014)


_FRAMES = {
    "trestle": trestle,
    "sawhorse": sawhorse,
    "x": crossed,
    "tulip": pedestal,
    "pedestal": pedestal,
    "fluted": column,
    "drum": drums,
    "double": double,
    "slab": slabs,
    "cross": star,
    "plinth": plinth,
    "waterfall": waterfall,
    "lift": lift,
    "sled": sleds,
}
"""Leg -> what builds it; the others are four alike."""
