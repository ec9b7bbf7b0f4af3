"""Beds: frame, headboard, foot; `bedding` lies on them."""

from demo_shop_renderer.build import bedding
from demo_shop_renderer.build.headboards import HEADS
from demo_shop_renderer.build.legs import feet, turned
from demo_shop_renderer.build.maker import Maker, Skins
from demo_shop_renderer.shapes import Bed


def bed(maker: Maker, shape: Bed, skins: Skins) -> None:
    """Build a bed, its head at the back."""
    frame = skins[0]
    base = _FRAMES.get(shape.frame, _wood)
    mattress = base(maker, shape, skins)
    HEADS[shape.head](maker, shape, skins, shape.depth / 2, shape.head_height)
    if shape.foot == "bars":
        head = HEADS["bars"] if shape.head == "bars" else HEADS["spindles"]
        head(maker, shape, skins, -shape.depth / 2 + 0.05, 0.66)
    elif shape.foot == "sleigh":
        HEADS["sleigh"](maker, shape, (frame,), -shape.depth / 2, 0.7)
    bedding.spread(maker, shape, skins[2], skins[3], mattress)


def _wood(maker: Maker, shape: Bed, skins: Skins) -> bedding.Mattress:
    frame, wide, long = skins[0], shape.width, shape.depth
    for side in (-1, 1):
        maker.box(
            (0.03, long - 0.06, 0.16), (side * (wide / 2 - 0.015), 0, shape.rail - 0.05), frame, axis="y", bevel=0.006
        )
    if shape.foot != "sleigh":
        maker.box((wide, 0.03, 0.16), (0, -long / 2 + 0.03, shape.rail - 0.05), frame, axis="x", bevel=0.006)
    legs = "tapered" if shape.legs == "tapered" else "block"
    if shape.legs == "turned":
        for side in (-1, 1):
            turned(maker, (side * (wide / 2 - 0.03), -long / 2 + 0.05), 0.66, 0.028, frame)
    elif shape.foot == "none":
        feet(maker, legs, (wide, long), shape.rail - 0.1, frame, inset=0.05, thick=0.03)
    else:
        feet(maker, "block", (wide, long), 0.14, frame, inset=0.06, thick=0.03)
    return bedding.Mattress(wide - 0.1, 1.98, -long / 2 + 0.06, shape.rail, 0.2)


def _upholstered(maker: Maker, shape: Bed, skins: Skins) -> bedding.Mattress:
    cover, legs, wide, long = skins[0], skins[1], shape.width, shape.depth
    foot = 0.07 if shape.legs == "block" else 0.12
    maker.cushion(
        (wide, long - 0.06, shape.rail - foot),
        (0, -0.03, foot + (shape.rail - foot) / 2),
        cover,
        soft=0.35,
        crown=0.03,
        crease=0.002,
        inner=9,
    )
    feet(maker, shape.legs, (wide - 0.06, long - 0.1), foot + 0.01, legs, inset=0.05, thick=0.026)
    return bedding.Mattress(wide - 0.1, 1.98, -long / 2 + 0.06, shape.rail - 0.02, 0.22)


def _metal(maker: Maker, shape: Bed, skins: Skins) -> bedding.Mattress:
    frame, wide, long = skins[0], shape.width, shape.depth
    for side in (-1, 1):
        maker.box((0.025, long - 0.08, 0.045), (side * (wide / 2 - 0.02), 0, shape.rail), frame)
    for y in (-long / 2 + 0.06, 0.0, long / 2 - 0.06):
        maker.box((wide - 0.04, 0.025, 0.035), (0, y, shape.rail - 0.01), frame)
    return bedding.Mattress(wide - 0.08, 1.96, -long / 2 + 0.09, shape.rail + 0.02, 0.2)


def _platform(maker: Maker, shape: Bed, skins: Skins) -> bedding.Mattress:
    wood, wide, long = skins[0], shape.width, shape.depth
    maker.box((wide, long, 0.06), (0, 0, shape.rail), wood, axis="x", bevel=0.008)
    maker.box((wide - 0.3, long - 0.3, shape.rail - 0.03), (0, 0, (shape.rail - 0.03) / 2), wood, axis="x")
    return bedding.Mattress(wide - 0.44, 1.98, -long / 2 + 0.12, shape.rail + 0.03, 0.2)


def _canopy(maker: Maker, shape: Bed, skins: Skins) -> bedding.Mattress:
    frame, wide, long, high = skins[0], shape.width, shape.depth, shape.height
    wooden = getattr(frame, "material", "") == "wood"
    side = 0.05 if wooden else 0.028
    for sx in (-1, 1):
        x = sx * (wide - side) / 2
        for sy in (-1, 1):
            maker.box((side, side, high), (x, sy * (long - side) / 2, high / 2), frame, axis="z")
        maker.box((side, long - 2 * side, side), (x, 0, high - side / 2), frame, axis="y")
        maker.box((0.028, long - side, 0.12), (x, 0, shape.rail - 0.03), frame, axis="y")
    for sy in (-1, 1):
        maker.box((wide - 2 * side, side, side), (0, sy * (long - side) / 2, high - side / 2), frame, axis="x")
        maker.box((wide - side, 0.028, 0.12), (0, sy * (long - side) / 2, shape.rail - 0.03), frame, axis="x")
    return bedding.Mattress(wide - 0.1, 1.98, -long / 2 + 0.06, shape.rail, 0.2)


def _drawers(maker: Maker, shape: Bed, skins: Skins) -> bedding.Mattress:
    frame, wide, long = skins[0], shape.width, shape.depth
    maker.box((wide, long - 0.2, shape.rail), (0, -0.1, shape.rail / 2), frame, axis="y", bevel=0.006)
    each = (long - 0.3) / 2
    for side in (-1, 1):
        for i in range(2):
            y = -long / 2 + 0.06 + each * (i + 0.5)
            maker.box(
                (0.02, each - 0.03, shape.rail - 0.1),
                (side * (wide / 2 + 0.006), y, shape.rail / 2 + 0.01),
                frame,
                axis="y",
                bevel=0.003,
            )
            maker.box(
                (0.006, 0.16, 0.016), (side * (wide / 2 + 0.016), y, shape.rail - 0.07), "plastic:black", bevel=0.002
            )
    return bedding.Mattress(wide - 0.06, 1.98, -long / 2 + 0.03, shape.rail - 0.02, 0.2)


_FRAMES = {
    "upholstered": _upholstered,
    "metal": _metal,
    "platform": _platform,
    "canopy": _canopy,
    "drawers": _drawers,
}
