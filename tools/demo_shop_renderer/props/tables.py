"""Side tables and kitchen counters that are no products."""

import math
from random import Random

from demo_shop_renderer.build.maker import Maker
from demo_shop_renderer.props.colours import alloy, plain, timber


def side_table(maker: Maker, chance: Random) -> None:
    """A small round table of some make."""
    skin = timber(chance) if chance.random() < 0.5 else (alloy(chance) if chance.random() < 0.5 else plain(chance, 0.4))
    high, r = 0.5, chance.uniform(0.17, 0.21)
    maker.lathe([(0.001, 0), (r, 0), (r, 0.02), (0.001, 0.02)], skin, (0, 0, high - 0.02), smooth=False, around=40)
    leg = alloy(chance) if chance.random() < 0.5 else skin
    if chance.random() < 0.4:
        maker.lathe(
            [(0.001, 0), (r * 0.75, 0), (r * 0.7, 0.012), (0.014, 0.03), (0.012, high - 0.02)],
            leg,
            smooth=False,
            around=30,
        )
    else:
        for i in range(chance.choice((3, 4))):
            a = math.tau * i / 3 + 0.5
            maker.rod(
                (r * math.cos(a), r * math.sin(a), 0),
                (r * 0.6 * math.cos(a), r * 0.6 * math.sin(a), high - 0.02),
                (0.009, 0.013),
                leg,
            )
    maker.rests.append((0.0, 0.0, high, r * 1.3, r * 1.3, 0.5))


def box_table(maker: Maker, chance: Random) -> None:
    """A small table with a shelf, or a crate."""
    skin = timber(chance) if chance.random() < 0.6 else plain(chance, 0.5)
    wide, deep, high = 0.4, 0.34, 0.5
    maker.box((wide, deep, 0.02), (0, 0, high - 0.01), skin, axis="x")
    maker.box((wide, deep, 0.02), (0, 0, high * chance.uniform(0.3, 0.5)), skin, axis="x")
    if chance.random() < 0.5:
        for side in (-1, 1):
            maker.box((0.02, deep, high - 0.02), (side * (wide / 2 - 0.01), 0, high / 2 - 0.01), skin, axis="z")
    else:
        for sx in (-1, 1):
            for sy in (-1, 1):
                maker.box(
                    (0.025, 0.025, high - 0.02),
                    (sx * (wide / 2 - 0.02), sy * (deep / 2 - 0.02), high / 2 - 0.01),
                    skin,
                    axis="z",
                )
    maker.rests.append((0.0, 0.0, high, wide * 0.8, deep * 0.7, 0.5))


def counter(maker: Maker, chance: Random, wide: float, deep: float, high: float) -> None:
    """A kitchen island, open below on the viewer's side."""
    front = plain(chance, 0.45) if chance.random() < 0.6 else timber(chance)
    top = chance.choice((timber(chance), "marble:white", "concrete:grey", "terrazzo:white", "marble:black"))
    maker.box((wide, deep, 0.04), (0, 0, high - 0.02), top, axis="x", bevel=0.004)
    maker.box((wide - 0.04, deep - 0.24, high - 0.04), (0, 0.1, (high - 0.04) / 2), front, axis="x")
    panels = max(2, round(wide / 0.5))
    for i in range(panels + 1):
        maker.box(
            (0.006, 0.006, high - 0.16),
            (-wide / 2 + 0.03 + (wide - 0.06) * i / panels, 0.1 - (deep - 0.24) / 2, high / 2),
            "plastic:black",
        )
    for side in (-1, 1):
        maker.box((0.03, deep, high - 0.04), (side * (wide / 2 - 0.015), 0, (high - 0.04) / 2), front, axis="z")
    maker.rests.append((0.0, 0.05, high, wide * 0.8, deep * 0.6, 0.5))


FLOOR = {"side_table": side_table, "box_table": box_table}
