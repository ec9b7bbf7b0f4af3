"""Where a shopper stands and how the phone is held: cameras to try, one after another."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from demo_shop_renderer.catalogue import dice
from demo_shop_renderer.staging.floor import Item
from demo_shop_renderer.staging.room import Room

Triple = tuple[float, float, float]
LONG, WIDE = 384, 288


@dataclass(frozen=True)
class View:
    """A camera: where it is and looks, its lens (of 36 mm), its roll in degrees, the picture's width and height."""

    at: Triple
    target: Triple
    lens: float
    roll: float
    size: tuple[int, int]

    @cached_property
    def axes(self) -> tuple[Triple, Triple, Triple]:
        """Return its directions right, up and ahead."""
        ahead = _unit(tuple(b - a for a, b in zip(self.at, self.target, strict=True)))
        right = _unit((ahead[1], -ahead[0], 0.0))
        up = _cross(right, ahead)
        cos, sin = math.cos(math.radians(self.roll)), math.sin(math.radians(self.roll))
        turned = tuple(cos * r + sin * u for r, u in zip(right, up, strict=True))
        risen = tuple(cos * u - sin * r for r, u in zip(right, up, strict=True))
        return (turned[0], turned[1], turned[2]), (risen[0], risen[1], risen[2]), ahead

    @cached_property
    def reach(self) -> tuple[float, float]:
        """How far the picture extends to the side and upwards, at a distance of 1."""
        half = 18.0 / self.lens
        longer = max(self.size)
        return half * self.size[0] / longer, half * self.size[1] / longer


def views(room: Room, item: Item, key: str, size: tuple[int, int] = (LONG, WIDE), count: int = 60) -> Iterator[View]:
    """Yield cameras that a person in the room might take a picture of the item from.

    Args:
        room: planned.
        item: what the picture is of.
        key: the same key, the same cameras.
        size: the longer and the shorter side of the picture.
        count: how many to try.
    """
    chance = dice(key, "view")
    facing = math.atan2(item.facing[0], -item.facing[1])
    middle = (item.at[0], item.at[1], item.at[2] + item.size[2] * 0.5)
    across = math.hypot(item.size[0], item.size[1])
    small = max(item.size) < 0.75
    for attempt in range(count):
        upright = chance.random() < (0.7 if item.size[2] > 1.15 * across else 0.35)
        picture = (min(size), max(size)) if upright else (max(size), min(size))
        lens = chance.uniform(24, 30) if not small else chance.uniform(27, 38)
        azimuth = facing + math.radians(chance.uniform(-62, 62) if attempt < 0.7 * count else chance.uniform(-110, 110))
        half = 18.0 / lens
        fill = chance.uniform(0.36, 0.78) if attempt < 0.6 * count else chance.uniform(0.5, 0.9)
        wide = across * 0.86 / (2 * half * picture[0] / max(size) * fill)
        tall = item.size[2] / (2 * half * picture[1] / max(size) * fill)
        distance = max(wide, tall, 0.8 if not small else 0.55) + 0.25 * across
        high = chance.uniform(1.3, 1.68) if chance.random() < 0.6 else chance.uniform(0.85, 1.3)
        if small:
            high = max(high, item.at[2] + chance.uniform(0.2, 0.6)) if item.at[2] > 0.3 else chance.uniform(0.9, 1.5)
        steep = math.radians(chance.uniform(14, 30) if not small else chance.uniform(18, 40))
        flat = math.sqrt(max(0.35, distance**2 - (high - middle[2]) ** 2))
        flat = max(flat, (high - middle[2]) / math.tan(steep))
        at = (middle[0] + flat * math.sin(azimuth), middle[1] - flat * math.cos(azimuth), high)
        if not _standing(room, item, at):
            continue
        off = across * 0.22
        target = (
            middle[0] + chance.uniform(-off, off),
            middle[1],
            middle[2] * chance.uniform(0.85, 1.1) + chance.uniform(-0.08, 0.12),
        )
        yield View(at, target, lens, max(-6.0, min(6.0, chance.gauss(0, 1.6))), picture)


def _standing(room: Room, main: Item, at: Triple) -> bool:
    """Return whether a person can stand there: within the walls, not in the furniture; to the front is more room."""
    x, y, z = at
    if abs(x) > room.size[0] / 2 - 0.12 or not -room.size[1] - 1.2 < y < -0.25:
        return False
    for item in room.items:
        shift = (x - item.at[0], y - item.at[1])
        cos, sin = math.cos(math.radians(-item.turn)), math.sin(math.radians(-item.turn))
        own = (shift[0] * cos - shift[1] * sin, shift[0] * sin + shift[1] * cos)
        margin = 0.3 if item is not main else 0.2
        if abs(own[0]) < item.size[0] / 2 + margin and abs(own[1]) < item.size[1] / 2 + margin and z < item.top + 0.25:
            return False
    return True


def _unit(vector: tuple[float, ...]) -> Triple:
    length = math.sqrt(sum(part * part for part in vector)) or 1.0
    return vector[0] / length, vector[1] / length, vector[2] / length


def _cross(a: Triple, b: Triple) -> Triple:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
