"""Stools without a back: on a stem, a drum, crossed legs or steps."""

import math

import numpy as np

from demo_shop_renderer.build.maker import Maker, Skins
from demo_shop_renderer.build.mesh import UPRIGHT, curve, fluted, lathe
from demo_shop_renderer.shapes import Chair


def stem(maker: Maker, shape: Chair, skins: Skins) -> None:
    """Build a round padded seat on a steel stem."""
    steel, cover, level = skins[0], skins[1], shape.seat_height
    radius = shape.width / 2
    maker.lathe(
        [
            (0.001, 0),
            (radius, 0),
            (radius, 0.008),
            (0.06, 0.028),
            (0.03, 0.05),
            (0.027, level - 0.08),
            (0.05, level - 0.06),
        ],
        steel,
        smooth=False,
        around=48,
    )
    ring = [(0.17 * math.cos(a), 0.17 * math.sin(a), 0.27) for a in np.linspace(0, math.tau, 40, endpoint=False)]
    maker.tube(ring, 0.01, steel, closed=True)
    maker.rod((-0.17, 0, 0.27), (0.17, 0, 0.27), 0.008, steel)
    pad = radius * 0.92
    maker.lathe(
        [
            (0.001, -0.07),
            (pad * 0.98, -0.07),
            (pad, -0.05),
            (pad, -0.03),
            (pad * 0.96, -0.008),
            (pad * 0.8, 0.006),
            (0.001, 0.012),
        ],
        cover,
        (0, 0, level),
        around=48,
    )
    maker.tube(
        [(pad * math.cos(a), pad * math.sin(a), level - 0.04) for a in np.linspace(0, math.tau, 48, endpoint=False)],
        0.006,
        steel,
        closed=True,
    )


def drum(maker: Maker, shape: Chair, skins: Skins) -> None:
    """Build a round stool: channelled, waisted or caged."""
    radius, level = shape.width / 2, shape.seat_height
    if shape.back == "hourglass":
        waist = [(0.001, 0), (radius * 0.94, 0), (radius, 0.02), (radius * 0.98, 0.06), (radius * 0.7, level * 0.34)]
        waist += [
            (radius * 0.6, level / 2),
            *((r, level - z) for r, z in reversed(waist[2:])),
            (radius * 0.94, level),
            (0.001, level),
        ]
        maker.lathe(waist, skins[0], around=48)
    elif shape.back == "cage":
        for z in (0.014, level - 0.05):
            maker.tube(
                [
                    (radius * 0.94 * math.cos(a), radius * 0.94 * math.sin(a), z)
                    for a in np.linspace(0, math.tau, 44, endpoint=False)
                ],
                0.013,
                skins[0],
                closed=True,
            )
        for i in range(18):
            a = math.tau * i / 18
            line = curve(
                np.array(
                    [
                        (r * radius * math.cos(a), r * radius * math.sin(a), z)
                        for r, z in ((0.94, 0.014), (0.78, level * 0.5), (0.94, level - 0.05))
                    ]
                ),
                6,
            )
            maker.tube(line, 0.007, skins[0])
        maker.lathe(
            [(0.001, -0.05), (radius * 0.95, -0.05), (radius, -0.025), (radius * 0.93, 0.0), (0.001, 0.006)],
            skins[1],
            (0, 0, level),
            around=44,
        )
    else:
        maker.lathe(
            [(0.001, 0), (radius * 0.9, 0), (radius * 0.9, 0.03), (0.001, 0.03)], skins[1], smooth=False, around=48
        )
        maker.put(fluted(radius, level - 0.09, 22, 0.022), skins[0], (0, 0, 0.03))
        maker.put(
            lathe(
                [
                    (0.001, 0),
                    (radius * 0.97, 0),
                    (radius * 1.0, 0.02),
                    (radius * 0.97, 0.045),
                    (radius * 0.8, 0.06),
                    (0.001, 0.066),
                ],
                48,
            ),
            skins[0],
            (0, 0, level - 0.062),
        )


def crossed(maker: Maker, shape: Chair, skins: Skins) -> None:
    """Build a cushion over crossed legs."""
    wide, deep, level = shape.width, shape.depth, shape.seat_height
    for y in (-deep / 2 + 0.04, deep / 2 - 0.04):
        for side in (-1, 1):
            line = curve(
                np.array(
                    [
                        (side * (wide / 2 - 0.03), y, 0.01),
                        (side * 0.09, y, level * 0.34),
                        (-side * 0.09, y, level * 0.5),
                        (-side * (wide / 2 - 0.05), y, level - 0.1),
                    ]
                ),
                7,
            )
            maker.tube(line, 0.013, skins[0])
    for x in (-wide / 2 + 0.05, wide / 2 - 0.05):
        maker.rod((x, -deep / 2 + 0.04, level - 0.1), (x, deep / 2 - 0.04, level - 0.1), 0.012, skins[0])
    maker.rod((0, -deep / 2 + 0.04, level * 0.42), (0, deep / 2 - 0.04, level * 0.42), 0.011, skins[0])
    maker.cushion(
        (wide, deep, 0.12), (0, 0, level - 0.05), skins[1], soft=0.85, crown=0.35, crease=0.003, piping=skins[1]
    )


def step(maker: Maker, shape: Chair, skins: Skins) -> None:
    """Build two steps between two sides."""
    wide, deep, level, wood = shape.width, shape.depth, shape.seat_height, skins[0]
    outline = np.array(
        [
            (-deep / 2, 0),
            (-deep / 2 + 0.07, 0),
            (-deep / 2 + 0.1, 0.1),
            (deep / 2 - 0.1, 0.1),
            (deep / 2 - 0.07, 0),
            (deep / 2, 0),
            (deep / 2 - 0.03, level - 0.02),
            (-0.05, level - 0.02),
            (-0.06, level / 2 - 0.02),
            (-deep / 2 + 0.01, level / 2 - 0.02),
        ]
    )
    for side in (-1, 1):
        maker.board(outline, 0.022, (side * (wide / 2 - 0.03), 0, 0), wood, (UPRIGHT, 0, UPRIGHT), axis="y")
    maker.box((wide, deep / 2 + 0.02, 0.022), (0, deep / 4 - 0.03, level - 0.011), wood, axis="x")
    maker.box((wide, deep / 2 + 0.0, 0.022), (0, -deep / 4 + 0.0, level / 2 - 0.011), wood, axis="x")
    maker.box((wide - 0.05, 0.018, 0.07), (0, deep / 2 - 0.06, level - 0.06), wood)
