"""Rooms by what is done in them: how their furniture stands together."""

from collections.abc import Callable

from demo_shop_renderer.staging.floor import Item
from demo_shop_renderer.staging.kinds import bedside, big_case, low_case, low_stool
from demo_shop_renderer.staging.planner import Planner
from demo_shop_renderer.staging.tables import bar, dining, study


def living(p: Planner) -> None:
    """Furnish a sitting room: a sofa at the wall, a table before it, chairs about."""
    x = p.near(-0.5, 0.5)
    sofa = p.pick("sofa")
    seat = p.at_back(sofa, x, p.near(0.04, 0.5))
    if seat is None:
        return
    front = seat.at[1] - seat.size[1] / 2
    chaise = seat.size[1] > 1.4
    table = p.pick("coffee_table")
    if table is not None and (p.is_main("coffee_table") or p.often(0.8)):
        p.put(
            table,
            x + p.near(-0.2, 0.2) - (0.35 if chaise else 0),
            front - p.near(0.32, 0.5) - table.shape.depth / 2,
            p.near(-6, 6),
        )
    side = p.side()
    edge = seat.size[0] / 2
    _beside_sofa(p, seat, side, edge)
    if p.is_main("armchair") or p.often(0.7):
        chair = p.pick("armchair")
        for reach in (0.5, 0.75, 1.0):
            turn = -side * p.near(40, 85)
            if p.put(chair, x + side * (edge + reach), front - p.near(0.3, 0.9), turn):
                break
    if p.is_main("stool") or p.often(0.4):
        p.put(p.pick("stool", low_stool), x - side * p.near(0.5, 1.2), front - p.near(0.5, 1.3), p.near(-180, 180))
    _along_sides(p, ("bookcase", "cabinet"), -side)


def _beside_sofa(p: Planner, seat: Item, side: int, edge: float) -> None:
    y = seat.at[1] + seat.size[1] / 2
    lamp = p.pick("floor_lamp")
    if lamp is not None and (p.is_main("floor_lamp") or p.often(0.75)):
        p.put(
            lamp,
            seat.at[0] + side * (edge + lamp.shape.width / 2 + p.near(0.05, 0.25)),
            min(y, -0.05) - max(0.2, lamp.shape.depth / 2) - 0.05,
            p.near(-30, 30),
        )
    table = p.prop(
        ("side_table", "box_table"),
        seat.at[0] - side * (edge + p.near(0.27, 0.4)),
        min(y, -0.05) - p.near(0.28, 0.4),
        0.0,
    )
    if table is not None and (p.is_main("table_lamp") or p.often(0.6)):
        p.upon("table_lamp", table)


def _along_sides(p: Planner, categories: tuple[str, ...], side: int) -> None:
    for category in categories:
        if p.is_main(category) or p.often(0.45):
            product = p.pick(category, big_case)
            for y in (-1.1, -1.5, -2.0, -2.5):
                item = p.at_side(product, side, y + p.near(-0.15, 0.15))
                if item is not None:
                    if item.size[2] < 1.15 and p.often(0.4):
                        p.upon("table_lamp", item, p.near(-0.25, 0.25) * item.size[0])
                    break
            side = -side


def wall_unit(p: Planner) -> None:
    """Furnish a wall with a bookcase or a cabinet, something to sit on before it."""
    first = "cabinet" if p.is_main("cabinet") else "bookcase"
    x = p.near(-0.6, 0.6)
    unit = p.at_back(p.pick(first, big_case), x)
    if unit is None:
        return
    side = p.side()
    if unit.size[2] < 1.15 and p.often(0.7):
        p.upon("table_lamp", unit, p.near(-0.35, 0.35) * unit.size[0])
    second = p.pick("bookcase" if p.often(0.5) else "cabinet", big_case)
    if second is not None and p.often(0.4):
        p.at_back(second, x - side * (unit.size[0] / 2 + second.shape.width / 2 + p.near(0.02, 0.2)))
    chair = p.pick("armchair") if p.often(0.65) else p.pick("chair")
    p.put(chair, x + side * (unit.size[0] / 2 + p.near(0.45, 0.7)), -p.near(0.75, 1.2), -side * p.near(15, 60))
    lamp = p.pick("floor_lamp")
    if lamp is not None and (p.is_main("floor_lamp") or p.often(0.6)):
        p.put(
            lamp,
            x + side * (unit.size[0] / 2 + lamp.shape.width / 2 + p.near(0.1, 0.9)),
            -lamp.shape.depth / 2 - 0.06,
            p.near(-20, 20),
        )
    if p.is_main("stool") or p.often(0.4):
        p.put(p.pick("stool", low_stool), x + p.near(-0.8, 0.8), -p.near(1.2, 1.7), p.near(-180, 180))


def corner(p: Planner) -> None:
    """Furnish a corner to read in."""
    side = p.side()
    x, y = side * (p.half - p.near(0.75, 1.05)), -p.near(0.75, 1.1)
    seat = "chair" if p.is_main("chair") else "armchair"
    chair = p.put(p.pick(seat), x, y, -side * p.near(15, 50))
    if chair is None:
        return
    lamp = p.pick("floor_lamp")
    if lamp is not None and (p.is_main("floor_lamp") or p.often(0.75)):
        for dx, dy in ((-0.62, 0.35), (0.6, 0.3), (-0.8, 0.0)):
            if p.put(
                lamp,
                x + side * dx - side * lamp.shape.width * 0.3,
                min(y + dy, -lamp.shape.depth / 2 - 0.04),
                p.near(-40, 40),
            ):
                break
    if p.is_main("stool") or p.often(0.5):
        p.put(p.pick("stool", low_stool), x - side * p.near(0.3, 0.7), y - p.near(0.7, 0.95), p.near(-180, 180))
    table = p.prop(("side_table", "box_table"), x - side * p.near(0.65, 0.85), y + p.near(0.0, 0.3), 0.0)
    if table is not None and (p.is_main("table_lamp") or p.often(0.3)):
        p.upon("table_lamp", table)
    shelf = p.pick("bookcase")
    if shelf is not None and (p.is_main("bookcase") or p.often(0.7)):
        for shift in (1.5, 1.8, 2.2, 2.6):
            if p.at_back(shelf, x - side * shift):
                break


def bedroom(p: Planner) -> None:
    """Furnish a bedroom, the bed's head at the wall."""
    x = p.near(-0.4, 0.4)
    bed = p.at_back(p.pick("bed"), x, 0.03)
    if bed is None:
        return
    for side in (-1, 1):
        _bedside(p, bed, side)
    side = p.side()
    wardrobe = p.pick("cabinet", lambda one: one.shape.height > 1.0 and one.shape.depth > 0.4)
    if wardrobe is not None and p.often(0.5):
        _ = p.at_side(wardrobe, side, -p.near(1.0, 1.4)) or p.at_side(wardrobe, side, -p.near(1.8, 2.4))
    if p.is_main("armchair") or p.often(0.45):
        p.put(p.pick("armchair"), -side * (p.half - 0.6), -p.near(1.4, 2.4), side * p.near(40, 80))
    if p.is_main("stool") or p.often(0.4):
        p.put(
            p.pick("stool", low_stool),
            x + p.near(-0.6, 0.6),
            bed.at[1] - bed.size[1] / 2 - p.near(0.3, 0.5),
            p.near(-30, 30),
        )
    if p.is_main("floor_lamp") or p.often(0.3):
        p.in_corner(p.pick("floor_lamp"), -side)


def _bedside(p: Planner, bed: Item, side: int) -> None:
    """Stand a nightstand beside the bed, a lamp on it."""
    x = bed.at[0]
    night = p.pick("cabinet", bedside)
    stand = None
    if night is not None and (p.main is night or p.often(0.7)):
        stand = p.at_back(night, x + side * (bed.size[0] / 2 + night.shape.width / 2 + p.near(0.05, 0.15)))
    if stand is None:
        stand = p.prop(("side_table", "box_table"), x + side * (bed.size[0] / 2 + 0.32), -0.3, 0.0)
    if p.is_main("table_lamp") or p.often(0.65):
        p.upon("table_lamp", stand)


def wardrobe(p: Planner) -> None:
    """Furnish a bedroom seen towards its wardrobe or chest, the bed at one side."""
    side = p.side()
    unit = p.at_back(p.pick("cabinet", big_case), -side * p.near(0.0, 0.8))
    if unit is None:
        return
    if unit.size[2] < 1.15 and p.often(0.6):
        p.upon("table_lamp", unit, p.near(-0.3, 0.3) * unit.size[0])
    bed = p.pick("bed")
    if bed is not None and p.often(0.7):
        p.put(bed, side * (p.half - bed.shape.depth / 2 - 0.03), -p.near(1.7, 2.2), -90.0 * side)
    if p.often(0.6):
        p.put(
            p.pick("chair") if p.often(0.5) else p.pick("armchair"),
            unit.at[0] - side * (unit.size[0] / 2 + p.near(0.45, 0.6)),
            -p.near(0.6, 0.9),
            side * p.near(10, 50),
        )
    if p.is_main("stool") or p.often(0.4):
        p.put(p.pick("stool", low_stool), unit.at[0] + p.near(-0.5, 0.5), -p.near(1.2, 1.6), p.near(-180, 180))


def hall(p: Planner) -> None:
    """Furnish an entrance."""
    side, x = p.side(), p.near(-0.5, 0.5)
    unit = p.at_back(p.pick("cabinet", low_case), x)
    if unit is not None and (p.is_main("table_lamp") or p.often(0.6)):
        p.upon("table_lamp", unit, p.side() * p.near(0.1, 0.3) * unit.size[0])
    edge = unit.size[0] / 2 if unit is not None else 0.2
    seat = (
        p.pick("stool", low_stool)
        if p.is_main("stool") or (not p.is_main("chair") and p.often(0.5))
        else p.pick("chair")
    )
    if seat is not None:
        p.put(
            seat,
            x + side * (edge + seat.shape.width / 2 + p.near(0.1, 0.4)),
            -seat.shape.depth / 2 - p.near(0.06, 0.35),
            p.near(-25, 25),
        )
    if p.often(0.4):
        lamp = p.pick("floor_lamp")
        if lamp is not None:
            p.put(lamp, x - side * (edge + lamp.shape.width / 2 + p.near(0.1, 0.3)), -lamp.shape.depth / 2 - 0.06)


SCENES: dict[str, Callable[[Planner], None]] = {
    "living": living,
    "wall": wall_unit,
    "corner": corner,
    "bedroom": bedroom,
    "wardrobe": wardrobe,
    "dining": dining,
    "study": study,
    "hall": hall,
    "bar": bar,
}
