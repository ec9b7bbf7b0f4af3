"""Sofas and armchairs that are a box of upholstery: base, arms, back, cushions."""

import math

import numpy as np

from demo_shop_renderer.build import soft
from demo_shop_renderer.build.backs import BACKS, Box
from demo_shop_renderer.build.legs import feet
from demo_shop_renderer.build.maker import Maker, Skin
from demo_shop_renderer.build.mesh import UPRIGHT, curve
from demo_shop_renderer.shapes import Sofa


def upholstered(maker: Maker, shape: Sofa, skins: tuple[Skin, ...]) -> None:
    """Build the whole piece."""
    cover, wood = skins[0], skins[min(1, len(skins) - 1)]
    box = Box(shape)
    _base(maker, box, cover, wood)
    if shape.arms != "none":
        for side in (-1, 1):
            _arm(maker, box, side, cover)
    BACKS[shape.back](maker, box, cover)
    _seat(maker, box, cover)
    if shape.scatter:
        _scatter(maker, box, skins[-1])


def _base(maker: Maker, box: Box, cover: Skin, wood: Skin) -> None:
    shape, foot = box.shape, box.shape.leg_height
    footprint = (shape.width - 0.06, box.body - 0.04)
    if shape.base == "plinth":
        maker.box((shape.width - 0.12, box.body - 0.12, foot + 0.02), (0, box.middle, foot / 2 + 0.01), "plastic:black")
    elif shape.legs not in ("none",):
        before = len(maker.parts)
        feet(maker, shape.legs, footprint, foot + 0.02, wood, inset=0.05, thick=0.022 if foot > 0.1 else 0.028)
        for part in maker.parts[before:]:
            part.location.y += box.middle
    high = box.deck - foot
    maker.cushion(
        (shape.width - 0.012, box.body - 0.01, high),
        (0, box.middle, foot + high / 2),
        cover,
        soft=0.35,
        crown=0.02,
        crease=0.002,
    )
    if shape.base == "skirt":
        for side in (-1, 1):
            form = soft.curtain(box.body - 0.02, 0.2, 9, 0.006, maker.next_seed())
            maker.put(form, cover, (side * (shape.width / 2 - 0.004), box.middle, 0.215), (0, 0, UPRIGHT), thick=0.006)
            form = soft.curtain(shape.width - 0.02, 0.2, 18, 0.006, maker.next_seed())
            maker.put(form, cover, (0, box.middle + side * (box.body / 2 - 0.004), 0.215), thick=0.006)
        maker.box((shape.width - 0.05, box.body - 0.05, 0.1), (0, box.middle, 0.06), cover)


def _arm(maker: Maker, box: Box, side: int, cover: Skin) -> None:
    shape, wide, top = box.shape, box.shape.arm_width, box.shape.arm_height
    foot = shape.leg_height if shape.base != "skirt" else 0.02
    x, high = side * (shape.width / 2 - wide / 2), top - foot
    if shape.arms in ("rolled", "flare"):
        lean = 0.0 if shape.arms == "rolled" else 0.16
        roll = wide * (0.5 if shape.arms == "rolled" else 0.36)
        under = high - roll
        maker.cushion(
            (wide * 0.72, box.body, under),
            (x - side * wide * 0.12, box.middle, foot + under / 2),
            cover,
            (0, side * lean, 0),
            soft=0.3,
            crown=0.02,
            crease=0.002,
        )
        out = x + side * (0.0 if shape.arms == "rolled" else wide * 0.22)
        maker.put(soft.bolster(roll, box.body - 0.01, maker.next_seed()), cover, (out, box.middle, top - roll))
        if shape.piping:
            ring = [
                (roll * 0.93 * math.cos(a), 0, roll * 0.93 * math.sin(a))
                for a in np.linspace(0, math.tau, 28, endpoint=False)
            ]
            maker.tube(
                ring, 0.005, cover, closed=True, at=(out, box.middle - box.body / 2 + 0.008, top - roll), around=6
            )
    elif shape.arms == "slope":
        front, rear = box.middle - box.body / 2 + 0.01, box.rear - 0.01
        outline = curve(
            np.array(
                [
                    (front + 0.01, top - 0.09),
                    (box.middle, top - 0.05),
                    (rear - 0.12, top + 0.05),
                    (rear, shape.height - 0.04),
                ]
            ),
            6,
        )
        outline = np.concatenate([[(rear, foot), (front + 0.05, foot)], outline])[::-1]
        maker.board(outline, wide, (x, 0, 0), cover, (UPRIGHT, 0, UPRIGHT), bevel=min(0.035, wide * 0.4), rounds=4)
    else:
        form = {"track": 0.34, "pad": 0.3, "round": 1.0}.get(shape.arms, 0.4)
        maker.cushion(
            (wide, box.body, high),
            (x, box.middle, foot + high / 2),
            cover,
            soft=form,
            crown=0.05,
            crease=0.003,
            inner=9,
            piping=cover if shape.piping else None,
        )


def _seat(maker: Maker, box: Box, cover: Skin) -> None:
    shape = box.shape
    inner = box.inner if shape.arms != "none" else shape.width - 0.01
    deep = box.body - box.back + (0.0 if shape.arms == "none" else 0.005)
    if shape.back == "grid":
        _quilt(maker, box, cover, deep)
        return
    each = inner / box.count
    for i in range(box.count):
        x, long = -inner / 2 + each * (i + 0.5), deep
        if shape.chaise and i == (box.count - 1 if shape.chaise > 0 else 0):
            long = shape.depth - box.back
            low = box.deck - shape.leg_height
            maker.cushion(
                (each + shape.arm_width * 0.0, shape.depth - box.body + 0.1, low),
                (x, -box.rear + (shape.depth - box.body + 0.1) / 2, shape.leg_height + low / 2),
                cover,
                soft=0.35,
                crown=0.02,
                crease=0.002,
            )
            for at in (-1, 1):
                maker.box(
                    (0.05, 0.05, shape.leg_height),
                    (x + at * (each / 2 - 0.06), -box.rear + 0.08, shape.leg_height / 2),
                    "plastic:black",
                )
        y = box.rear - box.back - long / 2
        maker.cushion(
            (each - 0.004, long, box.thick),
            (x, y, box.deck + box.thick / 2),
            cover,
            soft=shape.soft,
            crown=0.2,
            crease=0.006,
            sag=0.06,
            piping=cover if shape.piping else None,
        )


def _quilt(maker: Maker, box: Box, cover: Skin, deep: float) -> None:
    shape = box.shape
    columns, rows = max(3, round(shape.width / 0.3)), 3
    wide, long = shape.width / columns, (deep + 0.03) / rows
    for i in range(columns):
        for j in range(rows):
            at = (
                -shape.width / 2 + wide * (i + 0.5),
                box.middle - box.body / 2 + long * (j + 0.5),
                box.deck + box.thick / 2,
            )
            maker.cushion(
                (wide + 0.004, long + 0.004, box.thick), at, cover, soft=0.85, crown=0.35, crease=0.008, inner=5
            )


def _scatter(maker: Maker, box: Box, skin: Skin) -> None:
    shape = box.shape
    for i in range(shape.scatter):
        side = -1 if i % 2 == 0 else 1
        wide = min(0.46, box.inner * 0.55)
        x = side * max(0.0, box.inner / 2 - wide * 0.55) if box.inner > 0.9 else 0.03
        y = box.rear - box.back - (0.2 if shape.back in ("box", "pillow", "block") else 0.12)
        maker.pillow(
            wide, wide * 0.92, 0.16, (x, y, shape.seat_height + wide * 0.42), skin, (UPRIGHT - 0.4, 0, -side * 0.25)
        )
