"""Plants, in pots and vases."""

import math
from random import Random
from typing import Any

import numpy as np

from demo_shop_renderer.build.maker import Maker
from demo_shop_renderer.build.mesh import Points, curve, fluted, sheet
from demo_shop_renderer.build.nodes import Graph, linear
from demo_shop_renderer.props.colours import plain, tone

_GREENS = ("#1f4a1f", "#2f6b33", "#4f7d3a", "#5b8a57", "#37593f", "#6f8f4a", "#24412f")


def leaf_skin(chance: Random) -> Any:
    """Return the surface of some kind of leaf."""
    graph = Graph("leaf")
    dark, light = linear(tone(chance, _GREENS)), linear(tone(chance, _GREENS))
    mottle = graph.noise(graph.place((3, 3, 3)), 3, 2)
    return graph.set(Base_Color=graph.ramp(mottle, (0.3, dark), (0.7, light)), Roughness=0.45)


def pot(maker: Maker, chance: Random, radius: float, high: float) -> None:
    """Add a pot with earth in it."""
    skin = plain(chance, chance.choice((0.3, 0.7, 0.9)))
    foot = chance.uniform(0.6, 0.95)
    belly = chance.choice((1.0, 1.0, 1.12))
    profile = [
        (0.001, 0),
        (radius * foot, 0),
        (radius * (foot + belly) / 2, high * 0.4),
        (radius, high),
        (radius * 0.9, high),
        (radius * 0.86, high * 0.8),
        (0.001, high * 0.8),
    ]
    maker.lathe(profile, skin, smooth=chance.random() < 0.5, around=28)
    maker.lathe(
        [(0.001, 0), (radius * 0.88, 0.004), (0.001, 0.012)],
        plain(chance, 1.0, colour="#2f241b"),
        (0, 0, high * 0.82),
        around=20,
    )


def leaf(
    maker: Maker,
    skin: Any,
    start: tuple[float, float, float],
    heading: float,
    tilt: float,
    long: float,
    wide: float,
    droop: float,
) -> None:
    """Add one leaf that rises at a tilt and droops towards its tip."""

    def form(u: Points, v: Points) -> tuple[Points, Points, Points]:
        angle = tilt - droop * v * v
        across = wide * np.sin(math.pi * np.clip(v, 0.02, 1) ** 0.75) * (2 * u - 1)
        return long * v * np.cos(angle), across, long * v * np.sin(angle) - 0.25 * np.abs(across)

    maker.put(sheet(form, 4, 9), skin, start, (0, 0, heading), axis="z")


def fig(maker: Maker, chance: Random) -> None:
    """A small tree with broad leaves."""
    radius, high = chance.uniform(0.13, 0.18), chance.uniform(0.24, 0.34)
    pot(maker, chance, radius, high)
    skin, tall = leaf_skin(chance), chance.uniform(0.8, 1.1)
    stem = curve(np.array([(0, 0, high * 0.8), (0.02, 0.01, high + tall * 0.4), (-0.01, 0.02, high + tall * 0.85)]), 6)
    maker.tube(stem, 0.011, plain(chance, 0.9, colour="#5b4632"))
    for i in range(chance.randint(14, 24)):
        share = chance.uniform(0.3, 1.0)
        leaf(
            maker,
            skin,
            (0, 0, high + tall * 0.85 * share),
            i * 2.4,
            chance.uniform(0.1, 1.0),
            chance.uniform(0.16, 0.27),
            chance.uniform(0.05, 0.08),
            0.9,
        )


def palm(maker: Maker, chance: Random) -> None:
    """A plant of long arching leaves."""
    radius, high = chance.uniform(0.14, 0.2), chance.uniform(0.22, 0.36)
    pot(maker, chance, radius, high)
    skin = leaf_skin(chance)
    wide = chance.choice((0.02, 0.035, 0.07))
    for i in range(chance.randint(14, 26)):
        leaf(
            maker,
            skin,
            (0, 0, high * 0.82),
            i * 2.4 + chance.uniform(-0.3, 0.3),
            chance.uniform(0.7, 1.45),
            chance.uniform(0.5, 1.05),
            wide * chance.uniform(0.7, 1.2),
            chance.uniform(0.8, 1.5),
        )


def snake_plant(maker: Maker, chance: Random) -> None:
    """Stiff upright blades."""
    radius, high = chance.uniform(0.1, 0.15), chance.uniform(0.18, 0.26)
    pot(maker, chance, radius, high)
    skin = leaf_skin(chance)
    for i in range(chance.randint(8, 14)):
        spot = (chance.uniform(-0.5, 0.5) * radius, chance.uniform(-0.5, 0.5) * radius, high * 0.8)
        leaf(
            maker,
            skin,
            spot,
            i * 2.4,
            chance.uniform(1.3, 1.55),
            chance.uniform(0.35, 0.65),
            chance.uniform(0.022, 0.035),
            0.15,
        )


def cactus(maker: Maker, chance: Random) -> None:
    """A ribbed column or two."""
    radius, high = chance.uniform(0.1, 0.14), chance.uniform(0.14, 0.2)
    pot(maker, chance, radius, high)
    skin = leaf_skin(chance)
    for _ in range(chance.randint(1, 3)):
        tall = chance.uniform(0.2, 0.55)
        spot = (chance.uniform(-0.04, 0.04), chance.uniform(-0.04, 0.04), high * 0.75)
        maker.put(fluted(chance.uniform(0.035, 0.055), tall, 9, 0.012), skin, spot, axis="z")
        maker.lathe(
            [(0.042, -0.01), (0.03, 0.012), (0.001, 0.018)], skin, (spot[0], spot[1], spot[2] + tall), around=16
        )


def branches(maker: Maker, chance: Random) -> None:
    """A floor vase with bare or flowering twigs."""
    high, radius = chance.uniform(0.32, 0.48), chance.uniform(0.08, 0.13)
    vase(maker, chance, radius, high)
    twig, bloom = plain(chance, 0.9, colour="#6b5540"), plain(chance, 0.9)
    for i in range(chance.randint(5, 9)):
        a, lean, long = i * 2.4, chance.uniform(0.08, 0.22), chance.uniform(0.4, 0.65)
        line = curve(
            np.array(
                [
                    (0, 0, high * 0.7),
                    (lean * 0.4 * math.cos(a), lean * 0.4 * math.sin(a), high + long * 0.5),
                    (lean * math.cos(a + 0.4), lean * math.sin(a + 0.4), high + long),
                ]
            ),
            5,
        )
        maker.tube(line, 0.004, twig, around=5)
        for _ in range(chance.choice((0, 3, 5))):
            spot = line[chance.randrange(len(line) // 2, len(line))]
            maker.lathe([(0.001, -0.012), (0.014, 0), (0.001, 0.012)], bloom, tuple(spot), around=8)


def vase(maker: Maker, chance: Random, radius: float, high: float) -> None:
    """Add a vase of some outline."""
    outline = chance.choice(
        (
            [(0.7, 0), (1.0, 0.3), (0.9, 0.55), (0.45, 0.82), (0.5, 1.0)],
            [(0.5, 0), (0.95, 0.5), (1.0, 0.7), (0.6, 0.95), (0.55, 1.0)],
            [(0.8, 0), (0.85, 0.5), (0.9, 1.0)],
            [(0.95, 0), (1.0, 0.25), (0.6, 0.45), (0.35, 0.6), (0.32, 0.9), (0.45, 1.0)],
            [(0.5, 0), (0.6, 0.15), (0.4, 0.3), (0.8, 0.6), (1.0, 1.0)],
        )
    )
    profile = [
        (0.001, 0.0),
        *((r * radius, z * high) for r, z in outline),
        (outline[-1][0] * radius * 0.86, high),
        (outline[-2][0] * radius * 0.5, high * 0.6),
    ]
    skin: Any = (
        chance.choice(("glass:clear", "glass:green", "glass:amber"))
        if chance.random() < 0.2
        else plain(chance, chance.choice((0.15, 0.3, 0.8)))
    )
    maker.lathe(profile, skin, around=28)


def vase_alone(maker: Maker, chance: Random) -> None:
    """A vase without flowers."""
    vase(maker, chance, chance.uniform(0.045, 0.09), chance.uniform(0.14, 0.3))


def flowers(maker: Maker, chance: Random) -> None:
    """A bunch of flowers in a vase."""
    high = chance.uniform(0.14, 0.22)
    vase(maker, chance, chance.uniform(0.04, 0.06), high)
    stalk, petals = leaf_skin(chance), plain(chance, 0.8)
    for i in range(chance.randint(5, 11)):
        a, lean = i * 2.4, chance.uniform(0.02, 0.1)
        head = (lean * math.cos(a), lean * math.sin(a), high + chance.uniform(0.06, 0.2))
        maker.rod((0, 0, high * 0.6), head, 0.002, stalk, around=5)
        size = chance.uniform(0.014, 0.03)
        maker.lathe(
            [(0.001, -0.6 * size), (size, 0), (size * 0.8, size * 0.5), (0.001, size * 0.4)], petals, head, around=10
        )


def succulent(maker: Maker, chance: Random) -> None:
    """A rosette in a small pot."""
    radius, high = chance.uniform(0.04, 0.065), chance.uniform(0.05, 0.09)
    pot(maker, chance, radius, high)
    skin = leaf_skin(chance)
    for i in range(16):
        leaf(maker, skin, (0, 0, high * 0.85), i * 2.4, 0.3 + 0.07 * i, 0.075 - 0.002 * i, 0.016, 0.1)


def herb(maker: Maker, chance: Random) -> None:
    """A bushy little pot plant."""
    radius, high = chance.uniform(0.045, 0.07), chance.uniform(0.07, 0.11)
    pot(maker, chance, radius, high)
    skin = leaf_skin(chance)
    for i in range(22):
        spot = (chance.uniform(-0.03, 0.03), chance.uniform(-0.03, 0.03), high + chance.uniform(-0.01, 0.08))
        leaf(
            maker,
            skin,
            spot,
            i * 2.4,
            chance.uniform(-0.2, 1.2),
            chance.uniform(0.05, 0.1),
            chance.uniform(0.012, 0.022),
            0.8,
        )


FLOOR = {"fig": fig, "palm": palm, "snake_plant": snake_plant, "cactus": cactus, "branches": branches}
SMALL = {"vase": vase_alone, "flowers": flowers, "succulent": succulent, "herb": herb}
