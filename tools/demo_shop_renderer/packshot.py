"""A product alone on white: the shop's own picture, seen from three quarters, and turned as on a turntable."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from demo_shop_renderer import blender, engine
from demo_shop_renderer.build.furniture import build
from demo_shop_renderer.build.maker import Maker, Scene
from demo_shop_renderer.build.mesh import Points, sheet
from demo_shop_renderer.catalogue import Product, dice

WHITE = 246


TURNTABLE = ((30, 10), (-35, 30), (0, 10), (65, 30), (-65, 10), (95, 30), (-95, 10), (180, 30))
"""Views on a turntable: by how many degrees the product is turned, and how far above it the camera stands."""


def packshot(product: Product, seed: int, size: int, samples: int, scratch: Path) -> Image.Image:
    """Render one; `scratch` is a file name to use meanwhile."""
    chance = dice(seed, product.family.key, "packshot")  # all of a family from one side, as a shop does it
    noise, side = chance.randrange(10**6), chance.choice((-1, 1))
    stage = Scene()
    maker = build(stage, product)
    angles = side * chance.uniform(22, 38), chance.uniform(8, 15)
    return _taken(stage, maker, angles, -side, engine.set_up((size, size), samples, noise), scratch)


def turned(product: Product, view: int, seed: int, size: int, samples: int, scratch: Path) -> Image.Image:
    """Render a view on the turntable, counted from 1."""
    chance = dice(seed, product.sku, "turntable", view)
    turn, rise = TURNTABLE[view - 1]
    stage = Scene()
    maker = build(stage, product)
    maker.stand((0, 0, 0), math.radians(turn + chance.uniform(-10, 10)))
    scene = engine.set_up((size, size), samples, chance.randrange(10**6))
    return _taken(stage, maker, (0, rise + chance.uniform(-4, 4)), chance.choice((-1, 1)), scene, scratch)


def _taken(
    stage: Scene, maker: Maker, angles: tuple[float, float], light: int, scene: Any, scratch: Path
) -> Image.Image:
    """Render what was made, the camera at these angles (to the side, up), the key light from that side."""
    engine.view(scene, "AgX", "AgX - Medium High Contrast", -0.5)
    points = engine.corners(maker)
    reach = float(np.linalg.norm(np.ptp(points, axis=0)))
    _backdrop(stage, reach)
    _lights(reach, light)
    _frame(points, math.radians(angles[0]), math.radians(angles[1]), 0.86)
    engine.render(scene)
    engine.develop(scene, scratch)
    with Image.open(scratch) as image:
        return _whitened(image.convert("RGB"))


def _backdrop(stage: Scene, reach: float) -> None:
    def form(u: Points, v: Points) -> tuple[Any, ...]:
        flat, bend, along = 4.0 * reach, 1.2 * reach, 9 * reach * v
        angle = np.clip((along - flat) / bend, 0, math.pi / 2)
        past = np.maximum(0, along - flat - bend * math.pi / 2)
        y = np.where(along < flat, along, flat + bend * np.sin(angle)) - 2.5 * reach
        return (u - 0.5) * 14 * reach, y, bend - bend * np.cos(angle) + past

    paper = Maker(stage, "backdrop")
    from demo_shop_renderer.build.nodes import Graph, grey

    paper.put(sheet(form, 2, 60), Graph("backdrop").set(Base_Color=grey(0.9), Roughness=0.95, Specular_IOR_Level=0.0))


def _lights(reach: float, side: int) -> None:
    square = reach * reach
    engine.sky((1, 1, 1), (0.92, 0.92, 0.93), 0.55)
    engine.panel(
        (side * 1.3 * reach, -1.3 * reach, 1.9 * reach), (0, 0, 0.25 * reach), (1.4 * reach, 1.4 * reach), 62 * square
    )
    engine.panel(
        (-side * 1.9 * reach, -1.1 * reach, 1.1 * reach), (0, 0, 0.25 * reach), (1.4 * reach, 1.4 * reach), 13 * square
    )
    engine.panel((0, 0.6 * reach, 2.3 * reach), (0, 0.5 * reach, 0), (2 * reach, 2 * reach), 24 * square)


def _frame(points: Points, turn: float, rise: float, fill: float) -> None:
    """Place a long lens so that the points just fit, the middle of what is seen in the middle of the picture."""
    lens = 70.0
    middle = (points.min(0) + points.max(0)) / 2
    away = np.array([math.sin(turn) * math.cos(rise), -math.cos(turn) * math.cos(rise), math.sin(rise)])
    facing = blender.mathutils.Vector(-away).to_track_quat("-Z", "Y")
    seen = (points - middle) @ np.array(facing.to_matrix())
    near, far = 0.2, 60.0
    for _ in range(40):
        distance = (near + far) / 2
        deep = distance - seen[:, 2]
        flat = seen[:, :2] / deep[:, None] / (18 / lens)
        fits = bool((deep > 0.1).all()) and float(np.ptp(flat, axis=0).max()) < 2 * fill
        near, far = (near, distance) if fits else (distance, far)
    thing = engine.camera(middle + away * far, facing.to_euler(), lens)
    shift = (flat.max(0) + flat.min(0)) / 4
    thing.data.shift_x, thing.data.shift_y = float(shift[0]), float(shift[1])


def _whitened(image: Image.Image) -> Image.Image:
    """Lift the backdrop to white, by what its corners have."""
    picture = np.asarray(image, float)
    side = len(picture)
    patch = side // 14
    spots = [
        np.median(picture[y : y + patch, x : x + patch].reshape(-1, 3), 0)
        for y in (0, side - patch)
        for x in (0, side - patch)
    ]
    share = np.linspace(0, 1, side)
    top = spots[0] * (1 - share)[:, None] + spots[1] * share[:, None]
    foot = spots[2] * (1 - share)[:, None] + spots[3] * share[:, None]
    ground = top[None] * (1 - share)[:, None, None] + foot[None] * share[:, None, None]
    lifted = picture * (WHITE / ground)
    return Image.fromarray(lifted.clip(0, 255).round().astype(np.uint8))
