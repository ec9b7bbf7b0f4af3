"""How a room is lit: through its windows, by the sun, by its lamps, by the rest of the house."""

import math
from random import Random
from typing import Any

from demo_shop_renderer import blender, engine
from demo_shop_renderer.build.maker import Maker
from demo_shop_renderer.staging.room import Room, Window

Colour = tuple[float, float, float]


def light(room: Room, lamps: list[Maker], chance: Random) -> None:
    """Light the room as planned; `lamps` are those that may be lit."""
    evening = room.light == "evening"
    day = {"day": 1.0, "sun": 1.0, "overcast": 0.7, "mixed": 0.35, "evening": 0.03}[room.light]
    outside = engine.kelvin(room.kelvin if not evening else 9000)
    for window in room.windows:
        _window(room, window, day * chance.uniform(0.8, 1.3), outside)
    if room.light == "sun" and room.windows:
        _sun(room, chance)
    if evening or room.light == "mixed":
        for lamp in lamps:
            for at in lamp.bulbs:
                power = (28 if len(lamp.bulbs) == 1 else 14) * chance.uniform(0.7, 1.4)
                engine.bulb(_placed(lamp, at), power, engine.kelvin(chance.uniform(2700, 3400)))
    _rest(room, day, chance)


def _placed(maker: Maker, at: tuple[float, float, float]) -> tuple[float, float, float]:
    point = maker.root.matrix_world @ _vector(at)
    return point[0], point[1], point[2]


def _vector(at: tuple[float, float, float]) -> Any:
    return blender.mathutils.Vector(at)


def _window(room: Room, window: Window, strength: float, colour: Colour) -> None:
    """Put a shining panel into the opening, towards the room."""
    wide, high = window.width, window.head - window.sill
    level, half = (window.head + window.sill) / 2, room.size[0] / 2
    into = 0.02
    at, target = {
        "back": ((window.middle, -into, level), (window.middle, -3.0, level - 0.8)),
        "left": ((-half + into, window.middle, level), (-half + 3.0, window.middle, level - 0.8)),
        "right": ((half - into, window.middle, level), (half - 3.0, window.middle, level - 0.8)),
    }[window.wall]
    _hidden(engine.panel(at, target, (wide, high), 95 * wide * high * strength, colour))


def _hidden(thing: Any) -> None:
    thing.visible_camera = False
    thing.visible_glossy = False


def _sun(room: Room, chance: Random) -> None:
    window = max(room.windows, key=lambda one: one.width * (one.head - one.sill))
    down = -math.tan(math.radians(chance.uniform(24, 46)))
    aside = chance.uniform(-0.6, 0.6)
    way = {"back": (aside, -1.0, down), "left": (1.0, aside - 0.1, down), "right": (-1.0, aside - 0.1, down)}[
        window.wall
    ]
    engine.sun(way, chance.uniform(2.5, 6.0), engine.kelvin(chance.uniform(4300, 5400)), math.radians(0.8))


def _rest(room: Room, day: float, chance: Random) -> None:
    """Add what comes from the rest of the house: from behind the viewer and from the ceiling."""
    wide, deep, high = room.size
    evening = room.light in ("evening", "mixed")
    tint = engine.kelvin(chance.uniform(3100, 4300) if evening else chance.uniform(4600, 6500))
    engine.sky(tint, tint, (0.18 if evening else 0.35) * chance.uniform(0.8, 1.3))
    x = chance.uniform(-0.3, 0.3) * wide
    back = engine.panel(
        (x, -deep - 0.9, high * 0.62),
        (0, -1.0, 0.7),
        (wide * 0.8, 1.6),
        (40 if evening else 75) * chance.uniform(0.7, 1.3) * max(0.45, day),
        tint,
    )
    _hidden(back)
    if evening or chance.random() < 0.35:
        top = engine.panel(
            (chance.uniform(-0.5, 0.5), -deep * 0.45, high - 0.03),
            (0, -deep * 0.45, 0),
            (0.5, 0.5),
            (45 if evening else 18) * chance.uniform(0.6, 1.4),
            tint,
        )
        _hidden(top)
