"""What stands about in rooms and is no product: so many kinds, each never twice the same, that none tells a product."""

from collections.abc import Callable, Mapping
from random import Random

from demo_shop_renderer.build.maker import Maker
from demo_shop_renderer.props import floor, plants, small, tables, textiles, walls

Prop = Callable[[Maker, Random], None]

FLOOR: dict[str, Prop] = {**plants.FLOOR, **floor.FLOOR, **tables.FLOOR}
"""Those that stand on the floor, by the names that `staging.planner` knows."""

SMALL: dict[str, Prop] = {**small.SMALL, **plants.SMALL}
"""Those that stand on tables and shelves."""

WALL: Mapping[str, Callable[[Maker, Random, tuple[float, float]], None]] = walls.WALL
"""Those that hang on walls, made to a size."""

COVERS = textiles.COVERS
"""Cushions and throws that lie on seats and beds."""
