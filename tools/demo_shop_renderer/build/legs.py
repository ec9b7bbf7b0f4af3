"""What furniture stands on."""

import math

from demo_shop_renderer.build.maker import Maker, Skin
from demo_shop_renderer.build.mesh import Points, curve, rounded

SIDES = ((-1, -1), (1, -1), (-1, 1), (1, 1))
_TURNED = (
    (0.55, 0.0),
    (0.75, 0.03),
    (0.8, 0.08),
    (0.5, 0.14),
    (0.62, 0.3),
    (0.95, 0.62),
    (1.0, 0.7),
    (0.6, 0.76),
    (1.05, 0.8),
    (1.05, 0.84),
    (0.7, 0.88),
    (1.1, 0.92),
    (1.1, 1.0),
)


def turned(maker: Maker, at: tuple[float, float], height: float, thick: float, skin: Skin, foot: float = 0.0) -> None:
    """Add one turned leg."""
    maker.lathe([(r * thick, foot + z * height) for r, z in _TURNED], skin, (*at, 0), around=20)


def hairpin(maker: Maker, at: tuple[float, float], out: tuple[int, int], height: float, skin: Skin) -> None:
    """Add one leg of bent rod."""
    x, y = at
    sx, sy = out
    path = [(x - 0.07 * sx, y, height), (x + 0.02 * sx, y + 0.02 * sy, -0.004), (x, y - 0.07 * sy, height)]
    maker.tube(rounded(path, 0.014), 0.006, skin)
    maker.box((0.11, 0.11, 0.005), (x - 0.03 * sx, y - 0.03 * sy, height - 0.003), skin)


def feet(
    maker: Maker,
    kind: str,
    size: tuple[float, float],
    height: float,
    skin: Skin,
    *,
    inset: float = 0.06,
    thick: float = 0.021,
) -> None:
    """Add what stands under a rectangle of this width and depth."""
    width, depth = size
    if height <= 0 or kind == "none":
        return
    if kind == "sled":
        sled(maker, size, height, skin, inset)
        return
    if kind == "plinth":
        maker.box((width - 2 * inset, depth - 2 * inset, height), (0, 0.01, height / 2), skin)
        return
    if kind == "pedestal":
        star(maker, min(width, depth) * 0.42, height, skin)
        return
    for sx, sy in SIDES:
        x, y = sx * (width / 2 - inset), sy * (depth / 2 - inset)
        if kind == "tapered":
            lean = min(0.045, height * 0.14)
            maker.rod((x + sx * lean, y + sy * lean, 0), (x, y, height + 0.01), (thick * 0.55, thick * 1.1), skin)
        elif kind == "turned":
            turned(maker, (x, y), height + 0.01, thick * 1.35, skin)
        elif kind == "hairpin":
            hairpin(maker, (x, y), (sx, sy), height, skin)
        elif kind == "straight":
            maker.rod((x, y, 0), (x, y, height + 0.01), thick * 0.55, skin)
        else:  # block
            side = max(0.045, thick * 2.2)
            maker.box((side, side, height + 0.01), (x, y, height / 2), skin, axis="z")


def sled(
    maker: Maker, size: tuple[float, float], height: float, skin: Skin, inset: float, thick: float = 0.011
) -> None:
    """Add two closed frames of rod, one at each end."""
    width, depth = size
    for side in (-1, 1):
        x = side * (width / 2 - inset)
        y = depth / 2 - inset
        path = rounded([(x, -y, height), (x, -y, thick), (x, y, thick), (x, y, height)], 0.03)
        maker.tube(path, thick, skin)
        maker.rod((x, -y, height - thick), (x, y, height - thick), thick, skin)


def star(maker: Maker, reach: float, height: float, skin: Skin, arms: int = 5, castors: bool = False) -> None:
    """Add a column on a star of flat arms."""
    low = 0.055 if castors else 0.012
    maker.lathe(
        [(0.03, low), (0.03, low + 0.05), (0.026, height), (0.026, height + 0.01)], skin, smooth=False, around=20
    )
    for arm in range(arms):
        angle = math.tau * arm / arms + 0.35
        end = (reach * math.cos(angle), reach * math.sin(angle))
        maker.rod((0, 0, low + 0.045), (*end, low + 0.008), (0.022, 0.013), skin)
        if castors:
            for side in (-1, 1):
                shift = (-math.sin(angle) * 0.012 * side, math.cos(angle) * 0.012 * side)
                wheel = (end[0] + shift[0], end[1] + shift[1], 0.027)
                maker.rod(
                    (wheel[0] - shift[0] * 0.7, wheel[1] - shift[1] * 0.7, 0.027),
                    (wheel[0] + shift[0] * 0.7, wheel[1] + shift[1] * 0.7, 0.027),
                    0.027,
                    "plastic:black",
                )


def disc(maker: Maker, radius: float, skin: Skin, at: tuple[float, float] = (0, 0), thick: float = 0.018) -> None:
    """Add a flat round foot."""
    profile = [(0.001, 0), (radius, 0), (radius, thick * 0.6), (radius * 0.94, thick), (0.001, thick * 1.15)]
    maker.lathe(profile, skin, (*at, 0), smooth=False, around=48)


def trumpet(maker: Maker, foot: float, stem: float, height: float, skin: Skin, top: float = 0.0) -> None:
    """Add a stem that flows into a round foot, and into the top where that is given a radius."""
    profile = [(0.001, 0.0), (foot * 0.96, 0.0), (foot, 0.006), (foot * 0.86, 0.018), (foot * 0.42, 0.06)]
    profile += [(stem * 1.15, 0.2 * height + 0.06), (stem, 0.5 * height), (stem * 1.05, 0.8 * height)]
    profile += [(max(top, stem) * 0.6, 0.94 * height), (max(top, stem), height)]
    maker.lathe(profile, skin, around=44)


def bow(start: Points, middle: Points, end: Points, steps: int = 8) -> Points:
    """Return a smooth line through three points."""
    import numpy as np

    return curve(np.array([start, middle, end], float), steps)
