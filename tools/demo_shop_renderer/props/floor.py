"""Things that stand or lie on the floor."""

import math
from random import Random

import numpy as np

from demo_shop_renderer.build.maker import Maker
from demo_shop_renderer.build.mesh import lathe
from demo_shop_renderer.build.nodes import Graph, grey
from demo_shop_renderer.props import belongings
from demo_shop_renderer.props.colours import alloy, cloth, plain, timber, tone


def basket(maker: Maker, chance: Random) -> None:
    """A woven basket, with a blanket in it at times."""
    radius, high = chance.uniform(0.15, 0.2), chance.uniform(0.22, 0.36)
    skin = plain(chance, 0.9, colour=tone(chance, ("#b98f5e", "#8a6a45", "#d3bf9d", "#5a4a3a", "#c9b79a")))
    rows = 9
    for i in range(rows):
        r = radius * (0.85 + 0.15 * math.sin(math.pi * (i + 1) / rows))
        ring = [
            (r * math.cos(a), r * math.sin(a), high * (i + 0.5) / rows)
            for a in np.linspace(0, math.tau, 28, endpoint=False)
        ]
        maker.tube(ring, high / rows * 0.55, skin, closed=True, around=6)
    if chance.random() < 0.6:
        maker.cushion(
            (radius * 1.5, radius * 1.5, 0.14), (0, 0, high - 0.02), cloth(chance), soft=1.0, crown=0.4, crease=0.03
        )


def pouf(maker: Maker, chance: Random) -> None:
    """A round or square pouf."""
    if chance.random() < 0.5:
        r, h = chance.uniform(0.2, 0.25), chance.uniform(0.26, 0.36)
        form = lathe(
            [(0.001, 0), (r * 0.8, 0.01), (r, h * 0.4), (r * 0.96, h * 0.75), (r * 0.6, h * 0.97), (0.001, h)], 36
        )
        maker.put(form, cloth(chance))
    else:
        side = chance.uniform(0.38, 0.5)
        maker.cushion((side, side, 0.34), (0, 0, 0.17), cloth(chance), soft=0.5, crown=0.2, crease=0.012)


def cushions(maker: Maker, chance: Random) -> None:
    """Floor cushions, one on another."""
    z = 0.0
    for _ in range(chance.randint(1, 2)):
        high = chance.uniform(0.12, 0.17)
        maker.cushion(
            (0.5, 0.5, high),
            (0, 0, z + high / 2),
            cloth(chance),
            (0, 0, chance.uniform(-0.3, 0.3)),
            soft=0.9,
            crown=0.3,
            crease=0.01,
        )
        z += high * 0.95


def coat_stand(maker: Maker, chance: Random) -> None:
    """A coat stand with a coat or a hat."""
    skin = timber(chance) if chance.random() < 0.6 else alloy(chance)
    maker.rod((0, 0, 0.02), (0, 0, 1.7), (0.018, 0.013), skin)
    for i in range(4):
        a = math.tau * i / 4 + 0.4
        maker.rod((0.2 * math.cos(a), 0.2 * math.sin(a), 0), (0, 0, 0.2), 0.011, skin)
        maker.rod((0, 0, 1.5), (0.12 * math.cos(a), 0.12 * math.sin(a), 1.62), 0.009, skin)
    if chance.random() < 0.8:
        maker.cushion(
            (0.34, 0.12, 0.8),
            (0.08, -0.06, 1.14),
            cloth(chance),
            (0, 0.04, chance.uniform(0, 3)),
            soft=0.9,
            crown=0.2,
            crease=0.025,
        )


def bin_(maker: Maker, chance: Random) -> None:
    """A waste-paper bin."""
    skin = plain(chance, 0.5) if chance.random() < 0.6 else alloy(chance)
    maker.lathe([(0.001, 0), (0.1, 0), (0.13, 0.32), (0.124, 0.32), (0.095, 0.01)], skin, smooth=False, around=30)


def book_pile(maker: Maker, chance: Random) -> None:
    """Books piled on the floor."""
    z = 0.0
    for _ in range(chance.randint(5, 11)):
        high = chance.uniform(0.018, 0.04)
        maker.box(
            (chance.uniform(0.2, 0.27), chance.uniform(0.14, 0.2), high),
            (0, 0, z + high / 2),
            plain(chance, 0.5),
            (0, 0, chance.uniform(-0.4, 0.4)),
            bevel=0.002,
        )
        z += high


def fan(maker: Maker, chance: Random) -> None:
    """A fan on a stand."""
    skin = plain(chance, 0.4)
    maker.lathe([(0.001, 0), (0.15, 0), (0.14, 0.02), (0.02, 0.05), (0.014, 0.7)], skin, smooth=False, around=30)
    for r in (0.05, 0.1, 0.15, 0.18):
        ring = [(r * math.cos(a), -0.05, 0.72 + r * math.sin(a)) for a in np.linspace(0, math.tau, 32, endpoint=False)]
        maker.tube(ring, 0.004, skin, closed=True, around=5)
    for i in range(12):
        a = math.tau * i / 12
        maker.rod((0, -0.06, 0.72), (0.18 * math.cos(a), -0.05, 0.72 + 0.18 * math.sin(a)), 0.003, skin, around=5)
    maker.rod((0, 0.08, 0.72), (0, -0.06, 0.72), 0.05, skin)


def floor_mirror(maker: Maker, chance: Random) -> None:
    """A tall mirror, leaning."""
    frame = timber(chance) if chance.random() < 0.5 else alloy(chance)
    high, wide, lean = 1.5, chance.uniform(0.42, 0.52), (-0.13, 0, 0)
    maker.box((wide, 0.025, high), (0, 0.02, high / 2), frame, lean, bevel=0.005)
    silver = Graph("mirror").set(Base_Color=grey(0.85), Metallic=1.0, Roughness=0.03)
    maker.box((wide - 0.06, 0.004, high - 0.06), (0, 0.005, high / 2 - 0.001), silver, lean)


def trolley(maker: Maker, chance: Random) -> None:
    """A serving trolley with bottles."""
    metal, shelf = alloy(chance), timber(chance)
    for sx in (-1, 1):
        for sy in (-1, 1):
            maker.rod((sx * 0.19, sy * 0.14, 0.0), (sx * 0.19, sy * 0.14, 0.74), 0.009, metal)
    for z in (0.14, 0.42, 0.7):
        maker.box((0.4, 0.3, 0.015), (0, 0, z), shelf)
    for i in range(chance.randint(2, 5)):
        x = -0.13 + 0.065 * i
        skin = chance.choice(("glass:green", "glass:amber", "glass:clear"))
        maker.lathe(
            [(0.001, 0), (0.034, 0), (0.034, 0.15), (0.012, 0.2), (0.012, 0.26)],
            skin,
            (x, chance.uniform(-0.06, 0.06), chance.choice((0.15, 0.43))),
            smooth=False,
            around=18,
        )


def yoga_mat(maker: Maker, chance: Random) -> None:
    """A rolled mat, lying."""
    maker.rod((-0.3, 0, 0.06), (0.3, 0, 0.06), 0.06, plain(chance, 0.8), around=24)


FLOOR = {
    "basket": basket,
    "pouf": pouf,
    "cushions": cushions,
    "umbrellas": belongings.umbrellas,
    "shoes": belongings.shoes,
    "blocks": belongings.blocks,
    "ball": belongings.ball,
    "guitar": belongings.guitar,
    "suitcase": belongings.suitcase,
    "magazines": belongings.magazines,
    "pet_bed": belongings.pet_bed,
    "carton": belongings.carton,
    "coat_stand": coat_stand,
    "bin": bin_,
    "book_pile": book_pile,
    "fan": fan,
    "floor_mirror": floor_mirror,
    "trolley": trolley,
    "yoga_mat": yoga_mat,
}
