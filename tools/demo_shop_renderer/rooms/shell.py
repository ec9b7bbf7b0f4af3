"""The walls, floor and ceiling of a room, with openings, boards, doors and radiators."""

import math
from random import Random
from typing import Any

from demo_shop_renderer import blender
from demo_shop_renderer.build.maker import Maker, Scene
from demo_shop_renderer.build.nodes import Graph, linear, scaled
from demo_shop_renderer.props.colours import plain, timber, tone
from demo_shop_renderer.rooms import coverings, floors
from demo_shop_renderer.staging.room import Room, Window

THICK = 0.12
_TURNS = {"back": 0.0, "left": math.pi / 2, "right": -math.pi / 2}


def raise_walls(scene: Scene, room: Room, chance: Random) -> dict[str, Maker]:
    """Build floor, ceiling and three walls; return the walls, in whose measures x runs along and -y is inside."""
    wide, deep, high = room.size
    ground = Maker(scene, "floor")
    margin = 1.6
    ground.box(
        (wide + 2 * THICK, deep + margin, 0.1),
        (0, -(deep + margin) / 2 + 0.1, -0.05),
        floors.floor(room.floor, chance),
        bevel=0.0,
    )
    ceiling = plain(chance, 0.95, colour=tone(chance, ("#f6f5f2", "#f1eee6", "#ffffff")))
    ground.box((wide + 2 * THICK, deep + margin, 0.1), (0, -(deep + margin) / 2 + 0.1, high + 0.05), ceiling, bevel=0.0)
    accent, other = coverings.wall(room.accent, chance), coverings.wall(room.wall, chance)
    if room.wall == room.accent:
        other = accent
    trim = plain(chance, 0.4, colour=tone(chance, ("#f2f1ee", "#f2f1ee", "#e3ddd0", "#3a3a3c")))
    walls = {}
    for name in _TURNS:
        maker = Maker(scene, f"wall {name}")
        length = wide + 2 * THICK if name == "back" else deep + margin
        windows = [window for window in room.windows if window.wall == name]
        _wall(maker, name, length, room, windows, accent if name == "back" else other)
        _skirting(maker, name, room, trim, chance)
        walls[name] = maker
    _boards(walls["back"], room, room.accent, chance)
    if room.wall != "paint":
        for name in ("left", "right"):
            _boards(walls[name], room, room.wall, chance)
    _door(walls, room, chance)
    for name, maker in walls.items():
        _stand(maker, name, room)
    return walls


def _stand(maker: Maker, name: str, room: Room) -> None:
    wide, _, _ = room.size
    place = {"back": (0, 0, 0), "left": (-wide / 2, 0, 0), "right": (wide / 2, 0, 0)}[name]
    maker.stand(place, _TURNS[name])


def along(name: str, middle: float) -> float:
    """Return where on a wall's own x a place of the room lies: x for the back wall, y for the others."""
    return middle if name != "right" else -middle


def _wall(maker: Maker, name: str, length: float, room: Room, windows: list[Window], skin: Any) -> None:
    """Build a wall of boxes round its openings."""
    _, deep, high = room.size
    start = -length / 2 if name == "back" else (-deep - 1.5 if name == "left" else -0.1)
    end = start + length
    y = THICK / 2
    edge = start
    for window in sorted(windows, key=lambda one: along(name, one.middle)):
        x = along(name, window.middle)
        left, right = x - window.width / 2, x + window.width / 2
        maker.box((left - edge, THICK, high), ((left + edge) / 2, y, high / 2), skin, bevel=0.0)
        maker.box((window.width, THICK, window.sill), (x, y, window.sill / 2), skin, bevel=0.0)
        maker.box((window.width, THICK, high - window.head), (x, y, (high + window.head) / 2), skin, bevel=0.0)
        edge = right
    maker.box((end - edge, THICK, high), ((end + edge) / 2, y, high / 2), skin, bevel=0.0)
    for part in maker.parts:  # patterns run on over all boxes of the wall
        part.data.transform(_moved(part.location))
        part.location = (0, 0, 0)


def _moved(by: Any) -> Any:
    return blender.mathutils.Matrix.Translation(by)


def _reach(name: str, room: Room) -> tuple[float, float]:
    """Return where a wall's own x begins and ends."""
    wide, deep, _ = room.size
    return (-wide / 2, wide / 2) if name == "back" else ((-deep - 1.4, 0.0) if name == "left" else (0.0, deep + 1.4))


def _skirting(maker: Maker, name: str, room: Room, trim: Any, chance: Random) -> None:
    low, high = _reach(name, room)
    tall = (0.07, 0.09, 0.12, 0.15)[room.seed % 4]
    windows = [one for one in room.windows if one.wall == name and one.sill < tall]
    edge = low
    for window in sorted(windows, key=lambda one: along(name, one.middle)):
        x = along(name, window.middle)
        maker.box(
            (max(0.01, x - window.width / 2 - edge), 0.016, tall),
            ((x - window.width / 2 + edge) / 2, -0.008, tall / 2),
            trim,
        )
        edge = x + window.width / 2
    maker.box((high - edge, 0.016, tall), ((high + edge) / 2, -0.008, tall / 2), trim)
    if room.seed % 3 == 0:
        top = room.size[2]
        maker.box((high - low, 0.07, 0.07), ((high + low) / 2, -0.035, top - 0.035), trim, bevel=0.03, rounds=3)


def _boards(maker: Maker, room: Room, kind: str, chance: Random) -> None:
    """Add panelling: battens, a wainscot or slats."""
    if kind not in ("battens", "wainscot", "slats"):
        return
    name = maker.root.name.split()[1].split(".")[0]
    low, high = _reach(name, room)
    top = room.size[2] if kind == "slats" or chance.random() < 0.4 else chance.choice((0.95, 1.1, 1.4))
    wood = kind == "slats"
    skin = (
        timber(chance)
        if wood
        else plain(chance, 0.5, colour=tone(chance, ("#e9e6de", "#8b9a92", "#5f7a76", "#c9bfae", "#3f5560", "#b9a08a")))
    )
    pitch = {"slats": 0.06, "battens": chance.uniform(0.25, 0.5), "wainscot": 0.55}[kind]
    count = round((high - low) / pitch)
    back = skin if not wood else plain(chance, 0.9, colour="#2a2826")
    openings = [(along(name, one.middle), one.width / 2 + 0.05, one.sill) for one in room.windows if one.wall == name]
    if openings and not wood:  # a wainscot ends below the windows
        top = min(top, min(sill for _, _, sill in openings) - 0.04)
        if top < 0.4:
            return
    if not openings or not wood:
        maker.box((high - low, 0.008, top), ((high + low) / 2, -0.004, top / 2), back, bevel=0.0)
    for i in range(count + 1):
        x = low + (high - low) * i / count
        reach = min([top, *(sill - 0.02 for middle, half, sill in openings if abs(x - middle) < half)])
        if reach > 0.15:
            maker.box((0.03 if wood else 0.045, 0.022, reach), (x, -0.012, reach / 2), skin, axis="z", bevel=0.003)
    if not wood and top < room.size[2] and not any(sill < top for _, _, sill in openings):
        maker.box((high - low, 0.04, 0.035), ((high + low) / 2, -0.02, top), skin, axis="x")
        maker.box((high - low, 0.02, 0.09), ((high + low) / 2, -0.011, top - 0.09), skin, axis="x")


def _door(walls: dict[str, Maker], room: Room, chance: Random) -> None:
    """Add a closed door to a side wall where nothing stands before it."""
    if room.door == "none":
        return
    wide, deep, _ = room.size
    spots = [-deep + 0.6, -deep * 0.6]
    side = -1 if room.door == "left" else 1
    for middle in spots:
        if any(one.wall == room.door and abs(one.middle - middle) < one.width / 2 + 0.65 for one in room.windows):
            continue
        if any(abs(item.at[1] - middle) < 0.8 and side * item.at[0] > wide / 2 - 0.9 for item in room.items):
            continue
        if any(one.wall == room.door and abs(one.middle - middle) < one.size[0] / 2 + 0.6 for one in room.hung):
            continue
        maker, x = walls[room.door], along(room.door, middle)
        skin = (
            timber(chance)
            if chance.random() < 0.4
            else plain(chance, 0.4, colour=tone(chance, ("#f2f1ee", "#e3ddd0", "#5f7a76", "#3a4a58")))
        )
        case = plain(chance, 0.4, colour="#efede8")
        maker.box((0.84, 0.03, 2.02), (x, -0.015, 1.01), skin, axis="z")
        for dx, size, z in (
            (-0.455, (0.07, 0.05, 2.1), 1.05),
            (0.455, (0.07, 0.05, 2.1), 1.05),
            (0, (0.98, 0.05, 0.07), 2.07),
        ):
            maker.box(size, (x + dx, -0.02, z), case)
        for z, tall in ((0.55, 0.7), (1.5, 0.8)):
            for dx in (-0.19, 0.19):
                maker.box((0.28, 0.008, tall), (x + dx, -0.032, z), skin, axis="z", bevel=0.003)
        maker.rod((x + 0.35, -0.03, 1.03), (x + 0.35, -0.08, 1.03), 0.009, "steel")
        maker.rod((x + 0.35, -0.075, 1.03), (x + 0.24, -0.075, 1.03), 0.009, "steel")
        return


def radiator(maker: Maker, x: float, wide: float, high: float) -> None:
    """Add a ribbed radiator under a window."""
    white = Graph("radiator").set(Base_Color=scaled(linear("#efeee9"), 1.0), Roughness=0.35)
    count = round(wide / 0.055)
    for i in range(count):
        maker.box(
            (0.04, 0.06, high),
            (x - wide / 2 + wide * (i + 0.5) / count, -0.07, 0.12 + high / 2),
            white,
            bevel=0.012,
            rounds=3,
        )
    for z in (0.16, 0.08 + high):
        maker.box((wide, 0.03, 0.03), (x, -0.07, z), white)
