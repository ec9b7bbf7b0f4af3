"""What a camera sees of each product, found by casting rays into the built room."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo_shop_renderer import blender, boxes
from demo_shop_renderer.build.maker import Maker
from demo_shop_renderer.build.mesh import Points
from demo_shop_renderer.staging.views import View

COARSE = 18


class Sight:
    """All surfaces of a scene, and those of each product.

    Args:
        things: by the number of the product they are; all others under -1.
    """

    def __init__(self, things: Sequence[tuple[int, Maker]]) -> None:
        blender.bpy.context.view_layer.update()
        points: list[Points] = []
        faces: list[list[int]] = []
        count = 0
        self.points: dict[int, Points] = {}
        own: dict[int, list[list[int]]] = {}
        for number, maker in things:
            first = count
            for part in maker.parts:
                data = part.data
                spots = np.empty(len(data.vertices) * 3, np.float32)
                data.vertices.foreach_get("co", spots)
                matrix = np.array(part.matrix_world)
                placed = spots.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
                points.append(placed.astype(float))
                rings = [[count + corner for corner in polygon.vertices] for polygon in data.polygons]
                if not data.materials[0].name.startswith("glass"):  # what is behind a pane is seen
                    faces.extend(rings)
                if number >= 0:
                    own.setdefault(number, []).extend(rings)
                count += len(placed)
            if number >= 0 and count > first:
                self.points[number] = np.concatenate(points)[first:] if first else np.concatenate(points)
        everything = np.concatenate(points).tolist()
        tree = blender.mathutils.bvhtree.BVHTree if hasattr(blender.mathutils, "bvhtree") else _tree()
        self.whole = tree.FromPolygons(everything, faces)
        self.own = {number: tree.FromPolygons(everything, mine) for number, mine in own.items()}

    def share(self, view: View, number: int) -> tuple[float, float]:
        """Return how much of a product's outline is visible, and how much of the picture its box fills, coarsely."""
        left, top, right, bottom = self.frame(view, number)
        wide, high = view.size
        left, right = max(left, -0.6 * wide), min(right, 1.6 * wide)
        top, bottom = max(top, -0.6 * high), min(bottom, 1.6 * high)
        if right - left < 2 or bottom - top < 2:
            return 0.0, 0.0
        xs, ys = np.linspace(left, right, COARSE * 2 + 1)[1::2], np.linspace(top, bottom, COARSE * 2 + 1)[1::2]
        outline = 0
        seen = np.zeros((COARSE, COARSE), bool)
        for row, y in enumerate(ys):
            for column, x in enumerate(xs):
                own, first = self._cast(view, x, y, number)
                outline += own
                seen[row, column] = own and first and 0 <= x < wide and 0 <= y < high
        box = boxes.box_of(seen)
        cell = (right - left) * (bottom - top) / COARSE**2
        return seen.sum() / max(1, outline), (boxes.area(box) if box else 0.0) * cell / (wide * high)

    def box(self, view: View, number: int) -> tuple[int, int, int, int] | None:
        """Return the box of what is visible of a product, to the pixel where it is small, to two where it is large."""
        left, top, right, bottom = boxes.clipped(self.frame(view, number), view.size)
        if right - left < 3 or bottom - top < 3:
            return None
        step = 1 if boxes.area((left, top, right, bottom)) < 6000 else 2
        xs, ys = range(left, right, step), range(top, bottom, step)
        mask = np.array([[all(self._cast(view, x + step / 2, y + step / 2, number)) for x in xs] for y in ys])
        found = boxes.box_of(_without_specks(mask), left, top, step)
        return None if found is None else boxes.clipped(found, view.size)

    def frame(self, view: View, number: int) -> tuple[float, float, float, float]:
        """Return the box of all a product's points in the picture, hidden ones and those outside it too."""
        right, up, ahead = (np.array(axis) for axis in view.axes)
        away = self.points[number] - np.array(view.at)
        deep = away @ ahead
        if (deep < 0.05).any():
            deep = np.maximum(deep, 0.05)
        reach = view.reach
        x = (away @ right / deep / reach[0] + 1) / 2 * view.size[0]
        y = (1 - away @ up / deep / reach[1]) / 2 * view.size[1]
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())

    def _cast(self, view: View, x: float, y: float, number: int) -> tuple[bool, bool]:
        """Return whether the ray through a pixel meets the product at all, and whether it meets it first."""
        right, up, ahead = view.axes
        across = (2 * x / view.size[0] - 1) * view.reach[0]
        above = (1 - 2 * y / view.size[1]) * view.reach[1]
        way = tuple(a + across * r + above * u for a, r, u in zip(ahead, right, up, strict=True))
        _, _, _, mine = self.own[number].ray_cast(view.at, way)
        if mine is None:
            return False, False
        _, _, _, first = self.whole.ray_cast(view.at, way)
        return True, first is None or mine <= first + 1e-4


def _tree() -> Any:
    import importlib

    return importlib.import_module("mathutils.bvhtree").BVHTree


def _without_specks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drop cells that have no neighbour: what is seen through a gap of another thing widens a box for nothing."""
    padded = np.pad(mask, 1)
    near = np.add.reduce([np.roll(padded, shift, axis).astype(int) for axis in (0, 1) for shift in (-1, 1)])
    return np.asarray(mask & (near[1:-1, 1:-1] > 0))
