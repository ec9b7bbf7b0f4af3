"""Things that stand on tables and shelves, each within about 30 cm."""

import math
from random import Random

import numpy as np

from demo_shop_renderer.build.maker import Maker
from demo_shop_renderer.build.mesh import lathe, rounded
from demo_shop_renderer.props import desk
from demo_shop_renderer.props.colours import alloy, plain, timber, tone


def books(maker: Maker, chance: Random, wide: float = 0.0, tallest: float = 0.28, deep: float = 0.18) -> None:
    """A row of upright books, the last one leaning at times."""
    wide = wide or chance.uniform(0.12, 0.34)
    x, rough = -wide / 2, chance.uniform(0.35, 0.7)
    series = plain(chance, rough) if chance.random() < 0.2 else None
    while x < wide / 2 - 0.02:
        thick, high = chance.uniform(0.012, 0.045), chance.uniform(0.62, 0.97) * tallest
        lean = 0.22 if x + thick > wide / 2 - 0.06 and chance.random() < 0.5 else 0.0
        at = (x + thick / 2 + lean * high * 0.25, chance.uniform(-0.01, 0.01), high / 2)
        maker.box(
            (thick, deep * chance.uniform(0.75, 1), high),
            at,
            series or plain(chance, rough),
            (0, lean, 0),
            bevel=0.0015,
        )
        x += thick + 0.001


def stack(maker: Maker, chance: Random) -> None:
    """Books lying on one another."""
    z = 0.0
    for _ in range(chance.randint(2, 5)):
        high = chance.uniform(0.014, 0.036)
        maker.box(
            (chance.uniform(0.19, 0.27), chance.uniform(0.13, 0.19), high),
            (0, 0, z + high / 2),
            plain(chance, 0.5),
            (0, 0, chance.uniform(-0.3, 0.3)),
            bevel=0.0015,
        )
        z += high


def bowl(maker: Maker, chance: Random) -> None:
    """A bowl, with fruit at times."""
    r, h = chance.uniform(0.08, 0.15), chance.uniform(0.05, 0.09)
    skin = plain(chance, 0.3) if chance.random() < 0.6 else timber(chance)
    maker.lathe(
        [(0.001, 0), (r * 0.4, 0), (r * 0.8, h * 0.5), (r, h), (r * 0.94, h), (r * 0.7, h * 0.5), (0.001, h * 0.2)],
        skin,
        around=32,
    )
    if chance.random() < 0.6:
        fruit = plain(chance, 0.4, colour=tone(chance, ("#c9372c", "#e0a030", "#d8c23a", "#7fa03a", "#e07a2c")))
        for i in range(chance.randint(3, 6)):
            a, s = i * 2.4, chance.uniform(0.028, 0.038)
            maker.put(
                lathe([(0.001, -s), (s * 0.75, -s * 0.65), (s, 0), (s * 0.75, s * 0.65), (0.001, s * 0.9)], 16),
                fruit,
                (r * 0.42 * math.cos(a), r * 0.42 * math.sin(a), h * 0.8),
            )


def cup(maker: Maker, chance: Random) -> None:
    """A cup, on a saucer at times."""
    skin = plain(chance, 0.25)
    r, h = chance.uniform(0.035, 0.045), chance.uniform(0.06, 0.1)
    z = 0.0
    if chance.random() < 0.4:
        maker.lathe([(0.001, 0), (0.05, 0), (0.075, 0.012), (0.05, 0.006), (0.001, 0.005)], skin, around=28)
        z = 0.006
    maker.lathe(
        [(0.001, 0), (r * 0.8, 0), (r, h * 0.3), (r, h), (r * 0.9, h), (r * 0.85, h * 0.2), (0.001, h * 0.15)],
        skin,
        (0, 0, z),
        around=26,
    )
    ring = [(r + 0.018 * math.sin(a), 0, z + h * 0.5 + 0.022 * math.cos(a)) for a in np.linspace(0, math.pi, 10)]
    maker.tube(ring, 0.005, skin, around=6)


def candle(maker: Maker, chance: Random) -> None:
    """Candles on sticks, or a thick one."""
    wax, metal = (
        plain(chance, 0.6, colour=tone(chance, ("#f1ebdd", "#e8dcc4", "#8a9a80", "#b8654a", "#2a3d66"))),
        alloy(chance),
    )
    for i in range(chance.randint(1, 3)):
        x, high = (i - 1) * 0.075, chance.uniform(0.04, 0.2)
        maker.lathe(
            [
                (0.001, 0),
                (0.034, 0),
                (0.03, 0.006),
                (0.008, 0.015),
                (0.008, high),
                (0.016, high + 0.01),
                (0.001, high + 0.012),
            ],
            metal,
            (x, chance.uniform(-0.02, 0.02), 0),
            smooth=False,
            around=18,
        )
        maker.rod((x, 0, high + 0.01), (x, 0, high + chance.uniform(0.1, 0.2)), 0.01, wax)


def teapot(maker: Maker, chance: Random) -> None:
    """A teapot or a jug."""
    skin, r = plain(chance, 0.3), chance.uniform(0.055, 0.075)
    maker.lathe(
        [
            (0.001, 0),
            (r * 0.6, 0),
            (r, r * 0.8),
            (r * 0.8, r * 1.5),
            (r * 0.4, r * 1.8),
            (r * 0.15, r * 1.85),
            (r * 0.15, r * 2.05),
            (0.001, r * 2.1),
        ],
        skin,
        around=28,
    )
    maker.rod((r * 0.8, 0, r * 0.7), (r * 1.7, 0, r * 1.6), (0.016, 0.009), skin)
    loop = [(-r * 0.85 - 0.04 * math.sin(a), 0, r + 0.05 * math.cos(a)) for a in np.linspace(0, math.pi, 12)]
    maker.tube(loop, 0.006, skin, around=6)


def tray(maker: Maker, chance: Random) -> None:
    """A tray with glasses or a bottle."""
    maker.box((0.34, 0.22, 0.012), (0, 0, 0.006), timber(chance) if chance.random() < 0.5 else plain(chance, 0.4))
    for i in range(chance.randint(1, 3)):
        maker.lathe(
            [(0.001, 0), (0.03, 0), (0.034, 0.1), (0.031, 0.1), (0.027, 0.01)],
            "glass:clear",
            (-0.1 + 0.08 * i, chance.uniform(-0.05, 0.05), 0.012),
            smooth=False,
            around=18,
        )
    bottle(maker, chance, (0.12, 0.04, 0.012))


def bottle(maker: Maker, chance: Random, at: tuple[float, float, float] = (0, 0, 0)) -> None:
    """A bottle or a carafe."""
    r, h = chance.uniform(0.03, 0.045), chance.uniform(0.18, 0.28)
    skin = chance.choice(("glass:green", "glass:amber", "glass:clear", "ceramic:white", "ceramic:teal"))
    maker.lathe(
        [(0.001, 0), (r, 0), (r, h * 0.55), (r * 0.36, h * 0.75), (r * 0.34, h), (r * 0.25, h)], skin, at, around=22
    )


def sculpture(maker: Maker, chance: Random) -> None:
    """A ring, a knot or a pile of stones."""
    skin = plain(chance, chance.choice((0.25, 0.8)))
    kind = chance.choice(("ring", "stones", "arch"))
    if kind == "ring":
        r = chance.uniform(0.07, 0.11)
        maker.tube(
            [(r * math.cos(a), 0, r + 0.02 + r * math.sin(a)) for a in np.linspace(0, math.tau, 36, endpoint=False)],
            0.022,
            skin,
            closed=True,
        )
    elif kind == "arch":
        path = rounded([(-0.08, 0, 0), (-0.08, 0, 0.2), (0.08, 0, 0.2), (0.08, 0, 0)], 0.09, 10)
        maker.tube(path, 0.024, skin)
    else:
        z = 0.0
        for r in (0.07, 0.055, 0.045, 0.03):
            maker.put(
                lathe([(0.001, 0), (r * 0.8, r * 0.2), (r, r * 0.55), (r * 0.7, r), (0.001, r * 1.1)], 22),
                skin,
                (chance.uniform(-0.01, 0.01), 0, z),
            )
            z += r * 1.05


def plates(maker: Maker, chance: Random) -> None:
    """Plates, piled or laid."""
    skin = plain(chance, 0.25)
    for i in range(chance.randint(1, 5)):
        maker.lathe(
            [(0.001, 0), (0.07, 0), (0.125, 0.018), (0.12, 0.02), (0.07, 0.006), (0.001, 0.005)],
            skin,
            (0, 0, 0.009 * i),
            around=34,
        )


SMALL = {
    "books": books,
    "stack": stack,
    "bowl": bowl,
    "cup": cup,
    "candle": candle,
    "frame": desk.frame,
    "table_clock": desk.clock,
    "laptop": desk.laptop,
    "monitor": desk.monitor,
    "headphones": desk.headphones,
    "globe": desk.globe,
    "boxes": desk.boxes,
    "teapot": teapot,
    "tray": tray,
    "bottle": bottle,
    "sculpture": sculpture,
    "pens": desk.pens,
    "speaker": desk.speaker,
    "plates": plates,
    "toy": desk.toy,
    "hat": desk.hat,
}
