"""What hangs on the walls and lies on the floor of a planned room."""

import random

from demo_shop_renderer.staging.floor import Item
from demo_shop_renderer.staging.planner import Planner
from demo_shop_renderer.staging.room import Hung, Room, Rug, Window

RUGS = (
    "plain",
    "border",
    "stripes",
    "check",
    "berber",
    "oriental",
    "arcs",
    "blobs",
    "grid",
    "rings",
    "fringe",
    "zigzag",
)


def windows(planner: Planner, size: tuple[float, float, float], chance: random.Random) -> tuple[Window, ...]:
    """Return windows where no tall furniture stands before them."""
    found = []
    for wall in chance.sample(("back", "left", "right"), chance.choice((1, 1, 2, 2))):
        length = size[0] if wall == "back" else size[1]
        width = min(chance.uniform(0.9, 2.0), length * 0.6)
        tall = chance.random() < 0.3
        sill = 0.05 if tall else chance.uniform(0.75, 0.95)
        head = min(size[2] - 0.15, chance.uniform(2.1, 2.4))
        low, high = (-length / 2, length / 2) if wall == "back" else (-length, 0.0)
        middle = (
            chance.uniform(low + width / 2 + 0.3, high - width / 2 - 0.3)
            if high - low > width + 0.6
            else (low + high) / 2
        )
        hidden = planner.floor.on_wall(wall, sill + 0.15)
        if any(middle - width / 2 < end and start < middle + width / 2 for start, end in hidden):
            continue
        curtain = chance.choice(("none", "panels", "panels", "sheer", "roller", "blinds", "panels"))
        found.append(Window(wall, middle, width, sill, head, curtain))
    return tuple(found)


def rug(planner: Planner, chance: random.Random) -> Rug | None:
    """Return a rug under what the room is about, or none."""
    if chance.random() < 0.32:
        return None
    main = next(item for item in planner.floor.items if item.what == planner.main.sku)
    about = max(planner.floor.items, key=lambda item: item.size[0] * item.size[1]) if chance.random() < 0.6 else main
    design, circle = chance.choice(RUGS), chance.random() < 0.2
    wide = about.size[0] + chance.uniform(0.3, 1.1)
    deep = wide if circle else chance.uniform(1.3, 2.2)
    wide = min(wide, planner.floor.width - 0.3)
    front = about.facing
    reach = about.size[1] * 0.35
    at = (
        about.at[0] + front[0] * reach + chance.uniform(-0.15, 0.15),
        about.at[1] + front[1] * reach - chance.uniform(0.0, 0.4),
    )
    turn = about.turn if about.turn % 90 == 0 else 0.0
    return Rug(design, at, (wide, deep), turn + chance.uniform(-4, 4), circle)


PICTURES = (
    "picture",
    "picture",
    "picture",
    "poster",
    "pair",
    "gallery",
    "mirror_round",
    "mirror",
    "clock",
    "shelf",
    "hanging",
    "plates",
    "calendar",
    "hooks",
)


def pictures(planner: Planner, room: Room, chance: random.Random) -> tuple[Hung, ...]:
    """Hang things where neither furniture nor windows are."""
    found: list[Hung] = []
    for wall in ("back", "back", "left", "right", "back"):
        if chance.random() < 0.25:
            continue
        what = chance.choice(PICTURES)
        wide, high = _SIZES[what][0] * chance.uniform(0.85, 1.2), _SIZES[what][1] * chance.uniform(0.85, 1.2)
        length = room.size[0] if wall == "back" else room.size[1]
        low, top = (-length / 2 + 0.1, length / 2 - 0.1) if wall == "back" else (-length + 0.3, -0.2)
        if top - low < wide + 0.1:
            continue
        middle = chance.uniform(low + wide / 2, top - wide / 2)
        level = chance.uniform(1.45, 1.65)
        if any(hung.wall == wall and abs(hung.middle - middle) < (hung.size[0] + wide) / 2 + 0.12 for hung in found):
            continue
        if any(one.wall == wall and abs(one.middle - middle) < (one.width + wide) / 2 + 0.3 for one in room.windows):
            continue
        below = [item.top for item in planner.floor.items if _behind(item, wall, middle, wide, room)]
        level = max([level, *(one + 0.14 + high / 2 for one in below)])
        if level + high / 2 > room.size[2] - 0.12:
            continue
        found.append(Hung(what, wall, middle, level, (wide, high), chance.randrange(10**6)))
    return tuple(found)


def _behind(item: Item, wall: str, middle: float, wide: float, room: Room) -> bool:
    """Return whether the item stands before this stretch of the wall."""
    xs, ys = zip(*item.corners(), strict=True)
    if wall == "back":
        near, low, high = max(ys) > -0.9, min(xs), max(xs)
    else:
        near = min(xs) < -room.size[0] / 2 + 0.9 if wall == "left" else max(xs) > room.size[0] / 2 - 0.9
        low, high = min(ys), max(ys)
    return bool(near and low < middle + wide / 2 and middle - wide / 2 < high)


_SIZES = {
    "picture": (0.5, 0.65),
    "poster": (0.6, 0.85),
    "pair": (0.95, 0.55),
    "gallery": (1.2, 0.8),
    "mirror_round": (0.65, 0.65),
    "mirror": (0.5, 0.8),
    "clock": (0.34, 0.34),
    "shelf": (0.8, 0.32),
    "hanging": (0.5, 0.8),
    "plates": (0.6, 0.5),
    "calendar": (0.32, 0.42),
    "hooks": (0.7, 0.3),
}
"""What may hang on a wall, and about how large it is."""
