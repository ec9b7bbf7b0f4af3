"""Dining tables, coffee tables and desks: a top, what carries it, what is stored in it."""

from dataclasses import replace

import numpy as np

from demo_shop_renderer.build import fronts, outlines, underframes
from demo_shop_renderer.build.maker import Maker, Skin, Skins
from demo_shop_renderer.build.mesh import Points, sheet
from demo_shop_renderer.shapes import Table, level


def table(maker: Maker, shape: Table, skins: Skins) -> None:
    """Build a table; nested ones as a pair."""
    if shape.nested:
        big = replace(shape, width=shape.width * 0.66, depth=shape.width * 0.66, nested=False)
        low = replace(big, width=big.width * 0.78, depth=big.width * 0.78, height=shape.height * 0.78)
        for one, x, y in ((big, -0.17 * shape.width, 0.06), (low, 0.24 * shape.width, -0.1)):
            before = len(maker.parts)
            table(maker, one, skins)
            for part in maker.parts[before:]:
                part.location.x += x
                part.location.y += y
        maker.rests.clear()
        maker.rests.append((-0.17 * shape.width, 0.06, shape.height, big.width * 0.7, big.width * 0.7, 0.5))
        return
    top, base = skins[0], skins[min(1, len(skins) - 1)]
    high = level(shape)
    _top(maker, shape, top, high)
    under = high - shape.thick
    maker.rests.append((0.0, 0.0, high, shape.width * 0.86, shape.depth * 0.8, 0.6))
    if shape.legs != "none":
        underframes.stand(maker, shape, base, top, under)
    if shape.apron:
        _apron(maker, shape, base, under)
    if shape.shelf != "none":
        _shelf(maker, shape, base if shape.legs != "waterfall" else top, under)
    _STORES.get(shape.storage, _nothing)(maker, shape, skins, under)


def outline(shape: Table) -> Points:
    """Return the outline of its top."""
    wide, deep = shape.width, shape.depth
    if shape.top in ("oval", "round", "tray"):
        return outlines.ellipse(wide, deep, 2.0 if shape.top != "oval" else 2.3, 72)
    if shape.top == "pebble":
        return outlines.pebble(wide, deep)
    if shape.top == "boat":
        return outlines.boat(wide, deep)
    return outlines.rectangle(wide, deep, 0.07 if shape.top == "rounded" else 0.006)


def _top(maker: Maker, shape: Table, skin: Skin, high: float) -> None:
    wide, deep, thick = shape.width, shape.depth, shape.thick
    if shape.legs in ("plinth", "waterfall") or shape.storage == "box":
        return
    if shape.top == "planks":
        count = 5
        for i in range(count):
            y = -deep / 2 + deep / count * (i + 0.5)
            maker.box((wide, deep / count - 0.002, thick), (0, y, high - thick / 2), skin, axis="x", bevel=0.004)
    elif shape.top == "tray":
        radius = wide / 2
        profile = [
            (0.001, -thick),
            (radius * 0.9, -thick),
            (radius * 0.98, -thick * 0.6),
            (radius, 0),
            (radius * 0.985, 0),
            (radius * 0.93, -thick * 0.7),
            (0.001, -thick + 0.006),
        ]
        maker.lathe(profile, skin, (0, 0, high), around=64)
    else:
        maker.board(
            outline(shape), thick, (0, 0, high - thick / 2), skin, axis="x", bevel=min(0.008, thick * 0.3), rounds=3
        )


def _apron(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    high = shape.apron
    if shape.top == "round":
        ring = outlines.ellipse(shape.width * 0.74, shape.depth * 0.74, 2.0, 48)
        maker.board(ring, high, (0, 0, under - high / 2), skin)
        return
    if (shape.storage in ("drawers", "cubbies", "hutch", "organiser") and shape.drawers) or shape.storage == "cubbies":
        return  # its box stands there
    wide, deep = shape.width - 2 * shape.inset, shape.depth - 2 * shape.inset
    for side in (-1, 1):
        maker.box((wide, 0.022, high), (0, side * deep / 2, under - high / 2), skin, axis="x")
        maker.box((0.022, deep, high), (side * wide / 2, 0, under - high / 2), skin, axis="y")


def _shelf(maker: Maker, shape: Table, skin: Skin, under: float) -> None:
    wide, deep, z = shape.width - 2 * shape.inset - 0.03, shape.depth - 2 * shape.inset, under * 0.36
    if shape.legs == "waterfall":
        maker.box((shape.width - 0.06, shape.depth * 0.96, 0.02), (0, 0, z), skin, axis="x")
    elif shape.shelf == "solid":
        maker.box((wide, deep, 0.018), (0, 0, z), skin, axis="x")
    else:
        for i in range(7):
            maker.box((wide, deep / 7 * 0.6, 0.014), (0, -deep / 2 + deep / 7 * (i + 0.5), z), skin, axis="x")
        for side in (-1, 1):
            maker.box((0.022, deep + 0.02, 0.022), (side * (wide / 2 - 0.02), 0, z - 0.016), skin, axis="y")
    maker.rests.append((0.0, 0.0, z + 0.011, wide * 0.8, deep * 0.7, under - z - 0.03))


def _nothing(maker: Maker, shape: Table, skins: Skins, under: float) -> None:
    """Nothing is stored here."""


def _drawers(maker: Maker, shape: Table, skins: Skins, under: float) -> None:
    """Put drawers side by side into the apron."""
    body, metal, high = skins[min(1, len(skins) - 1)], skins[-1], shape.apron
    if not str(getattr(body, "material", "")).startswith(("wood", "paint")):
        body = skins[0]
    face = skins[0] if shape.legs in ("x", "waterfall") else body
    wide, deep = shape.width - (0.1 if shape.legs != "waterfall" else 2 * shape.thick), shape.depth - 0.06
    count = max(1, shape.drawers)
    middle = under - high / 2
    maker.box((wide, deep, high), (0, 0.006, middle), face, axis="x")
    each = wide / count
    for i in range(count):
        x = -wide / 2 + each * (i + 0.5)
        fronts.front(maker, "w", "flat", (each - 0.012, high - 0.012), (x, -deep / 2 + 0.014, middle), face, metal)
        spread = (-each * 0.26, each * 0.26) if each > 0.75 else (0.0,)
        for shift in spread:
            fronts.handle(maker, shape.handle, (x + shift, -deep / 2 - 0.007, middle), metal, False)


def _stack(maker: Maker, shape: Table, skins: Skins, under: float, side: int, foot: float) -> None:
    """Put drawers one above the other under an end of the top."""
    face, metal = skins[0], skins[-1]
    wide, deep, high = min(0.4, shape.width * 0.3), shape.depth - 0.06, under - foot
    x = side * (shape.width / 2 - wide / 2 - 0.015)
    maker.box((wide, deep, high), (x, 0.006, foot + high / 2), face, axis="z")
    each = high / shape.drawers
    for i in range(shape.drawers):
        z = foot + each * (i + 0.5)
        fronts.front(maker, "w", "flat", (wide - 0.012, each - 0.008), (x, -deep / 2 + 0.014, z), face, metal)
        fronts.handle(
            maker, shape.handle, (x, -deep / 2 - 0.007, z + (each * 0.3 if shape.handle == "slot" else 0)), metal, False
        )


def _left(maker: Maker, shape: Table, skins: Skins, under: float) -> None:
    _stack(maker, shape, skins, under, -1, 0.04)
    maker.box(
        (shape.width * 0.28 - 0.04, shape.depth - 0.14, 0.04), (-shape.width / 2 + 0.2, 0.01, 0.02), "plastic:black"
    )


def _both(maker: Maker, shape: Table, skins: Skins, under: float) -> None:
    for side in (-1, 1):
        _stack(maker, shape, skins, under, side, 0.05)
        wide = min(0.4, shape.width * 0.3)
        maker.box(
            (wide + 0.02, shape.depth - 0.04, 0.05), (side * (shape.width / 2 - wide / 2 - 0.015), 0, 0.025), skins[0]
        )
    maker.box((shape.width - 0.7, 0.02, under * 0.6), (0, shape.depth / 2 - 0.08, under * 0.7), skins[0], axis="x")


def _hutch(maker: Maker, shape: Table, skins: Skins, under: float) -> None:
    """Put pigeonholes on the back of the top."""
    _drawers(maker, shape, skins, under)
    face, base = skins[0], level(shape)
    wide, deep, high = shape.width, 0.24, shape.height - base
    y, t = shape.depth / 2 - deep / 2, 0.016
    for side in (-1, 1):
        maker.box((t, deep, high), (side * (wide - t) / 2, y, base + high / 2), face, axis="z")
    maker.box((wide, deep, t), (0, y, shape.height - t / 2), face, axis="x")
    maker.box((wide, 0.01, high), (0, shape.depth / 2 - 0.008, base + high / 2), face, axis="x")
    columns = 4
    for i in range(1, columns):
        maker.box((t, deep - 0.01, high - t), (-wide / 2 + wide * i / columns, y, base + high / 2), face, axis="z")
    for i in range(columns):
        x, w = -wide / 2 + wide * (i + 0.5) / columns, wide / columns - t
        maker.box((w + 0.002, deep - 0.01, 0.012), (x, y, base + high * 0.52), face, axis="x")
        if i in (0, columns - 1):
            fronts.front(
                maker, "w", "flat", (w, high * 0.48), (x, shape.depth / 2 - deep, base + high * 0.26), face, skins[-1]
            )
            fronts.handle(maker, "knob", (x, shape.depth / 2 - deep - 0.02, base + high * 0.26), skins[-1], False)
        maker.rests.append((x, y, base + high * 0.54, w * 0.8, deep * 0.7, high * 0.4))
    maker.rests[0] = (0.0, -0.1, base, wide * 0.8, shape.depth - 0.36, 0.5)


def _organiser(maker: Maker, shape: Table, skins: Skins, under: float) -> None:
    """Put a low gallery on the back of the top."""
    _drawers(maker, shape, skins, under)
    face, base = skins[0], level(shape)
    wide, deep, high, t = shape.width * 0.97, 0.17, shape.height - base, 0.014
    y = shape.depth / 2 - deep / 2 - 0.01

    def side(u: Points, v: Points) -> tuple[Points, ...]:
        return np.zeros_like(u), (u - 0.5) * deep, v * high * (1 - 0.25 * (1 - u) ** 2)

    for x in (-wide / 2, -wide / 4, wide / 4, wide / 2):
        maker.put(sheet(side, 8, 2), face, (x, y, base), thick=t, axis="z")
    maker.box((wide, deep * 0.7, t), (0, y + 0.025, shape.height - 0.02), face, axis="x")
    maker.box((wide, 0.01, high), (0, shape.depth / 2 - 0.014, base + high / 2), face, axis="x")
    maker.rests[0] = (0.0, -0.1, base, wide * 0.8, shape.depth - 0.32, 0.5)


def _cubbies(maker: Maker, shape: Table, skins: Skins, under: float) -> None:
    """Hang open compartments under the top."""
    skin, high, wide, deep, t = skins[0], shape.apron, shape.width - 0.06, shape.depth - 0.05, 0.016
    maker.box((wide, deep, t), (0, 0, under - high + t / 2), skin, axis="x")
    maker.box((wide, t, high), (0, deep / 2 - t / 2, under - high / 2), skin, axis="x")
    for x in (-wide / 2 + t / 2, 0.0, wide / 2 - t / 2):
        maker.box((t, deep, high), (x, 0, under - high / 2), skin, axis="y")


def _box(maker: Maker, shape: Table, skins: Skins, under: float) -> None:
    """Make the whole table a chest of drawers, two by two."""
    skin, metal, foot = skins[0], skins[-1], 0.09
    high = shape.height - foot
    maker.box((shape.width, shape.depth, high), (0, 0, foot + high / 2), skin, axis="x", bevel=0.006)
    rows = 2
    for side in (-1, 1):
        for row in range(rows):
            size = (shape.width / 2 - 0.03, (high - 0.05) / rows - 0.01)
            at = (side * shape.width / 4, -shape.depth / 2 + 0.012, foot + 0.02 + (size[1] + 0.012) * (row + 0.5))
            fronts.front(maker, "w", "flat", size, at, skin, metal)
            fronts.handle(maker, shape.handle, (at[0], at[1] - 0.022, at[2]), metal, False)


_STORES = {
    "drawers": _drawers,
    "left": _left,
    "both": _both,
    "hutch": _hutch,
    "organiser": _organiser,
    "cubbies": _cubbies,
    "box": _box,
}
