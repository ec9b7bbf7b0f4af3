"""A room being planned around one product: picks what goes with it and puts it down where it fits."""

import random
from collections.abc import Callable

from demo_shop_renderer.catalogue import Product
from demo_shop_renderer.shapes import level
from demo_shop_renderer.staging.floor import Floor, Item

Wanted = Callable[[Product], bool]

FLOOR_PROPS = {
    "fig": (0.5, 0.5, 1.3),
    "palm": (0.7, 0.7, 1.5),
    "snake_plant": (0.34, 0.34, 0.85),
    "cactus": (0.3, 0.3, 0.8),
    "basket": (0.42, 0.42, 0.38),
    "pouf": (0.52, 0.52, 0.36),
    "cushions": (0.55, 0.55, 0.32),
    "branches": (0.34, 0.34, 1.15),
    "umbrellas": (0.26, 0.26, 0.75),
    "shoes": (0.34, 0.3, 0.12),
    "blocks": (0.4, 0.35, 0.2),
    "ball": (0.24, 0.24, 0.24),
    "guitar": (0.42, 0.34, 1.02),
    "suitcase": (0.5, 0.24, 0.62),
    "magazines": (0.36, 0.26, 0.36),
    "pet_bed": (0.62, 0.5, 0.2),
    "carton": (0.44, 0.34, 0.32),
    "coat_stand": (0.5, 0.5, 1.74),
    "bin": (0.27, 0.27, 0.34),
    "book_pile": (0.3, 0.26, 0.34),
    "fan": (0.36, 0.3, 0.9),
    "floor_mirror": (0.55, 0.3, 1.6),
    "trolley": (0.45, 0.35, 0.78),
    "yoga_mat": (0.62, 0.16, 0.16),
    "side_table": (0.44, 0.44, 0.5),
    "box_table": (0.42, 0.36, 0.5),
}
"""Props that stand on the floor, and how much room they may take."""


class Planner:
    """Furnishes one room."""

    def __init__(
        self, chance: random.Random, main: Product, pool: tuple[Product, ...], room: tuple[float, float]
    ) -> None:
        self.chance = chance
        self.main = main
        self.pool = pool
        self.floor = Floor(*room)
        self.used: set[str] = set()

    @property
    def half(self) -> float:
        """Half the room's width."""
        return self.floor.width / 2

    def pick(self, category: str, wanted: Wanted = lambda product: True) -> Product | None:
        """Return a product of the category: the main one where it is wanted and not there yet, else any other."""
        if self.main.category == category and self.main.sku not in self.used and wanted(self.main):
            self.used.add(self.main.sku)
            return self.main
        found = [
            one for one in self.pool if one.category == category and one.family != self.main.family and wanted(one)
        ]
        return self.chance.choice(found) if found else None

    def is_main(self, category: str) -> bool:
        """Return whether the room is about a product of this category."""
        return self.main.category == category

    def put(
        self, product: Product | None, x: float, y: float, turn: float = 0.0, z: float = 0.0, clearance: float = 0.03
    ) -> Item | None:
        """Stand a product at a place; None where it does not fit."""
        if product is None:
            return None
        shape = product.shape
        item = Item(product.sku, True, (x, y, z), turn, (shape.width, shape.depth, shape.height))
        return item if self.floor.add(item, clearance) else None

    def at_back(self, product: Product | None, x: float, gap: float = 0.02) -> Item | None:
        """Stand it against the back wall."""
        return None if product is None else self.put(product, x, -product.shape.depth / 2 - gap)

    def at_side(self, product: Product | None, side: int, y: float, gap: float = 0.02) -> Item | None:
        """Stand it against the left (-1) or right (1) wall."""
        if product is None:
            return None
        return self.put(product, side * (self.half - product.shape.depth / 2 - gap), y, -90.0 * side)

    def in_corner(self, product: Product | None, side: int) -> Item | None:
        """Stand it in the left (-1) or right (1) corner at the back."""
        if product is None:
            return None
        x = side * (self.half - product.shape.width / 2 - 0.1)
        return self.put(product, x, -product.shape.depth / 2 - 0.1)

    def upon(self, category: str, below: Item | None, x: float = 0.0, y: float = 0.0) -> Item | None:
        """Stand a product of the category on something, at a place in that thing's own measures."""
        if below is None:
            return None
        product = self.pick(category)
        if product is None:
            return None
        high = below.top
        if below.product:
            high = below.at[2] + level(next(one for one in self.pool if one.sku == below.what).shape)
        px, py = below.point(x, y)
        shape = product.shape
        item = Item(
            product.sku,
            True,
            (px, py, high),
            below.turn + self.chance.uniform(-40, 40),
            (shape.width, shape.depth, shape.height),
        )
        self.floor.items.append(item)
        return item

    def prop(self, names: tuple[str, ...], x: float, y: float, turn: float | None = None) -> Item | None:
        """Stand one of these props at a place, where it fits."""
        name = self.chance.choice(names)
        spin = self.chance.uniform(-180, 180) if turn is None else turn
        item = Item(name, False, (x, y, 0.0), spin, FLOOR_PROPS[name], self.chance.randrange(10**6))
        return item if self.floor.add(item, 0.04) else None

    def scatter(self, count: int, tries: int = 30) -> None:
        """Stand so many props about the walls, wherever there is room."""
        names = tuple(name for name in FLOOR_PROPS if name not in ("side_table", "box_table"))
        for _ in range(tries):
            if count <= 0:
                return
            along = self.chance.uniform(-self.half + 0.3, self.half - 0.3)
            if self.chance.random() < 0.6:
                place = (along, -self.chance.uniform(0.3, 0.55))
            else:
                place = (
                    self.chance.choice((-1, 1)) * (self.half - self.chance.uniform(0.3, 0.5)),
                    -self.chance.uniform(0.5, self.floor.depth * 0.7),
                )
            if self.prop(names, *place) is not None:
                count -= 1

    def near(self, low: float, high: float) -> float:
        """Return a random number between the two."""
        return self.chance.uniform(low, high)

    def side(self) -> int:
        """Return left or right."""
        return self.chance.choice((-1, 1))

    def often(self, share: float) -> bool:
        """Return whether something happens that does so often."""
        return self.chance.random() < share
