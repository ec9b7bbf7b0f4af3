"""Things that stand on desks and sideboards."""

import math
from random import Random

import numpy as np

from demo_shop_renderer.build.maker import Maker
from demo_shop_renderer.build.mesh import lathe
from demo_shop_renderer.build.nodes import Graph, linear
from demo_shop_renderer.props.colours import alloy, art, plain, timber, tone


def frame(maker: Maker, chance: Random) -> None:
    """A photograph in a standing frame."""
    wide, high = chance.choice(((0.13, 0.18), (0.18, 0.13), (0.2, 0.26)))
    rim = timber(chance) if chance.random() < 0.5 else alloy(chance)
    maker.box((wide, 0.014, high), (0, 0, high / 2), rim, (-0.18, 0, 0), bevel=0.002)
    maker.box(
        (wide - 0.03, 0.004, high - 0.03), (0, -0.008, high / 2), plain(chance, 0.2, colour=art(chance)), (-0.18, 0, 0)
    )


def clock(maker: Maker, chance: Random) -> None:
    """A small clock or a radio."""
    skin = plain(chance, 0.4) if chance.random() < 0.5 else timber(chance)
    wide, high = chance.uniform(0.1, 0.24), chance.uniform(0.09, 0.14)
    maker.box((wide, 0.06, high), (0, 0, high / 2), skin, bevel=0.015, rounds=3)
    maker.rod(
        (wide * 0.2, -0.028, high / 2), (wide * 0.2, -0.034, high / 2), high * 0.36, plain(chance, 0.3), around=24
    )


def laptop(maker: Maker, chance: Random) -> None:
    """An open laptop."""
    body = plain(chance, 0.35, 0.6, colour=tone(chance, ("#b9bbbd", "#3a3b3d", "#d8d3c8")))
    maker.box((0.32, 0.22, 0.014), (0, 0, 0.007), body, bevel=0.004)
    maker.box((0.28, 0.1, 0.002), (0, 0.035, 0.0145), "plastic:black")
    maker.box((0.32, 0.008, 0.21), (0, 0.14, 0.108), body, (-0.3, 0, 0), bevel=0.003)
    maker.box((0.3, 0.002, 0.19), (0, 0.133, 0.108), plain(chance, 0.15, colour=art(chance)), (-0.3, 0, 0))


def monitor(maker: Maker, chance: Random) -> None:
    """A screen with its keyboard."""
    wide = chance.uniform(0.48, 0.62)
    maker.box((0.22, 0.16, 0.012), (0, 0.06, 0.006), "steel")
    maker.rod((0, 0.08, 0.01), (0, 0.08, 0.25), 0.015, "steel")
    maker.box((wide, 0.03, wide * 0.57), (0, 0.06, 0.14 + wide * 0.285), "plastic:black", bevel=0.006)
    maker.box(
        (wide - 0.03, 0.004, wide * 0.57 - 0.03),
        (0, 0.044, 0.14 + wide * 0.285),
        plain(chance, 0.15, colour=art(chance)),
    )
    maker.box(
        (0.4, 0.13, 0.014),
        (0, -0.16, 0.007),
        plain(chance, 0.6, colour=chance.choice(("#e5e4e0", "#2b2b2d"))),
        bevel=0.004,
    )


def headphones(maker: Maker, chance: Random) -> None:
    """Headphones, lying."""
    skin = plain(chance, 0.5)
    arch = [(0.085 * math.cos(a), 0.085 * math.sin(a), 0.03) for a in np.linspace(-0.3, math.pi + 0.3, 22)]
    maker.tube(arch, 0.009, skin)
    for side in (-1, 1):
        maker.rod((side * 0.08, -0.03, 0.03), (side * 0.05, -0.03, 0.03), 0.036, skin)


def globe(maker: Maker, chance: Random) -> None:
    """A globe."""
    graph = Graph("globe")
    land = graph.ramp(
        graph.noise(graph.place(), 7, 4, 0.6),
        (0.52, linear(tone(chance, ("#3a6a8a", "#8fb1b8", "#2a4a6a")))),
        (0.54, linear(tone(chance, ("#b9a06a", "#7d8a52", "#c98a5a")))),
    )
    r, metal = chance.uniform(0.07, 0.11), alloy(chance)
    maker.put(
        lathe([(0.001, -r), (r * 0.71, -r * 0.71), (r, 0), (r * 0.71, r * 0.71), (0.001, r)], 28),
        graph.set(Base_Color=land, Roughness=0.4),
        (0, 0, r + 0.06),
        (0.35, 0, 0),
    )
    maker.lathe(
        [(0.001, 0), (r * 0.7, 0), (r * 0.6, 0.012), (0.01, 0.02), (0.008, 0.06)], metal, smooth=False, around=24
    )
    arc = [(0, (r + 0.012) * math.cos(a), r + 0.06 + (r + 0.012) * math.sin(a)) for a in np.linspace(-1.5, 1.9, 18)]
    maker.tube(arc, 0.004, metal, around=6)


def boxes(maker: Maker, chance: Random) -> None:
    """Boxes to keep things in."""
    z = 0.0
    for _ in range(chance.randint(1, 3)):
        size = (chance.uniform(0.18, 0.28), chance.uniform(0.14, 0.2), chance.uniform(0.06, 0.12))
        maker.box(
            size,
            (0, 0, z + size[2] / 2),
            plain(chance, 0.8) if chance.random() < 0.7 else timber(chance),
            (0, 0, chance.uniform(-0.1, 0.1)),
        )
        z += size[2]


def pens(maker: Maker, chance: Random) -> None:
    """A cup of pens and a notebook."""
    maker.lathe(
        [(0.001, 0), (0.036, 0), (0.036, 0.095), (0.032, 0.095), (0.03, 0.01)],
        plain(chance, 0.5),
        (0.09, 0.03, 0),
        smooth=False,
        around=20,
    )
    for i in range(5):
        a = i * 2.4
        maker.rod(
            (0.09, 0.03, 0.02),
            (0.09 + 0.03 * math.cos(a), 0.03 + 0.03 * math.sin(a), 0.17),
            0.004,
            plain(chance, 0.4),
            around=6,
        )
    maker.box((0.14, 0.2, 0.014), (-0.06, -0.02, 0.007), plain(chance, 0.7), (0, 0, chance.uniform(-0.4, 0.4)))


def speaker(maker: Maker, chance: Random) -> None:
    """A loudspeaker."""
    skin = timber(chance) if chance.random() < 0.5 else plain(chance, 0.5)
    wide, high = chance.uniform(0.11, 0.16), chance.uniform(0.16, 0.26)
    maker.box((wide, 0.14, high), (0, 0, high / 2), skin, bevel=0.006)
    for z, r in ((0.36, 0.38), (0.78, 0.2)):
        maker.rod((0, -0.068, high * z), (0, -0.074, high * z), wide * r, "plastic:black", around=26)


def toy(maker: Maker, chance: Random) -> None:
    """A stuffed bear."""
    skin = plain(chance, 1.0, colour=tone(chance, ("#b08a5a", "#8a6a4a", "#c9b79a", "#a0a0a0", "#c98a8a")))
    for x, z, r in (
        (0, 0.07, 0.07),
        (0, 0.175, 0.055),
        (-0.042, 0.225, 0.02),
        (0.042, 0.225, 0.02),
        (-0.06, 0.03, 0.032),
        (0.06, 0.03, 0.032),
        (-0.075, 0.11, 0.025),
        (0.075, 0.11, 0.025),
    ):
        shift = -0.045 if z < 0.05 else 0.0
        maker.put(
            lathe([(0.001, -r), (r * 0.71, -r * 0.71), (r, 0), (r * 0.71, r * 0.71), (0.001, r)], 18),
            skin,
            (x, shift, z),
        )


def hat(maker: Maker, chance: Random) -> None:
    """A hat."""
    maker.lathe(
        [(0.001, 0.1), (0.075, 0.1), (0.09, 0.02), (0.17, 0.004), (0.17, 0.0), (0.09, 0.0)],
        plain(chance, 0.9),
        around=30,
    )
