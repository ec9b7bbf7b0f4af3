"""Chairs and stools that are moulded, bent of tube, or upholstered all over."""

import math

import numpy as np

from demo_shop_renderer.build import outlines, stools
from demo_shop_renderer.build.legs import SIDES, feet, sled, star, trumpet
from demo_shop_renderer.build.maker import Maker, Skin, Skins
from demo_shop_renderer.build.mesh import UPRIGHT, Mesh, Points, box, curve, loft, rounded, sheet
from demo_shop_renderer.shapes import Chair


def _profiled(
    maker: Maker, skin: Skin, knots: list[tuple[float, float]], widths: list[float], *, lift: float, thick: float
) -> None:
    """Add a sheet bent along a profile of (y, z) from the front edge to the top, its sides raised."""
    line = curve(np.array(knots), 6)
    length = np.linspace(0, 1, len(line))

    def form(u: Points, v: Points) -> tuple[Points, Points, Points]:
        across = 2 * u - 1
        y, z = (np.interp(v, length, line[:, k]) for k in (0, 1))
        half = np.interp(v, np.linspace(0, 1, len(widths)), widths)
        edge = np.abs(across) ** 3
        raised = lift * edge * np.exp(-(((v - 0.55) / 0.24) ** 2))
        forward = 0.75 * lift * np.abs(across) ** 2.5 * np.clip((v - 0.5) * 2, 0, 1)
        return across * half, y - forward, z + raised + 0.1 * lift * edge

    maker.put(sheet(form, 20, 24), skin, thick=thick, subdivide=1, axis="x")


def shell(maker: Maker, shape: Chair, skins: Skins) -> None:
    """Build a bucket on wooden legs, or on one stem."""
    level, half = shape.seat_height, shape.width / 2
    knots = [
        (-0.235, 0.012),
        (-0.2, 0.0),
        (0.0, -0.02),
        (0.13, -0.01),
        (0.2, 0.06),
        (0.225, 0.2),
        (0.255, shape.height - level),
    ]
    knots = [(y, z + level) for y, z in knots]
    _profiled(
        maker,
        skins[0],
        knots,
        [half * 0.86, half * 0.95, half, half, half * 0.96, half * 0.88, half * 0.68],
        lift=0.13,
        thick=0.012,
    )
    if shape.seat == "pad":
        maker.lathe(
            [(0.001, 0), (0.17, 0.002), (0.185, 0.016), (0.17, 0.032), (0.001, 0.038)],
            skins[1],
            (0, -0.04, level - 0.012),
            around=40,
        )
    if shape.legs == "pedestal":
        trumpet(maker, 0.25, 0.028, level - 0.02, skins[0], 0.12)
        return
    for sx, sy in SIDES:
        maker.rod((sx * 0.23, sy * 0.22, 0), (sx * 0.1, sy * 0.1, level - 0.022), (0.009, 0.016), skins[1])
    for side in (-1, 1):
        maker.rod((side * 0.14, -0.14, level - 0.1), (-side * 0.14, 0.14, level - 0.1), 0.005, "black steel")


def cantilever(maker: Maker, shape: Chair, skins: Skins) -> None:
    """Build cane in wooden frames on one springing tube."""
    wood, cane, steel = skins[0], skins[1], skins[2]
    level, half, deep = shape.seat_height, shape.width / 2 - 0.012, shape.depth / 2
    for side in (-1, 1):
        x = side * half
        path = [
            (x, deep - 0.03, shape.height - 0.05),
            (x, deep - 0.09, level - 0.01),
            (x, -deep + 0.1, level - 0.02),
            (x, -deep + 0.09, 0.012),
            (x, deep - 0.05, 0.012),
        ]
        maker.tube(rounded(path, 0.08), 0.0115, steel)
    maker.rod((-half, deep - 0.05, 0.012), (half, deep - 0.05, 0.012), 0.0115, steel)
    frame = outlines.rectangle(2 * half - 0.03, 0.42, 0.05)
    maker.tube([(x, y, 0) for x, y in frame], 0.016, wood, closed=True, at=(0, -0.05, level))
    maker.board(frame * 0.96, 0.008, (0, -0.05, level), cane)
    back = outlines.rectangle(2 * half - 0.03, 0.24, 0.05)
    place = (0, deep - 0.045, shape.height - 0.15)
    maker.tube([(x, y, 0) for x, y in back], 0.014, wood, closed=True, at=place, turn=(UPRIGHT - 0.14, 0, 0))
    maker.board(back * 0.95, 0.006, place, cane, (UPRIGHT - 0.14, 0, 0))


def parsons(maker: Maker, shape: Chair, skins: Skins) -> None:
    """Build an upholstered chair: on four legs, or on castors with arms."""
    cover, base = skins[0], skins[1]
    level, wide = shape.seat_height, shape.width
    if shape.legs == "castors":
        star(maker, 0.3, level - 0.08, base, castors=True)
        wide -= 0.14
        maker.rod((0, 0.1, level - 0.06), (0, 0.26, level + 0.05), 0.018, "black steel")
        maker.rod((0, 0.26, level + 0.03), (0, 0.25, level + 0.2), 0.02, "black steel")
        maker.cushion((wide, 0.48, 0.085), (0, -0.01, level - 0.02), cover, soft=0.9, crown=0.4, crease=0.002)
        high = shape.height - level - 0.1
        maker.cushion(
            (wide - 0.03, 0.07, high),
            (0, 0.235, level + 0.1 + high / 2),
            cover,
            (-0.1, 0, 0),
            soft=0.95,
            crown=0.5,
            crease=0.002,
        )
        for side in (-1, 1):
            x = side * (wide / 2 + 0.04)
            arm = rounded(
                [(side * wide * 0.3, 0.05, level - 0.06), (x, 0.05, level - 0.06), (x, 0.05, level + 0.19)], 0.05
            )
            maker.tube(arm, 0.013, base)
            maker.cushion((0.06, 0.24, 0.03), (x, 0.0, level + 0.2), "plastic:black", soft=0.8, crown=0.2, crease=0.0)
        return
    feet(maker, "tapered", (wide - 0.02, shape.depth - 0.12), level - 0.1, base, inset=0.04, thick=0.02)
    maker.cushion(
        (wide, shape.depth - 0.1, 0.13),
        (0, -0.04, level - 0.06),
        cover,
        soft=0.5,
        crown=0.3,
        crease=0.003,
        piping=cover,
    )
    high = shape.height - level + 0.1
    maker.cushion(
        (wide - 0.01, 0.085, high),
        (0, shape.depth / 2 - 0.1, level - 0.1 + high / 2),
        cover,
        (-0.13, 0, 0),
        soft=0.7,
        crown=0.25,
        crease=0.003,
        piping=cover,
    )


def bent(maker: Maker, shape: Chair, skins: Skins) -> None:
    """Build one sheet of plywood on a sled of rod."""
    level, half = shape.seat_height, shape.width / 2
    knots = [
        (-0.25, -0.035),
        (-0.22, -0.005),
        (-0.05, -0.012),
        (0.12, -0.006),
        (0.19, 0.05),
        (0.2, 0.16),
        (0.245, shape.height - level),
    ]
    _profiled(
        maker,
        skins[0],
        [(y, z + level) for y, z in knots],
        [half, half, half * 0.97, half * 0.74, half * 0.6, half * 0.82, half * 0.92],
        lift=0.03,
        thick=0.012,
    )
    sled(maker, (shape.width * 0.94, shape.depth * 0.86), level - 0.02, skins[1], 0.02, 0.008)
    for y in (-0.15, 0.14):
        maker.rod((-half * 0.86, y, level - 0.026), (half * 0.86, y, level - 0.026), 0.008, skins[1])


def pressed(maker: Maker, shape: Chair, skins: Skins) -> None:
    """Build a chair of pressed sheet steel."""
    steel, level, half = skins[0], shape.seat_height, shape.width / 2
    for sx, sy in SIDES:
        maker.put(
            _wedge(0.028, 0.05, level - 0.02),
            steel,
            (sx * (half - 0.045), sy * (shape.depth / 2 - 0.1), 0),
            (sy * 0.09, -sx * 0.06, 0 if sx * sy > 0 else UPRIGHT),
        )
    outline = outlines.rectangle(shape.width - 0.05, shape.depth - 0.1, 0.06)
    maker.board(outline, 0.035, (0, -0.02, level - 0.012), steel, bevel=0.014, rounds=3)
    rear = shape.depth / 2 - 0.085
    knots = [
        (-half + 0.06, rear, level - 0.03),
        (-half + 0.045, rear + 0.05, shape.height - 0.12),
        (-half + 0.12, rear + 0.065, shape.height - 0.012),
    ]
    line = curve(np.array([*knots, *((-x, y, z) for x, y, z in reversed(knots))]), 7)
    maker.tube(line, 0.012, steel)
    maker.box(
        (0.1, 0.01, shape.height - level - 0.02),
        (0, rear + 0.035, (shape.height + level) / 2 - 0.01),
        steel,
        (-0.14, 0, 0),
        bevel=0.003,
    )
    for side in (-1, 1):
        maker.rod((side * (half - 0.05), -0.12, 0.2), (-side * (half - 0.05), 0.12, 0.2), 0.006, steel)


def _wedge(foot: float, head: float, high: float) -> Mesh:
    form = box((head, head, high), foot / head)
    return type(form)(form.points + np.array([0.0, 0.0, high / 2]), form.faces)


def tub(maker: Maker, shape: Chair, skins: Skins) -> None:
    """Build a round-backed chair with low arms."""
    cover, base, level = skins[0], skins[1], shape.seat_height
    feet(maker, "straight", (shape.width * 0.86, shape.depth * 0.86), level - 0.05, base, inset=0.085, thick=0.024)
    seat = outlines.ellipse(shape.width * 0.86, shape.depth * 0.9, 2.8)
    profile = ((0.9, -0.08), (0.98, -0.06), (1.0, -0.02), (0.96, 0.015), (0.85, 0.03), (0.3, 0.036))
    maker.put(loft(np.stack([np.column_stack([seat * s, np.full(len(seat), level + z)]) for s, z in profile])), cover)
    half, top = shape.width / 2 - 0.03, shape.height
    steps = []
    for angle in np.linspace(-0.5, math.pi + 0.5, 36):
        share = max(0.0, math.sin(angle))
        rise = level + 0.18 + (top - level - 0.18) * share**0.8
        low = level - 0.07 + 0.1 * share
        thick = 0.03 * min(1.0, (0.5 + min(angle + 0.5, math.pi + 0.5 - angle)) / 0.8)
        ring = np.linspace(0, math.tau, 16, endpoint=False)
        reach = np.sign(np.cos(ring)) * np.abs(np.cos(ring)) ** 0.6 * thick
        z = (low + rise) / 2 + (rise - low) / 2 * np.sign(np.sin(ring)) * np.abs(np.sin(ring)) ** 0.4
        lean = 1 + 0.1 * (z - level)
        steps.append(
            np.column_stack(
                [(half + reach) * lean * math.cos(angle), (shape.depth / 2 - 0.04 + reach) * lean * math.sin(angle), z]
            )
        )
    maker.put(loft(np.stack(steps)), cover)


BUILDS = {
    "shell": shell,
    "cantilever": cantilever,
    "parsons": parsons,
    "bent": bent,
    "metal": pressed,
    "tub": tub,
    "pedestal": stools.stem,
    "drum": stools.drum,
    "crossed": stools.crossed,
    "step": stools.step,
}
