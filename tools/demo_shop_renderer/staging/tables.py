"""Rooms about a table: for meals, for work, the bar of a kitchen."""

import math

from demo_shop_renderer.catalogue import Product
from demo_shop_renderer.shapes import Chair
from demo_shop_renderer.staging.floor import Item, overlap
from demo_shop_renderer.staging.kinds import big_case, low_case, low_stool, tall_stool
from demo_shop_renderer.staging.planner import Planner


def dining(p: Planner) -> None:
    """Furnish a dining room: a table with its chairs, a cabinet at the wall."""
    x, y = p.near(-0.3, 0.3), -p.near(1.75, 2.15)
    table = p.put(p.pick("dining_table"), x, y, p.near(-5, 5) if p.often(0.7) else 90)
    if table is None:
        return
    chair = p.pick("chair")
    other = p.pick("chair") if p.often(0.2) else chair
    if chair is not None and other is not None:
        _chairs_round(p, table, chair, other)
    side = p.side()
    unit = p.pick("cabinet", big_case) if p.is_main("cabinet") or p.often(0.6) else p.pick("bookcase")
    item = p.at_back(unit, x + p.near(-0.7, 0.7))
    if item is not None and item.size[2] < 1.15 and (p.is_main("table_lamp") or p.often(0.5)):
        p.upon("table_lamp", item, p.near(-0.3, 0.3) * item.size[0])
    if p.often(0.4):
        p.in_corner(p.pick("floor_lamp"), side)


def _chairs_round(p: Planner, table: Item, chair: Product, other: Product) -> None:
    """Stand chairs about a table, drawn in more or less."""
    wide, deep = table.size[0], table.size[1]
    reach = chair.shape.depth / 2
    places: list[tuple[float, float, float]] = []
    if wide == deep:
        start = p.near(0, 90)
        for i in range(4):
            angle = math.radians(start + 90 * i)
            out = wide / 2 - 0.12 + reach + p.near(0.0, 0.3)
            places.append((out * math.sin(angle), -out * math.cos(angle), 180 + start + 90 * i))
    else:
        count = max(1, round(wide / 0.75))
        for i in range(count):
            along = (i + 0.5) / count * wide * 0.86 - wide * 0.43
            for side in (-1, 1):
                places.append((along, side * (deep / 2 - 0.14 + reach + p.near(0.0, 0.3)), 0.0 if side > 0 else 180.0))
        if p.often(0.4):
            places.append((p.side() * (wide / 2 + reach - 0.05), 0.0, 0.0))
            places[-1] = (*places[-1][:2], 90.0 if places[-1][0] < 0 else -90.0)
    for lx, ly, face in places:
        if p.often(0.12):
            continue
        px, py = table.point(lx, ly)
        product = chair if p.often(0.75) else other
        shape = product.shape
        item = Item(
            product.sku,
            True,
            (px, py, 0.0),
            table.turn + face + p.near(-14, 14),
            (shape.width, shape.depth, shape.height),
        )
        others = [one for one in p.floor.items if one is not table]
        if p.floor.inside(item) and not any(_touching(item, one) for one in others):
            p.floor.items.append(item)


def _touching(one: Item, other: Item) -> bool:
    return overlap(one, other, 0.02)


def study(p: Planner) -> None:
    """Furnish a place to work."""
    x = p.near(-0.6, 0.6)
    desk = p.at_back(p.pick("desk"), x, p.near(0.03, 0.1))
    if desk is None:
        return
    chair = p.pick("chair")
    if chair is not None and (p.is_main("chair") or p.often(0.9)):
        out = desk.at[1] - desk.size[1] / 2 - chair.shape.depth / 2 + p.near(-0.35, 0.12)
        shape = chair.shape
        item = Item(
            chair.sku,
            True,
            (x + p.near(-0.15, 0.25), out, 0.0),
            180 + p.near(-50, 50),
            (shape.width, shape.depth, shape.height),
        )
        p.floor.items.append(item)
    if p.is_main("table_lamp") or p.often(0.7):
        side = p.side()
        p.upon("table_lamp", desk, side * (desk.size[0] / 2 - 0.24), -0.02 if desk.size[2] > 0.8 else 0.08)
    side = p.side()
    shelf = p.pick("bookcase")
    if shelf is not None and (p.is_main("bookcase") or p.often(0.6)):
        spot = x + side * (desk.size[0] / 2 + shelf.shape.width / 2 + p.near(0.06, 0.4))
        _ = (
            p.at_back(shelf, spot)
            or p.at_side(shelf, side, -p.near(1.2, 1.8))
            or p.at_side(shelf, -side, -p.near(1.2, 1.8))
        )
    if p.often(0.4):
        _ = p.at_side(p.pick("cabinet", low_case), -side, -p.near(1.0, 1.8))
    if p.is_main("floor_lamp") or p.often(0.35):
        lamp = p.pick("floor_lamp")
        if lamp is not None:
            p.put(lamp, x - side * (desk.size[0] / 2 + lamp.shape.width / 2 + 0.1), -lamp.shape.depth / 2 - 0.08)
    if p.is_main("stool") or p.often(0.3):
        p.put(p.pick("stool", low_stool), x - side * (desk.size[0] / 2 + p.near(0.3, 0.6)), -p.near(0.7, 1.2))


def bar(p: Planner) -> None:
    """Furnish a kitchen counter with its stools."""
    stool = p.pick("stool", tall_stool)
    if stool is None:
        return
    x, y, shape = p.near(-0.4, 0.4), -p.near(1.5, 1.9), stool.shape
    high = (shape.seat_height if isinstance(shape, Chair) else 0.7) + 0.26
    counter = Item("counter", False, (x, y, 0.0), 0.0, (p.near(1.5, 2.1), 0.55, high), p.chance.randrange(10**6))
    p.floor.items.append(counter)
    count = p.chance.choice((2, 2, 3))
    for i in range(count):
        along = ((i + 0.5) / count - 0.5) * (counter.size[0] - 0.2)
        out = y - 0.275 - shape.depth / 2 + p.near(-0.12, 0.22)
        p.floor.items.append(
            Item(
                stool.sku, True, (x + along, out, 0.0), 180 + p.near(-70, 70), (shape.width, shape.depth, shape.height)
            )
        )
    if p.often(0.6):
        p.at_back(p.pick("cabinet", low_case), x + p.near(-0.5, 0.5))
