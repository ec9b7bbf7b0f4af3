"""Cushions and throws that people leave on seats and beds."""

import math
from random import Random

import numpy as np

from demo_shop_renderer.build import soft
from demo_shop_renderer.build.maker import Maker
from demo_shop_renderer.build.mesh import Points, sheet
from demo_shop_renderer.props.colours import cloth


def cushion(maker: Maker, chance: Random) -> None:
    """A cushion leaning back, its lower edge in the origin."""
    wide = chance.uniform(0.36, 0.5)
    high = wide * chance.choice((1.0, 1.0, 0.7))
    lean = chance.uniform(0.3, 0.55)
    maker.pillow(
        wide,
        high,
        chance.uniform(0.12, 0.17),
        (0, 0.1, high * 0.45),
        cloth(chance),
        (math.pi / 2 - lean, 0, chance.uniform(-0.2, 0.2)),
    )


def throw(maker: Maker, chance: Random) -> None:
    """A blanket, folded or dropped in a heap."""
    if chance.random() < 0.5:
        maker.cushion(
            (chance.uniform(0.35, 0.5), 0.32, 0.06),
            (0, 0, 0.03),
            cloth(chance),
            (0, 0, chance.uniform(-0.3, 0.3)),
            soft=0.8,
            crown=0.3,
            crease=0.012,
        )
        return
    seed = chance.randrange(1000)

    def form(u: Points, v: Points) -> tuple[Points, Points, Points]:
        place = np.stack([u, v], axis=-1)
        x, y = (u - 0.5) * 0.55, (v - 0.5) * 0.45
        return (
            x + 0.05 * soft.ripple(place, 6, seed),
            y + 0.05 * soft.ripple(place, 6, seed + 1),
            0.035 + 0.03 * soft.ripple(place, 9, seed + 2),
        )

    maker.put(sheet(form, 26, 22), cloth(chance), thick=0.012)


COVERS = {"cushion": cushion, "throw": throw}
