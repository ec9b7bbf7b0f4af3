"""Bookcases that are no box: on posts, leaning, of tube, zigzag, arched, a tower, on spindles."""

import numpy as np

from demo_shop_renderer.build import fronts, outlines
from demo_shop_renderer.build.grid import cells
from demo_shop_renderer.build.maker import Maker, Skins
from demo_shop_renderer.build.mesh import UPRIGHT, Mesh, Points, curve, prism, rounded
from demo_shop_renderer.shapes import Case


def posts(maker: Maker, shape: Case, skins: Skins) -> None:
    """Build thick boards in a frame of steel, braced behind."""
    wide, deep, high = shape.width, shape.depth, shape.height
    steel, side = skins[1], 0.026
    for sx in (-1, 1):
        for sy in (-1, 1):
            maker.box((side, side, high), (sx * (wide - side) / 2, sy * (deep - side) / 2, high / 2), steel)
        maker.box((side, deep - 2 * side, side), (sx * (wide - side) / 2, 0, high - side / 2), steel)
        maker.box((side, deep - 2 * side, side), (sx * (wide - side) / 2, 0, 0.1), steel)
    count = len(cells(shape.grid))
    for i in range(count):
        z = 0.14 + (high - 0.2) * i / (count - 1)
        maker.box((wide - 2 * side, deep - 0.01, shape.board), (0, 0, z), skins[0], axis="x")
        room = (high - 0.2) / (count - 1) - shape.board if i < count - 1 else 0.3
        maker.rests.append((0.0, 0.0, z + shape.board / 2, wide - 0.1, deep - 0.04, room))
    for lean in (-1, 1):
        maker.rod(
            (-lean * (wide / 2 - side), deep / 2 - 0.01, 0.2),
            (lean * (wide / 2 - side), deep / 2 - 0.01, high - 0.1),
            0.006,
            steel,
        )


def ladder(maker: Maker, shape: Case, skins: Skins) -> None:
    """Build shelves between two leaning rails."""
    wide, deep, high, wood = shape.width, shape.depth, shape.height, skins[0]
    for side in (-1, 1):
        x = side * (wide / 2 - 0.014)
        maker.put(_beam((x, -deep / 2 + 0.02, 0), (x, deep / 2 - 0.02, high), 0.028, 0.05), wood, bevel=0.004, axis="z")
        maker.box((0.022, 0.03, high * 0.82), (x - side * 0.022, deep / 2 - 0.02, high * 0.41), wood, axis="z")
    count = len(cells(shape.grid))
    for i in range(count):
        z = 0.16 + (high - 0.34) * i / (count - 1)
        front = -deep / 2 + 0.02 + (deep - 0.04) * z / high - 0.02
        long = max(0.1, deep / 2 - front)
        maker.box((wide - 0.06, long, 0.02), (0, deep / 2 - long / 2, z), wood, axis="x")
        maker.box((wide - 0.06, 0.012, 0.045), (0, deep / 2 - 0.008, z + 0.02), wood, axis="x")
        maker.rests.append((0.0, deep / 2 - long / 2, z + 0.01, wide - 0.12, long - 0.03, 0.3))


def _beam(start: fronts.Place, end: fronts.Place, wide: float, deep: float) -> Mesh:
    first, last = np.array(start), np.array(end)
    square = np.array([(-wide, -deep, 0), (wide, -deep, 0), (wide, deep, 0), (-wide, deep, 0)]) / 2
    return Mesh(np.concatenate([first + square, last + square]), prism(square[:, :2], 1.0).faces)


def etagere(maker: Maker, shape: Case, skins: Skins) -> None:
    """Build thin shelves in a frame of tube."""
    wide, deep, high = shape.width, shape.depth, shape.height
    tube, count = skins[1], len(cells(shape.grid))
    for side in (-1, 1):
        x = side * (wide / 2 - 0.012)
        loop = [
            (x, -deep / 2 + 0.012, 0.012),
            (x, deep / 2 - 0.012, 0.012),
            (x, deep / 2 - 0.012, high - 0.012),
            (x, -deep / 2 + 0.012, high - 0.012),
        ]
        maker.tube(np.array(_round(loop, 0.05)), 0.011, tube, closed=True)
    for i in range(count):
        z = 0.1 + (high - 0.16) * i / (count - 1)
        for y in (-deep / 2 + 0.014, deep / 2 - 0.014):
            maker.rod((-wide / 2 + 0.012, y, z - 0.012), (wide / 2 - 0.012, y, z - 0.012), 0.008, tube)
        maker.box((wide - 0.03, deep - 0.024, shape.board), (0, 0, z + 0.002), skins[0], axis="x", bevel=0.002)
        maker.rests.append((0.0, 0.0, z + 0.002 + shape.board / 2, wide - 0.12, deep - 0.06, 0.34))


def _round(points: list[tuple[float, float, float]], radius: float) -> Points:
    return rounded(points, radius, closed=True)


def zigzag(maker: Maker, shape: Case, skins: Skins) -> None:
    """Build boxes that step from side to side."""
    wide, deep, high, t, wood = shape.width, shape.depth, shape.height, shape.board, skins[0]
    count = len(cells(shape.grid))
    each = (high - t) / count
    for i in range(count + 1):
        z = t / 2 + each * i
        maker.box((wide, deep, t), (0, 0, z), wood, axis="x")
        if i < count:
            side = -1 if i % 2 == 0 else 1
            maker.box((t, deep, each - t), (side * (wide / 2 - t / 2), 0, z + each / 2), wood, axis="z")
            maker.box((t, deep, each - t), (-side * wide * 0.12, 0, z + each / 2), wood, axis="z")
            maker.rests.append((side * wide * 0.19, 0.0, z + t / 2, wide * 0.55, deep - 0.03, each - t))


def arched(maker: Maker, shape: Case, skins: Skins) -> None:
    """Build a bookcase under an arch."""
    wide, deep, high, t, body = shape.width, shape.depth, shape.height, 0.03, skins[0]
    spring = high - wide / 2
    outer = outlines.arch(wide, high, spring)
    inner = outlines.arch(wide - 2 * t, high - t, spring)
    top = len(outer)
    rim: list[tuple[int, ...]] = []
    points = np.concatenate(
        [
            np.column_stack([line[:, 0], np.full(top, y), line[:, 1]])
            for y in (-deep / 2, deep / 2)
            for line in (outer, inner)
        ]
    )
    for k in range(1, top):  # all round but between the feet
        on = (k + 1) % top
        for a, b in ((0, 1), (3, 2), (2, 0), (1, 3)):
            rim.append((a * top + k, a * top + on, b * top + on, b * top + k))
    maker.put(Mesh(points, rim), body, bevel=0.003)
    maker.board(inner * (1.01, 1.0), 0.01, (0, deep / 2 - 0.012, 0), body, (UPRIGHT, 0, 0), axis="y")
    for side in (-1, 1):
        maker.box((t, deep, 0.02), (side * (wide - t) / 2, 0, 0.01), body)
    count = len(cells(shape.grid))
    for i in range(count):
        z = 0.05 + (spring - 0.02) * i / (count - 1)
        maker.box((wide - 2 * t, deep - 0.02, 0.022), (0, 0.005, z), body, axis="x")
        maker.rests.append((0.0, 0.0, z + 0.011, wide - 0.12, deep - 0.05, 0.3))
    maker.box((wide - 2 * t, deep - 0.06, 0.04), (0, 0.02, 0.02), body, axis="x")


def tower(maker: Maker, shape: Case, skins: Skins) -> None:
    """Build trays round one post."""
    wide, deep, high, skin = shape.width, shape.depth, shape.height, skins[0]
    count = len(cells(shape.grid))
    maker.box((wide, deep, 0.025), (0, 0, 0.0125), skin)
    maker.box((0.06, 0.06, high - 0.02), (0, deep / 2 - 0.08, high / 2), skin, axis="z")
    for i in range(count):
        z = 0.07 + (high - 0.1) * i / (count - 1)
        maker.box((wide * 0.86, deep * 0.84, 0.016), (0, -0.01, z), skin, axis="x", bevel=0.003)
        for side in (-1, 1):
            maker.box((0.006, deep * 0.84, 0.05), (side * wide * 0.43, -0.01, z + 0.02), skin, axis="y", bevel=0.002)
        maker.rests.append((0.0, -0.03, z + 0.008, wide * 0.8, deep * 0.6, (high - 0.1) / (count - 1) - 0.02))


def spindles(maker: Maker, shape: Case, skins: Skins) -> None:
    """Build boards on turned uprights."""
    wide, deep, high, wood = shape.width, shape.depth, shape.height, skins[0]
    count = len(cells(shape.grid))
    each = (high - 0.1) / (count - 1)
    for i in range(count):
        z = 0.08 + each * i
        maker.board(outlines.rectangle(wide, deep, 0.03), shape.board, (0, 0, z), wood, axis="x", bevel=0.007)
        maker.rests.append(
            (0.0, 0.0, z + shape.board / 2, wide - 0.16, deep - 0.06, each - 0.03 if i < count - 1 else 0.3)
        )
        for sx in (-1, 1):
            for sy in (-1, 1):
                x, y = sx * (wide / 2 - 0.045), sy * (deep / 2 - 0.045)
                if i < count - 1:
                    profile = [
                        (0.014, 0),
                        (0.02, 0.06),
                        (0.012, 0.12),
                        (0.018, 0.3),
                        (0.022, 0.5),
                        (0.018, 0.7),
                        (0.012, 0.88),
                        (0.02, 0.94),
                        (0.014, 1.0),
                    ]
                    maker.lathe([(r, s * each) for r, s in profile], wood, (x, y, z), around=14)
                elif i == count - 1:
                    maker.lathe(
                        [(0.012, 0), (0.02, 0.02), (0.018, 0.035), (0.001, 0.045)], wood, (x, y, z + 0.01), around=14
                    )
                if i == 0:
                    maker.lathe([(0.012, 0), (0.02, 0.03), (0.016, 0.07)], wood, (x, y, 0), around=14)
    line = curve(
        np.array(
            [
                (-wide / 2 + 0.045, deep / 2 - 0.045, high * 0.5),
                (0, deep / 2 - 0.045, high * 0.56),
                (wide / 2 - 0.045, deep / 2 - 0.045, high * 0.5),
            ]
        ),
        5,
    )
    maker.tube(line, 0.006, wood)
