"""Things that hang on walls or from ceilings. On a wall they lie in the plane y = 0, their front towards -y."""

import math
from random import Random
from typing import Any

from demo_shop_renderer.build import outlines
from demo_shop_renderer.build.maker import Maker
from demo_shop_renderer.build.nodes import Graph, grey
from demo_shop_renderer.props import pictures, plants, small
from demo_shop_renderer.props.colours import alloy, cloth, plain, timber, tone
from demo_shop_renderer.props.pictures import Size

UPRIGHT = math.pi / 2


def _silver() -> Any:
    return Graph("mirror").set(Base_Color=grey(0.85), Metallic=1.0, Roughness=0.02)


def mirror_round(maker: Maker, chance: Random, size: Size) -> None:
    """A round mirror."""
    r = size[0] / 2
    outline = outlines.ellipse(2 * r, 2 * r * chance.choice((1.0, 1.0, 1.25)))
    maker.board(
        outline, 0.02, (0, -0.012, 0), alloy(chance) if chance.random() < 0.5 else timber(chance), (UPRIGHT, 0, 0)
    )
    maker.board(outline * 0.94, 0.006, (0, -0.021, 0), _silver(), (UPRIGHT, 0, 0), bevel=0.0)


def mirror(maker: Maker, chance: Random, size: Size) -> None:
    """A framed mirror, arched at times."""
    wide, high = size
    rim = alloy(chance) if chance.random() < 0.5 else timber(chance)
    if chance.random() < 0.5:
        outline = outlines.arch(wide, high, high - wide / 2) - (0, high / 2)
        maker.board(outline, 0.02, (0, -0.012, 0), rim, (UPRIGHT, 0, 0))
        maker.board(outline * 0.94, 0.006, (0, -0.021, 0), _silver(), (UPRIGHT, 0, 0), bevel=0.0)
    else:
        maker.box((wide, 0.022, high), (0, -0.012, 0), rim)
        maker.box((wide - 0.05, 0.004, high - 0.05), (0, -0.023, 0), _silver())


def clock(maker: Maker, chance: Random, size: Size) -> None:
    """A wall clock."""
    r = size[0] / 2
    maker.rod((0, 0, 0), (0, -0.04, 0), r, plain(chance, 0.4), around=40)
    maker.rod(
        (0, -0.04, 0),
        (0, -0.043, 0),
        r * 0.88,
        plain(chance, 0.6, colour=chance.choice(("#f3f0e8", "#22252a", "#e3d9c4"))),
        around=40,
    )
    for long, wide in ((0.5, 0.014), (0.72, 0.009)):
        angle = chance.uniform(0, math.tau)
        end = (long * r * math.sin(angle), -0.046, long * r * math.cos(angle))
        maker.rod((0, -0.046, 0), end, wide * 0.5, "brass" if r < 0.16 else "black steel")
    for i in range(12):
        a = math.tau * i / 12
        maker.box(
            (0.006, 0.003, 0.02), (0.78 * r * math.sin(a), -0.044, 0.78 * r * math.cos(a)), "black steel", (0, a, 0)
        )


def shelf(maker: Maker, chance: Random, size: Size) -> None:
    """A small shelf with things on it."""
    wide = size[0]
    skin = timber(chance) if chance.random() < 0.6 else plain(chance, 0.4)
    maker.box((wide, 0.18, 0.022), (0, -0.09, -size[1] / 2), skin, axis="x")
    x = -wide / 2 + 0.1
    while x < wide / 2 - 0.08:
        name = chance.choice(("vase", "books", "frame", "succulent", "candle", "stack", "sculpture", "boxes"))
        thing = Maker(maker.scene, name)
        {**small.SMALL, **plants.SMALL}[name](thing, chance)
        thing.root.parent = maker.root
        thing.root.location = (x, -0.09, -size[1] / 2 + 0.011)
        thing.root.scale = (0.8, 0.7, 0.8)
        x += chance.uniform(0.16, 0.3)


def hanging(maker: Maker, chance: Random, size: Size) -> None:
    """A woven hanging on a rod."""
    wide, high = size
    maker.rod((-wide / 2, -0.015, high / 2), (wide / 2, -0.015, high / 2), 0.01, timber(chance))
    skin = cloth(chance)
    long = high * 0.6
    maker.box((wide * 0.86, 0.008, long), (0, -0.015, high / 2 - long / 2), skin)
    count = 22
    for i in range(count):
        x = -wide * 0.42 + wide * 0.84 * i / (count - 1)
        drop = high * (0.16 + 0.2 * (1 - abs(2 * i / (count - 1) - 1)))
        maker.rod((x, -0.015, high / 2 - long), (x, -0.015, high / 2 - long - drop), 0.004, skin, around=5)


def plates(maker: Maker, chance: Random, size: Size) -> None:
    """Plates or baskets scattered on the wall."""
    for i in range(chance.randint(3, 6)):
        r = chance.uniform(0.08, 0.16)
        a = i * 2.4
        at = (size[0] * 0.4 * math.cos(a) * math.sqrt(i / 5), 0, size[1] * 0.4 * math.sin(a) * math.sqrt(i / 5))
        maker.lathe(
            [(0.001, 0), (r * 0.6, 0), (r, 0.02), (r * 0.96, 0.024), (r * 0.6, 0.008), (0.001, 0.006)],
            plain(chance, 0.5),
            at,
            turn=(UPRIGHT, 0, 0),
            around=32,
        )


def calendar(maker: Maker, chance: Random, size: Size) -> None:
    """A calendar or a pin board."""
    wide, high = size
    maker.box((wide, 0.006, high), (0, -0.006, 0), plain(chance, 0.8, colour=tone(chance, ("#f2efe6", "#c49a6c"))))
    maker.box((wide * 0.9, 0.002, high * 0.5), (0, -0.01, high * 0.2), pictures.canvas(chance))
    for _ in range(chance.randint(2, 6)):
        maker.box(
            (0.06, 0.002, 0.07),
            (chance.uniform(-0.4, 0.4) * wide, -0.011, chance.uniform(-0.4, -0.1) * high),
            plain(chance, 0.9),
            (0, chance.uniform(-0.2, 0.2), 0),
        )


def hooks(maker: Maker, chance: Random, size: Size) -> None:
    """A rail of hooks with a bag or a coat."""
    wide = size[0]
    maker.box((wide, 0.02, 0.09), (0, -0.01, 0), timber(chance))
    metal, count = alloy(chance), 5
    for i in range(count):
        x = -wide / 2 + wide * (i + 0.5) / count
        maker.rod((x, -0.02, 0), (x, -0.06, 0.02), 0.007, metal)
        if chance.random() < 0.4:
            high = chance.uniform(0.35, 0.85)
            maker.cushion((0.24, 0.09, high), (x, -0.08, -high / 2), cloth(chance), soft=0.9, crown=0.2, crease=0.02)


def pendant(maker: Maker, chance: Random, drop: float) -> float:
    """A lamp hanging so far from the ceiling; return the radius of its shade."""
    kind, r = chance.choice(("dome", "globe", "cone", "drum", "paper", "tube")), chance.uniform(0.16, 0.28)
    skin = plain(chance, 0.5) if chance.random() < 0.6 else alloy(chance)
    outlines_of: dict[str, list[tuple[float, float]]] = {
        "dome": [(1, 0), (0.95, 0.3), (0.6, 0.75), (0.1, 0.85), (0.06, 1)],
        "globe": [(0.001, 0), (0.7, 0.25), (1, 1), (0.7, 1.7), (0.08, 2)],
        "cone": [(1, 0), (0.2, 0.9), (0.06, 1.1)],
        "drum": [(1, 0), (1, 0.7)],
        "paper": [(0.2, 0), (0.75, 0.25), (1, 0.8), (0.75, 1.35), (0.2, 1.6)],
        "tube": [(0.35, 0), (0.35, 1.5), (0.05, 1.6)],
    }
    profile = outlines_of[kind]
    if kind in ("paper", "drum"):
        skin = plain(chance, 0.9, colour="#f2ecdf")
    maker.lathe([(x * r, z * r - drop) for x, z in profile], skin, smooth=kind not in ("drum", "tube"), around=40)
    top = profile[-1][1] * r - drop
    maker.rod((0, 0, top - 0.01), (0, 0, 0), 0.003, "black steel", around=6)
    maker.lathe([(0.001, -0.02), (0.05, -0.02), (0.05, 0)], skin, smooth=False, around=20)
    return r


WALL = {
    "picture": pictures.picture,
    "poster": pictures.poster,
    "pair": pictures.pair,
    "gallery": pictures.gallery,
    "mirror_round": mirror_round,
    "mirror": mirror,
    "clock": clock,
    "shelf": shelf,
    "hanging": hanging,
    "plates": plates,
    "calendar": calendar,
    "hooks": hooks,
}
