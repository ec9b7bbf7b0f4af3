"""A shopper's photo of a product in a room: planned, built, looked at, rendered, spoilt."""

import random
from pathlib import Path

import numpy as np
from PIL import Image

from demo_shop_renderer import blender, boxes, engine, phone
from demo_shop_renderer.boxes import Seen
from demo_shop_renderer.catalogue import Product, dice, products
from demo_shop_renderer.rooms.furnish import furnish
from demo_shop_renderer.rooms.light import light
from demo_shop_renderer.sight import Sight
from demo_shop_renderer.staging.plan import plan
from demo_shop_renderer.staging.room import Room
from demo_shop_renderer.staging.views import View, views

TRIES = 14
"""Rooms that are built before it is given up; nearly always the first has a view."""


class NoView(Exception):
    """No camera in this room shows the product well enough."""


def photo(
    product: Product, number: int, seed: int, size: tuple[int, int], samples: int, scratch: Path
) -> tuple[Image.Image, list[Seen]]:
    """Render one photo of a product; return it with all products seen in it, the boxes in its pixels.

    Raises:
        NoView: no room and camera tried shows the product well enough.
    """
    pool = products(seed)
    for attempt in range(TRIES):
        key = f"{seed} {product.sku} photo {number} {attempt}"
        room = plan(product, pool, key)
        chance = dice(key, "build")
        things, lamps = furnish(room, {one.sku: one for one in pool}, chance)
        sight = Sight(things)
        found = _view(room, sight, product.sku, key, size)
        if found is None:
            continue
        _, view = found
        light(room, lamps, dice(key, "light"))
        picture = _taken(view, room, samples, dice(key, "taken"), scratch)
        return phone.spoil(picture, dice(key, "phone")), _seen(room, sight, view)
    raise NoView(product.sku)


def _view(room: Room, sight: Sight, sku: str, key: str, size: tuple[int, int]) -> tuple[int, View] | None:
    """Return the first camera that shows the product well enough."""
    numbers = room.instances(sku)
    for number in numbers:
        for view in views(room, room.items[number], f"{key} {number}", size):
            visible, filled = sight.share(view, number)
            if visible >= boxes.MAIN_VISIBLE + 0.04 and filled >= boxes.MAIN_AREA * 1.1:
                return number, view
    return None


def _seen(room: Room, sight: Sight, view: View) -> list[Seen]:
    found = []
    for number, item in enumerate(room.items):
        if not item.product:
            continue
        visible, filled = sight.share(view, number)
        if visible < boxes.OTHER_VISIBLE * 0.8 or filled < boxes.OTHER_AREA * 0.3:
            continue
        box = sight.box(view, number)
        if box is not None:
            found.append(Seen(item.what, "other", *box, round(min(1.0, visible), 3)))
    return boxes.with_roles(found, room.main, view.size)


def _taken(view: View, room: Room, samples: int, chance: random.Random, scratch: Path) -> Image.Image:
    """Render a view and expose it as a phone would, by its mean."""
    scene = engine.set_up(view.size, samples, chance.randrange(10**6))
    right, up, ahead = view.axes
    matrix = blender.mathutils.Matrix([[r, u, -a] for r, u, a in zip(right, up, ahead, strict=True)])
    engine.camera(view.at, matrix.to_euler(), view.lens)
    engine.render(scene)
    wanted = chance.uniform(0.33, 0.42) if room.light == "evening" else chance.uniform(0.43, 0.53)
    exposure = 0.0
    for _ in range(4):
        engine.view(scene, "AgX", "AgX - Medium High Contrast", exposure)
        engine.develop(scene, scratch)
        with Image.open(scratch) as image:
            picture = image.convert("RGB")
        mean = float(np.asarray(picture.convert("L"), float).mean()) / 255
        if abs(mean - wanted) < 0.025:
            break
        exposure += max(-2.5, min(2.5, 2.6 * float(np.log2(wanted / max(mean, 0.01)))))
    return picture
