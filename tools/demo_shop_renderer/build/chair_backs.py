"""Backs of wooden chairs and stools, between two posts."""

from demo_shop_renderer.build.maker import Maker, Skin, Skins
from demo_shop_renderer.build.mesh import Points, sheet
from demo_shop_renderer.shapes import Chair


def stance(shape: Chair) -> tuple[float, float, float]:
    """Return half the width and depth between the legs at the seat, and how far they spread below."""
    return (
        shape.width / 2 - 0.05 - shape.flare,
        shape.depth / 2 - 0.06 - shape.flare,
        shape.flare + (0.02 if shape.seat_height < 0.6 else 0.045),
    )


def posts(maker: Maker, shape: Chair, skin: Skin) -> None:
    """Add the two uprights, leaning back."""
    wide, deep, _ = stance(shape)
    metal = "steel" in str(skin) or "brass" in str(skin)
    lean = 0.07 * (shape.height - shape.seat_height) / 0.4
    for side in (-1, 1):
        x = side * (wide - 0.005)
        if shape.back in ("spindle",):
            continue
        ends = (0.011, 0.011) if metal else (0.018, 0.013)
        maker.rod((x, deep, shape.seat_height - 0.04), (x, deep + lean, shape.height - 0.01), ends, skin)


def _rail(maker: Maker, shape: Chair, skin: Skin, z: float, high: float, bow: float = 0.04, grow: float = 0.0) -> None:
    """Add a bent board between the posts."""
    wide, deep, _ = stance(shape)
    y = deep + 0.07 * (z - shape.seat_height) / 0.4

    def form(u: Points, v: Points) -> tuple[Points, Points, Points]:
        across = 2 * u - 1
        edge = 1 - 0.25 * across**2
        return (
            across * (wide + 0.01 + grow),
            y + bow * (1 - across**2) + 0.18 * (v - 0.5) * high,
            z + (v - 0.5) * high * edge,
        )

    maker.put(sheet(form, 20, 4), skin, thick=0.016, bevel=0.003, axis="x")


def _spindles(maker: Maker, shape: Chair, skins: Skins) -> None:
    wide, deep, _ = stance(shape)
    count, top = 7, shape.height - 0.025
    for i in range(count):
        across = 2 * i / (count - 1) - 1
        foot = (across * wide * 0.9, deep - 0.02 * across**2, shape.seat_height - 0.02)
        head = (across * (wide + 0.01), deep + 0.075 + 0.04 * (1 - across**2), top)
        thick = 0.012 if i in (0, count - 1) else 0.0075
        maker.rod(foot, head, (thick, thick * 0.8), skins[0])
    _rail(maker, shape, skins[0], shape.height - 0.03, 0.06, 0.042, 0.02)


def _ladder(maker: Maker, shape: Chair, skins: Skins) -> None:
    for share in (0.3, 0.52, 0.73, 0.92):
        _rail(maker, shape, skins[0], shape.seat_height + share * (shape.height - shape.seat_height), 0.065, 0.03)


def _slats(maker: Maker, shape: Chair, skins: Skins) -> None:
    wide, deep, _ = stance(shape)
    _rail(maker, shape, skins[0], shape.height - 0.03, 0.06, 0.03)
    _rail(maker, shape, skins[0], shape.seat_height + 0.1, 0.04, 0.02)
    for i in range(5):
        across = (i - 2) / 2.6
        bow = 0.028 * (1 - across**2)
        low, top = shape.seat_height + 0.1, shape.height - 0.05
        maker.box(
            (0.028, 0.01, top - low), (across * wide, deep + bow + 0.035, (low + top) / 2), skins[0], (-0.17, 0, 0)
        )


def _low(maker: Maker, shape: Chair, skins: Skins) -> None:
    wide, deep, _ = stance(shape)
    cover = skins[min(1, len(skins) - 1)]
    maker.cushion(
        (2 * wide + 0.06, 0.055, 0.15),
        (0, deep + 0.03, shape.height - 0.075),
        cover,
        (-0.15, 0, 0),
        soft=0.9,
        crown=0.3,
        crease=0.002,
    )


BACKS = {"spindle": _spindles, "ladder": _ladder, "slats": _slats, "low": _low}
