"""A whole room, planned: its furniture, walls, floor, windows, pictures, light."""

import random
from dataclasses import replace

from demo_shop_renderer.catalogue import Product, dice
from demo_shop_renderer.staging import decor
from demo_shop_renderer.staging.kinds import scenes_for
from demo_shop_renderer.staging.planner import Planner
from demo_shop_renderer.staging.room import Room
from demo_shop_renderer.staging.scenes import SCENES

WALLS = (
    "paint",
    "paint",
    "paint",
    "paint",
    "two_tone",
    "stripes",
    "motif",
    "leaves",
    "trellis",
    "battens",
    "wainscot",
    "brick",
    "tiles",
    "plaster",
    "slats",
)
FLOORS = (
    "planks",
    "planks",
    "planks",
    "wide_planks",
    "herringbone",
    "tiles",
    "checker",
    "concrete",
    "terrazzo",
    "carpet",
    "hexagons",
)
LIGHTS = ("day", "day", "day", "sun", "overcast", "evening", "evening", "mixed")


def plan(product: Product, pool: tuple[Product, ...], key: str) -> Room:
    """Plan a room about a product; the same key, the same room.

    Around a product that networks learn from stand such products only: they never see the others.

    Raises:
        AssertionError: the product fits into none of forty rooms.
    """
    if product.family.split == "train":
        pool = tuple(one for one in pool if one.family.split == "train")
    for attempt in range(40):
        chance = dice(key, "room", attempt)
        scene = chance.choice(scenes_for(product))
        size = (chance.uniform(3.7, 5.2), chance.uniform(3.9, 5.2), chance.uniform(2.4, 2.95))
        planner = Planner(chance, product, pool, size[:2])
        SCENES[scene](planner)
        if any(item.what == product.sku for item in planner.floor.items):
            return _finished(planner, scene, size, chance)
    raise AssertionError(f"{product.sku} fits into no room")


def _finished(planner: Planner, scene: str, size: tuple[float, float, float], chance: random.Random) -> Room:
    planner.scatter(chance.choice((0, 1, 1, 2, 2, 3)))
    wall = chance.choice(WALLS)
    light = chance.choice(LIGHTS)
    warm = light in ("evening",)
    windows = decor.windows(planner, size, chance)
    room = Room(
        scene=scene,
        size=size,
        items=tuple(planner.floor.items),
        main=planner.main.sku,
        wall=wall
        if wall in ("brick", "tiles") and chance.random() < 0.5
        else ("paint" if chance.random() < 0.5 else wall),
        accent=wall,
        floor=chance.choice(FLOORS),
        rug=decor.rug(planner, chance),
        windows=windows,
        hung=(),
        door=chance.choice(("none", "none", "left", "right")),
        light=light,
        kelvin=chance.uniform(2600, 3300) if warm else chance.uniform(4800, 7400),
        seed=chance.randrange(10**6),
    )
    return replace(room, hung=decor.pictures(planner, room, chance))
