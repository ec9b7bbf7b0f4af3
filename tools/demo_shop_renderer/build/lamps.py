"""Floor lamps and table lamps: a foot, a stand, a shade with a bulb in it."""

import math

import numpy as np

from demo_shop_renderer.build import shades
from demo_shop_renderer.build.lamp_bodies import BODIES
from demo_shop_renderer.build.legs import disc
from demo_shop_renderer.build.maker import Maker, Skins
from demo_shop_renderer.build.mesh import curve, rounded
from demo_shop_renderer.shapes import Lamp


def lamp(maker: Maker, shape: Lamp, skins: Skins, lit: bool) -> None:
    """Build a lamp; `maker.bulbs` says where it shines, lit or not."""
    _foot(maker, shape, skins)
    _STANDS[shape.stand](maker, shape, skins, lit)


def _foot(maker: Maker, shape: Lamp, skins: Skins) -> None:
    skin = skins[-1] if len(skins) > 2 else skins[1]
    if shape.base == "disc":
        aside = shape.stand == "hook" or (shape.stand == "angle" and shape.height > 1)
        at = shape.width / 2 - shape.base_width / 2 if aside else 0.0
        disc(maker, shape.base_width / 2, skin, (at, 0.0), 0.022 if shape.height > 1 else 0.016)
    elif shape.base == "block":
        x = shape.width / 2 - shape.base_width / 2
        maker.box((shape.base_width, shape.base_width * 0.7, 0.07), (x, 0, 0.035), skin, bevel=0.006)
    elif shape.base == "tripod":
        for i in range(3):
            a = math.tau * i / 3 + 0.5
            end = (shape.base_width / 2 * math.cos(a), shape.base_width / 2 * math.sin(a), 0)
            maker.rod(end, (end[0] * 0.5, end[1] * 0.5, 0.1), 0.006, skins[1])


def _shaded(
    maker: Maker, shape: Lamp, skins: Skins, at: tuple[float, float, float], lit: bool, tilt: float = 0.0
) -> None:
    """Hang the shade with its lower edge's middle at a point."""
    shades.shade(maker, shape, skins[0], at, lit, tilt)


def _pole(maker: Maker, shape: Lamp, skins: Skins, lit: bool) -> None:
    low = shape.height - shape.shade_height
    thick = 0.009 if shape.height > 1 else 0.007
    maker.rod((0, 0, 0.01), (0, 0, low + (0.02 if shape.shade != "drum" else 0.06)), thick, skins[1])
    _shaded(maker, shape, skins, (0, 0, low), lit)


def _tripod(maker: Maker, shape: Lamp, skins: Skins, lit: bool) -> None:
    low = shape.height - shape.shade_height
    spread = shape.base_width / 2
    thick = (0.011, 0.016) if shape.height > 1 else (0.007, 0.01)
    hub = low - (0.06 if shape.height > 1 else 0.03)
    for i in range(3):
        a = math.tau * i / 3 + 0.55
        maker.rod(
            (spread * math.cos(a), spread * math.sin(a), 0),
            (0.03 * math.cos(a), 0.03 * math.sin(a), hub),
            thick,
            skins[1],
        )
    maker.lathe(
        [(0.001, -0.03), (0.045, -0.02), (0.045, 0.02), (0.012, 0.03), (0.012, 0.1)],
        "black steel",
        (0, 0, hub),
        smooth=False,
        around=24,
    )
    if shape.shade == "dome":
        _shaded(maker, shape, skins, (0, -0.12, low), lit, 0.75)
    else:
        _shaded(maker, shape, skins, (0, 0, low), lit)


def _arc(maker: Maker, shape: Lamp, skins: Skins, lit: bool) -> None:
    right, left = shape.width / 2 - shape.base_width / 2, -shape.width / 2 + shape.shade_width / 2
    drop = shape.height - 0.3
    knots = [
        (right, 0, 0.06),
        (right, 0, shape.height * 0.52),
        (right - 0.12, 0, shape.height * 0.8),
        ((right + left) / 2, 0, shape.height - 0.02),
        (left + 0.14, 0, shape.height * 0.9),
        (left, 0, drop),
    ]
    maker.tube(curve(np.array(knots), 10), 0.012, skins[1])
    _shaded(maker, shape, skins, (left, 0, drop - shape.shade_height + 0.02), lit)


def _angle(maker: Maker, shape: Lamp, skins: Skins, lit: bool) -> None:
    high, wide = shape.height, shape.width
    if high > 1:
        foot = wide / 2 - shape.base_width / 2
        elbow, head = (foot, 0.0, high * 0.8), (-wide * 0.36, 0.0, high - 0.06)
        maker.rod((foot, 0, 0.01), elbow, 0.009, skins[1])
        maker.rod((foot + 0.1, 0, high * 0.775), head, 0.008, skins[1])
    else:
        elbow, head = (wide * 0.42, 0.0, high * 0.56), (-wide * 0.3, 0.0, high - 0.05)
        for shift in (-0.012, 0.012):
            maker.rod((0.0, shift, 0.015), (elbow[0], shift, elbow[2]), 0.0045, skins[1])
            maker.rod((elbow[0], shift, elbow[2]), (head[0], shift, head[2]), 0.0045, skins[1])
    maker.rod((elbow[0], -0.02, elbow[2]), (elbow[0], 0.02, elbow[2]), 0.014, skins[1])
    _shaded(maker, shape, skins, (head[0] - 0.03, 0, head[2] - shape.shade_height + 0.03), lit, -0.5)


def _hook(maker: Maker, shape: Lamp, skins: Skins, lit: bool) -> None:
    right, left = shape.width / 2 - shape.base_width / 2, -shape.width / 2 + shape.shade_width / 2
    high, drop = shape.height, shape.height * (0.93 if shape.height > 1 else 0.78)
    if shape.height > 1:
        path = [
            (right, 0, 0.01),
            (right, 0, high - 0.12),
            ((right + left) / 2, 0, high),
            (left, 0, high - 0.06),
            (left, 0, drop - 0.02),
        ]
        maker.tube(curve(np.array(path), 9), 0.0095, skins[1])
    else:
        path = [(right, 0, 0.01), (right, 0, high), (left, 0, high), (left, 0, drop)]
        maker.tube(rounded(path, 0.14, 10), 0.006, skins[1])
    _shaded(maker, shape, skins, (left, 0, drop - shape.shade_height), lit)


def _branch(maker: Maker, shape: Lamp, skins: Skins, lit: bool) -> None:
    maker.rod((0, 0, 0.01), (0, 0, shape.height - shape.shade_height * 0.7), 0.009, skins[1])
    reach = shape.width / 2 - shape.shade_width / 2
    spots = [(0.0, 0.0, shape.height - shape.shade_height)]
    for side, share in ((-1, 0.66), (1, 0.48)):
        z = shape.height * share
        path = [(0, 0, z - 0.16), (side * reach * 0.7, 0, z - 0.14), (side * reach, 0, z)]
        maker.tube(rounded(path, 0.1, 8), 0.007, skins[1])
        spots.append((side * reach, 0.0, z))
    for spot in spots:
        maker.lathe([(0.014, -0.02), (0.03, 0.0), (0.03, 0.012)], skins[1], spot, smooth=False, around=18)
        _shaded(maker, shape, skins, spot, lit)


def _stem(maker: Maker, shape: Lamp, skins: Skins, lit: bool) -> None:
    foot, low = shape.base_width / 2, shape.height - shape.shade_height
    neck = 0.02 if shape.height > 1 else foot * 0.42
    profile = [(0.001, 0), (foot, 0), (foot, 0.012), (foot * 0.7, 0.05 * (1 + (shape.height > 1)))]
    profile += [(neck, low * 0.45), (neck, low * 0.8), (neck * 1.3, low + shape.shade_height * 0.3)]
    maker.lathe(profile, skins[1], around=44)
    _shaded(maker, shape, skins, (0, 0, low), lit)


def _none(maker: Maker, shape: Lamp, skins: Skins, lit: bool) -> None:
    _shaded(maker, shape, skins, (0, 0, shape.height - shape.shade_height), lit)


_STANDS = {
    "pole": _pole,
    "tripod": _tripod,
    "arc": _arc,
    "angle": _angle,
    "hook": _hook,
    "branch": _branch,
    "stem": _stem,
    "none": _none,
    **BODIES,
}
