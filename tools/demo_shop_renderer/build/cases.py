"""Bookcases, cabinets and wardrobes."""

from demo_shop_renderer.build import fronts, shelves
from demo_shop_renderer.build.grid import cells
from demo_shop_renderer.build.legs import feet
from demo_shop_renderer.build.maker import Maker, Skin, Skins
from demo_shop_renderer.shapes import Case


def box(maker: Maker, shape: Case, skins: Skins) -> None:
    """Build a carcass on its feet, divided and closed as its grid says."""
    body, face, metal = skins[0], skins[min(1, len(skins) - 1)], skins[-1]
    wide, deep, t, foot = shape.width, shape.depth, shape.board, shape.leg_height
    metal_legs = shape.legs in ("straight", "sled", "hairpin")
    feet(
        maker,
        shape.legs,
        (wide, deep),
        foot,
        metal if metal_legs else body,
        inset=0.035 if shape.legs == "plinth" else 0.05,
        thick=0.024,
    )
    high, middle = shape.height - foot, foot + (shape.height - foot) / 2
    closed = 0.01 if shape.backed else 0.0
    for side in (-1, 1):
        maker.box((t, deep, high), (side * (wide - t) / 2, 0, middle), body, axis="z")
    maker.box((wide - 2 * t, deep, t), (0, 0, foot + t / 2), body, axis="x")
    over = shape.overhang
    maker.box(
        (wide - 2 * t if not over else wide + 2 * over, deep + over, t),
        (0, -over / 2, shape.height - t / 2 + (0.0 if not over else 0.002)),
        body,
        axis="x",
    )
    if shape.backed:
        maker.box((wide - 2 * t, closed, high - 2 * t), (0, deep / 2 - 0.012, middle), body, axis="z", bevel=0.0)
    _divide(maker, shape, skins, face, metal)


def _divide(maker: Maker, shape: Case, skins: Skins, face: Skin, metal: Skin) -> None:
    wide, deep, t = shape.width, shape.depth, shape.board
    inside, high = wide - 2 * t, shape.height - shape.leg_height - 2 * t
    floor = shape.leg_height + t
    done: set[int] = set()
    parts = cells(shape.grid)
    for cell in parts:
        w, h = cell.width * inside, cell.height * high
        x, z = (cell.left + cell.width / 2 - 0.5) * inside, floor + (cell.low + cell.height / 2) * high
        if cell.column and cell.column not in done:
            done.add(cell.column)
            maker.box((t * 0.9, deep - 0.016, high), (x - w / 2, 0, floor + high / 2), skins[0], axis="z")
        if cell.low > 0.001:
            maker.box((w - t * 0.6, deep - 0.02, t * 0.9), (x, 0, floor + cell.low * high), skins[0], axis="x")
        if cell.kind in "ox":
            if cell.kind == "o":
                maker.rests.append((x, 0.0, floor + cell.low * high + t / 2, w - t, deep - 0.03, h - t))
            continue
        panel = skins[0] if cell.kind == "c" else face
        fronts.front(maker, cell.kind, shape.front, (w, h), (x, -deep / 2, z), panel, skins[0])
        if cell.kind == "g":
            for share in (1 / 3, 2 / 3):
                maker.box((w - t, deep - 0.08, 0.008), (x, 0.02, z - h / 2 + h * share), "glass:clear", bevel=0.001)
        _pull(
            maker,
            shape,
            cell.kind,
            (x, -deep / 2 - fronts.THICK, z),
            (w, h),
            (cell.column, len({c.column for c in parts})),
            metal,
        )


def _pull(
    maker: Maker,
    shape: Case,
    kind: str,
    at: fronts.Place,
    size: tuple[float, float],
    column: tuple[int, int],
    metal: Skin,
) -> None:
    """Add the handle where a hand looks for it."""
    if shape.handle == "none" or kind == "t":
        return
    x, y, z = at
    wide, high = size
    if kind == "w":
        spread = (-wide * 0.28, wide * 0.28) if wide > 0.62 and shape.handle in ("knob", "cup", "ring") else (0.0,)
        for shift in spread:
            fronts.handle(
                maker,
                shape.handle,
                (x + shift, y, z + (high * 0.3 if shape.handle == "slot" else 0)),
                metal,
                False,
                min(0.5, wide * 0.5),
            )
        return
    number, count = column
    inward = 1 if number < count / 2 and not (count % 2 and number == count // 2) else -1
    if count == 1:
        inward = 1
    edge = x + inward * (wide / 2 - 0.035)
    level = z if high > 0.7 else z + high * 0.12
    fronts.handle(maker, shape.handle, (edge, y, level), metal, True, min(0.7, high * 0.5))


BUILDS = {
    "box": box,
    "posts": shelves.posts,
    "ladder": shelves.ladder,
    "etagere": shelves.etagere,
    "zigzag": shelves.zigzag,
    "arch": shelves.arched,
    "tower": shelves.tower,
    "spindles": shelves.spindles,
}
