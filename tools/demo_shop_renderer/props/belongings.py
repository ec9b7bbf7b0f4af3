"""What people leave on the floor: shoes, toys, a guitar, parcels."""

import math
from random import Random

import numpy as np

from demo_shop_renderer.build.maker import Maker
from demo_shop_renderer.build.mesh import curve, lathe, rounded
from demo_shop_renderer.props.colours import alloy, cloth, plain, timber, tone


def umbrellas(maker: Maker, chance: Random) -> None:
    """An umbrella stand."""
    maker.lathe(
        [(0.001, 0), (0.11, 0), (0.12, 0.45), (0.112, 0.45), (0.1, 0.02)], plain(chance, 0.5), smooth=False, around=28
    )
    for i in range(chance.randint(1, 3)):
        a = i * 2.2
        skin = plain(chance, 0.8)
        top = (0.09 * math.cos(a), 0.09 * math.sin(a), chance.uniform(0.62, 0.72))
        maker.rod((0, 0, 0.05), top, (0.012, 0.03), skin)
        maker.rod(top, (top[0] * 1.1, top[1] * 1.1, top[2] + 0.08), 0.008, timber(chance))


def shoes(maker: Maker, chance: Random) -> None:
    """A pair of shoes."""
    skin, sole = plain(chance, 0.5), plain(chance, 0.8, colour=chance.choice(("#f0eee8", "#2a2522", "#8a6a4a")))
    for side in (-1, 1):
        x, turn = side * 0.075, chance.uniform(-0.3, 0.3)
        maker.cushion((0.085, 0.27, 0.025), (x, 0, 0.013), sole, (0, 0, turn), soft=0.9, crown=0, crease=0)
        maker.cushion((0.08, 0.25, 0.06), (x, 0.0, 0.05), skin, (0, 0, turn), soft=1.0, crown=0.5, crease=0.002)
        maker.cushion((0.075, 0.12, 0.08), (x, 0.06, 0.08), skin, (0, 0, turn), soft=0.9, crown=0.2, crease=0.002)


def blocks(maker: Maker, chance: Random) -> None:
    """A child's building blocks."""
    for i in range(chance.randint(6, 11)):
        side = chance.choice((0.04, 0.05, 0.08))
        z = side / 2 + (0.05 if i > 6 else 0.0)
        maker.box(
            (side, 0.045, 0.045),
            (chance.uniform(-0.16, 0.16), chance.uniform(-0.13, 0.13), max(0.0225, z) if i > 6 else 0.0225),
            plain(chance, 0.5),
            (0, 0, chance.uniform(0, 3)),
        )


def ball(maker: Maker, chance: Random) -> None:
    """A ball."""
    r = chance.uniform(0.08, 0.115)
    maker.put(
        lathe([(0.001, 0), (r * 0.7, r * 0.29), (r, r), (r * 0.7, r * 1.71), (0.001, 2 * r)], 28),
        cloth(chance, 0.5),
        turn=(0, 0, chance.uniform(0, 3)),
    )


def guitar(maker: Maker, chance: Random) -> None:
    """A guitar on its stand."""
    outline = curve(
        np.array(
            [
                (0, 0),
                (0.17, 0.06),
                (0.185, 0.17),
                (0.12, 0.27),
                (0.14, 0.38),
                (0.07, 0.46),
                (-0.07, 0.46),
                (-0.14, 0.38),
                (-0.12, 0.27),
                (-0.185, 0.17),
                (-0.17, 0.06),
            ]
        ),
        6,
        closed=True,
    )
    lean = math.pi / 2 - 0.2
    maker.board(outline, 0.09, (0, 0, 0.08), timber(chance), (lean, 0, 0), bevel=0.006)
    top = (0, 0.2, 0.08)
    maker.box((0.045, 0.025, 0.5), (0, 0.08, 0.75), timber(chance), (-0.2, 0, 0))
    maker.box((0.07, 0.02, 0.13), (0, 0.14, 1.03), plain(chance, 0.4), (-0.2, 0, 0))
    for side in (-1, 1):
        maker.rod((side * 0.14, top[1], 0), (side * 0.06, 0.06, 0.3), 0.008, "black steel")
        maker.rod((side * 0.12, -0.12, 0), (side * 0.05, 0.06, 0.2), 0.008, "black steel")


def suitcase(maker: Maker, chance: Random) -> None:
    """A suitcase, standing."""
    skin = plain(chance, 0.4)
    high = chance.uniform(0.5, 0.6)
    maker.cushion((0.4, 0.2, high), (0, 0, 0.04 + high / 2), skin, soft=0.4, crown=0.05, crease=0.0)
    for i in range(5):
        maker.box((0.012, 0.205, high * 0.8), (-0.14 + 0.07 * i, 0, 0.04 + high / 2), skin)
    maker.tube(
        rounded([(-0.08, 0.06, high), (-0.08, 0.06, high + 0.1), (0.08, 0.06, high + 0.1), (0.08, 0.06, high)], 0.02),
        0.009,
        "black steel",
    )


def magazines(maker: Maker, chance: Random) -> None:
    """A rack of magazines."""
    metal = alloy(chance)
    for side in (-1, 1):
        path = rounded(
            [(-0.16, side * 0.1, 0.0), (-0.16, side * 0.12, 0.32), (0.16, side * 0.12, 0.32), (0.16, side * 0.1, 0.0)],
            0.03,
        )
        maker.tube(path, 0.007, metal)
    maker.box((0.32, 0.2, 0.012), (0, 0, 0.06), metal)
    for i in range(chance.randint(3, 6)):
        maker.box(
            (0.22, 0.012, 0.29),
            (chance.uniform(-0.03, 0.03), -0.06 + 0.025 * i, 0.21),
            plain(chance, 0.4),
            (chance.uniform(-0.12, 0.12), 0, 0),
        )


def pet_bed(maker: Maker, chance: Random) -> None:
    """A dog's bed."""
    skin = cloth(chance)
    ring = [(0.23 * math.cos(a), 0.18 * math.sin(a), 0.085) for a in np.linspace(0, math.tau, 36, endpoint=False)]
    maker.tube(ring, 0.075, skin, closed=True, around=12)
    maker.cushion((0.42, 0.32, 0.09), (0, 0, 0.06), cloth(chance), soft=1.0, crown=0.4, crease=0.01)


def carton(maker: Maker, chance: Random) -> None:
    """A parcel or two."""
    z = 0.0
    for _ in range(chance.randint(1, 2)):
        size = (chance.uniform(0.26, 0.4), chance.uniform(0.2, 0.3), chance.uniform(0.12, 0.17))
        skin = plain(chance, 0.9, colour=tone(chance, ("#b48a5c", "#c49a6c", "#a87c50")))
        maker.box(size, (0, 0, z + size[2] / 2), skin, (0, 0, chance.uniform(-0.2, 0.2)))
        maker.box(
            (0.05, size[1] + 0.003, size[2] + 0.003), (0, 0, z + size[2] / 2), plain(chance, 0.4, colour="#cfae7c")
        )
        z += size[2]
