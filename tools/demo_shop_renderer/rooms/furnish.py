"""A planned room, built: walls, furniture, pictures, and the small things that lie about."""

import math
from random import Random

from demo_shop_renderer import props
from demo_shop_renderer.build.furniture import build
from demo_shop_renderer.build.maker import Maker, Rest, Scene
from demo_shop_renderer.catalogue import Product
from demo_shop_renderer.props import small, walls
from demo_shop_renderer.props.tables import counter
from demo_shop_renderer.rooms import rugs, shell, windows
from demo_shop_renderer.shapes import Bed, Case, Sofa
from demo_shop_renderer.staging.floor import Item
from demo_shop_renderer.staging.room import Room

Things = list[tuple[int, Maker]]


def furnish(room: Room, catalogue: dict[str, Product], chance: Random) -> tuple[Things, list[Maker]]:
    """Build the room in a new scene; return all that is in it with the numbers of its products, and its lamps."""
    scene = Scene()
    lit = room.light in ("evening", "mixed")
    things: Things = []
    lamps: list[Maker] = []
    sides = shell.raise_walls(scene, room, chance)
    for window in room.windows:
        things.append((-1, windows.fit(scene, sides[window.wall], room, window, chance)))
    _hang(scene, room, sides, chance, things)
    if room.rug is not None:
        maker = Maker(scene, "rug")
        rugs.lay(maker, room.rug, chance)
    for number, item in enumerate(room.items):
        if item.product:
            product = catalogue[item.what]
            maker = build(scene, product, lit and chance.random() < 0.85)
            if maker.bulbs and lit:
                lamps.append(maker)
            _covers(scene, product, maker, chance, things)
        else:
            maker = Maker(scene, item.what, item.seed)
            if item.what == "counter":
                counter(maker, Random(item.seed), *item.size)
            else:
                props.FLOOR[item.what](maker, Random(item.seed))
        maker.stand(item.at, math.radians(item.turn))
        things.append((number if item.product else -1, maker))
        _clutter(scene, room, item, maker, catalogue, chance, things)
    _pendants(scene, room, chance, things)
    return things, lamps


def _hang(scene: Scene, room: Room, sides: dict[str, Maker], chance: Random, things: Things) -> None:
    for hung in room.hung:
        maker = Maker(scene, hung.what)
        props.WALL[hung.what](maker, Random(hung.seed), hung.size)
        maker.root.parent = sides[hung.wall].root
        depth = -0.03 if room.accent in ("battens", "wainscot", "slats") else -0.002
        maker.root.location = (shell.along(hung.wall, hung.middle), depth, hung.level)
        things.append((-1, maker))
    for side in sides.values():
        things.append((-1, side))


def _covers(scene: Scene, product: Product, maker: Maker, chance: Random, things: Things) -> None:
    """Leave a cushion or a throw on a seat or a bed."""
    shape = product.shape
    if isinstance(shape, Sofa) and shape.build not in ("papasan", "egg", "sling"):
        count = chance.choice((0, 0, 1, 2, 3)) if shape.width > 1.3 else chance.choice((0, 0, 0, 1))
        inner = shape.width - 2 * shape.arm_width - 0.5
        rear = shape.depth / 2 - 0.32
        for i in range(count):
            x = chance.uniform(-inner / 2, inner / 2) if inner > 0 else 0.0
            _leave(scene, maker, "cushion", (x, rear - 0.05 * i, shape.seat_height + 0.01), chance, things)
        if chance.random() < 0.2 and inner > 0:
            _leave(
                scene,
                maker,
                "throw",
                (chance.uniform(-inner / 2, inner / 2), -0.1, shape.seat_height + 0.02),
                chance,
                things,
            )
    elif isinstance(shape, Bed) and chance.random() < 0.35:
        spot = (chance.uniform(-0.25, 0.25) * shape.width, chance.uniform(-0.4, 0.2), shape.rail + 0.27)
        _leave(scene, maker, "throw", spot, chance, things)


def _leave(
    scene: Scene, maker: Maker, what: str, at: tuple[float, float, float], chance: Random, things: Things
) -> None:
    thing = Maker(scene, what, chance.randrange(1000))
    props.COVERS[what](thing, chance)
    _onto(thing, maker, at, 0.0, things)


def _onto(thing: Maker, below: Maker, at: tuple[float, float, float], turn: float, things: Things) -> None:
    thing.root.parent = below.root
    thing.root.location, thing.root.rotation_euler = at, (0, 0, turn)
    things.append((-1, thing))


def _clutter(
    scene: Scene, room: Room, item: Item, maker: Maker, catalogue: dict[str, Product], chance: Random, things: Things
) -> None:
    """Put small things where the furniture has room for them."""
    shelf = item.product and isinstance(catalogue[item.what].shape, Case)
    tidy = chance.choice((0.15, 0.5, 0.85))
    rests = list(maker.rests)
    if shelf and item.size[2] < 1.25:
        rests.append((0.0, 0.0, item.size[2], item.size[0] * 0.86, item.size[1] * 0.7, 0.6))
    taken = [one for one in room.items if one is not item and one.at[2] > 0.05]
    for rest in rests:
        if rest[3] < 0.1 or chance.random() > tidy + 0.25:
            continue
        if rest[5] < 0.45 and rest[4] < 0.5:
            _row(scene, maker, rest, chance, things)
        else:
            _table(scene, item, maker, rest, taken, chance, things)


def _row(scene: Scene, maker: Maker, rest: Rest, chance: Random, things: Things) -> None:
    """Fill a shelf: books, and things between them."""
    x, y, z, wide, deep, high = rest
    left = -wide / 2
    while left < wide / 2 - 0.1:
        space = wide / 2 - left
        if chance.random() < 0.5 and high > 0.17:
            length = min(space, chance.uniform(0.12, 0.45))
            thing = Maker(scene, "books")
            small.books(thing, chance, length, min(0.28, high * 0.92), min(0.19, deep * 0.8))
        else:
            length = min(space, 0.26)
            names = (
                "stack",
                "boxes",
                "bowl",
                "candle",
                "frame",
                "vase",
                "succulent",
                "sculpture",
                "globe",
                "speaker",
                "teapot",
                "toy",
                "plates",
                "herb",
                "table_clock",
            )
            flat = ("stack", "cup", "plates", "boxes")
            thing = Maker(scene, "thing")
            name = chance.choice(names if high > 0.27 else flat)
            props.SMALL[name](thing, chance)
            shrink = min(1.0, high / 0.33, deep / 0.22) if high > 0.2 else 0.55
            thing.root.scale = (shrink, shrink, shrink)
        _onto(thing, maker, (x + left + length / 2, y, z), 0.0, things)
        left += length + chance.choice((0.005, 0.03, 0.12, 0.3))


def _table(
    scene: Scene, item: Item, maker: Maker, rest: Rest, taken: list[Item], chance: Random, things: Things
) -> None:
    """Scatter things over a top, clear of lamps that stand on it."""
    x, y, z, wide, deep, _ = rest
    spots: list[tuple[float, float]] = []
    for _ in range(chance.choice((0, 1, 2, 3, 4, 5)) if wide > 0.5 else chance.choice((0, 1, 1, 2))):
        name = chance.choice(tuple(props.SMALL))
        if name == "monitor" and (deep < 0.42 or wide < 0.9):
            continue
        spot = (
            x + chance.uniform(-0.5, 0.5) * max(0.0, wide - 0.16),
            y + chance.uniform(-0.5, 0.5) * max(0.0, deep - 0.14),
        )
        world = item.point(*spot)
        if any(math.dist(spot, other) < 0.27 for other in spots):
            continue
        if any(math.dist(world, one.at[:2]) < 0.16 + max(one.size[0], one.size[1]) / 2 for one in taken):
            continue
        spots.append(spot)
        thing = Maker(scene, name)
        props.SMALL[name](thing, chance)
        _onto(thing, maker, (*spot, z), chance.uniform(-0.6, 0.6), things)


def _pendants(scene: Scene, room: Room, chance: Random, things: Things) -> None:
    """Hang lamps over tables and counters."""
    for item in room.items:
        over = item.what == "counter" or (
            item.product and room.scene == "dining" and item.size[0] > 0.95 and item.size[2] < 0.8
        )
        if not over or chance.random() < 0.3:
            continue
        count = chance.choice((1, 2, 3)) if item.size[0] > 1.3 else 1
        seed, drop = chance.randrange(10**6), room.size[2] - max(1.45, item.top + chance.uniform(0.55, 0.85))
        for i in range(count):
            maker = Maker(scene, "pendant")
            walls.pendant(maker, Random(seed), drop)
            spot = item.point(((i + 0.5) / count - 0.5) * item.size[0] * 0.8, 0.0)
            maker.root.location = (*spot, room.size[2])
            things.append((-1, maker))
