"""The shop's products, made from the designs and one number: the same number, the same shop."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256

from demo_shop_renderer.designs import DESIGNS
from demo_shop_renderer.designs.design import Design
from demo_shop_renderer.names import BRANDS, NAMES
from demo_shop_renderer.palette import METALS, POOLS, WOODS, Finish, apart, finish
from demo_shop_renderer.shapes import Shape

CATEGORIES = {
    "bed": "Beds",
    "sofa": "Sofas",
    "armchair": "Armchairs",
    "chair": "Chairs",
    "stool": "Stools",
    "dining_table": "Dining tables",
    "coffee_table": "Coffee tables",
    "desk": "Desks",
    "bookcase": "Bookcases",
    "cabinet": "Cabinets",
    "floor_lamp": "Floor lamps",
    "table_lamp": "Table lamps",
}
"""What a design's key begins with -> the category in the feed."""

VARIANTS = 3
UNSEEN = 0.3
"""The share of each category's families that the bundled networks are never trained on."""


@dataclass(frozen=True)
class Family:
    """What its variants have in common."""

    key: str
    design: Design
    name: str
    brand: str
    number: int
    split: str


@dataclass(frozen=True)
class Product:
    """One variant: a shape in its finishes."""

    sku: str
    family: Family
    shape: Shape
    finishes: tuple[Finish, ...]
    size: str
    article_number: str

    @property
    def category(self) -> str:
        """The key of its category."""
        return self.family.design.category

    @property
    def lead(self) -> Finish:
        """The finish it is called by."""
        return self.finishes[self.family.design.lead]

    def part(self, at: int) -> Finish:
        """Return the finish of a part; a product of fewer parts has the last one there."""
        return self.finishes[min(at, len(self.finishes) - 1)]


def dice(*keys: object) -> random.Random:
    """Return random numbers that depend on these keys alone."""
    return random.Random(sha256("\x1f".join(map(str, keys)).encode()).digest())


@cache
def families(seed: int = 0) -> tuple[Family, ...]:
    """Return all families."""
    names = list(NAMES)
    dice(seed, "names").shuffle(names)
    unseen = {key for category in CATEGORIES for key in _unseen(seed, category)}
    return tuple(
        Family(
            name.lower(),
            _varied(seed, design),
            name,
            dice(seed, design.key, "brand").choice(BRANDS),
            number,
            "unseen" if design.key in unseen else "train",
        )
        for number, (design, name) in enumerate(zip(DESIGNS, names, strict=False), start=1)
    )


@cache
def products(seed: int = 0) -> tuple[Product, ...]:
    """Return all products, those of a family together."""
    found: dict[str, Product] = {}
    numbers: set[str] = set()
    for family in families(seed):
        for product in _variants(seed, family):
            sku = _unused(product.sku, found)
            number = _article_number(f"{seed} {sku}", numbers)
            numbers.add(number)
            found[sku] = replace(product, sku=sku, article_number=number)
    return tuple(found.values())


def by_sku(seed: int = 0) -> dict[str, Product]:
    """Return the products by their keys."""
    return {product.sku: product for product in products(seed)}


def choices(text: str) -> list[Finish]:
    """Return all finishes that a part may have, those named first.

    Raises:
        KeyError: there is no such material or colour.
    """
    found: dict[Finish, None] = {}
    for word in text.split("|"):
        if ":" in word or word in WOODS or word in METALS:
            found[finish(word)] = None
        else:
            found.update((Finish(word, colour), None) for colour in POOLS[word])
    return list(found)


def _unseen(seed: int, category: str) -> list[str]:
    keys = [design.key for design in DESIGNS if design.category == category]
    dice(seed, category, "split").shuffle(keys)
    return keys[: round(len(keys) * UNSEEN)]


def _varied(seed: int, design: Design) -> Design:
    """Return the design with its sizes a little other than drawn, on whole centimetres."""
    chance = dice(seed, design.key, "size")
    shape, sizes = design.shape, design.sizes
    grow = chance.choice((0.97, 0.98, 1.0, 1.0, 1.02, 1.03))
    if shape.width == shape.depth:  # round things stay round
        side = round(shape.width * grow, 2)
        return replace(design, shape=replace(shape, width=side, depth=side))
    width = round(shape.width * grow, 2)
    return replace(
        design, shape=replace(shape, width=width), sizes=tuple((name, round(w * grow, 2)) for name, w in sizes)
    )


def _variants(seed: int, family: Family) -> list[Product]:
    design = family.design
    colours = VARIANTS - len(design.sizes)
    chance = dice(seed, design.key, "finishes")
    leads = _spread(chance, choices(design.finishes[design.lead]), colours)
    fixed = [chance.choice(choices(text)) for text in design.finishes]
    found = []
    for lead in leads:
        parts = [
            chance.choice(choices(text)) if chance.random() < 0.35 else usual
            for text, usual in zip(design.finishes, fixed, strict=True)
        ]
        parts = [_matching(part, lead, text) for part, text in zip(parts, design.finishes, strict=True)]
        parts[design.lead] = lead
        found.append(Product(_sku(family, lead, ""), family, design.shape, tuple(parts), "", ""))
    for size, width in design.sizes:
        first = found[0]
        shape = _resized(design.shape, width)
        found.append(replace(first, sku=_sku(family, leads[0], size), shape=shape, size=size))
    return found


def _matching(part: Finish, lead: Finish, text: str) -> Finish:
    """Return the lead's own wood or paint where the part may have it: furniture is mostly of one."""
    return lead if lead in choices(text) and lead.material in ("wood", "paint", "coated steel") else part


def _resized(shape: Shape, width: float) -> Shape:
    changed: dict[str, object] = {"width": width}
    if hasattr(shape, "seats"):
        share = width / shape.width
        changed |= {name: max(1, round(getattr(shape, name) * share)) for name in ("seats", "cushions")}
    if hasattr(shape, "grid") and width < 0.7 * shape.width and "|" in shape.grid:
        columns = shape.grid.split("|")
        changed["grid"] = "|".join(columns[: max(1, round(len(columns) * width / shape.width))])
    return replace(shape, **changed)  # type: ignore[arg-type]


def _spread(chance: random.Random, pool: Sequence[Finish], count: int) -> list[Finish]:
    """Return finishes that nobody takes for one another: each as far from those taken as any of a few tries."""
    taken = [chance.choice(pool)]
    while len(taken) < min(count, len(pool)):
        left = [one for one in pool if one not in taken]
        tries = chance.sample(left, min(3, len(left)))
        if all(min(apart(one, other) for other in taken) < 20 for one in tries):
            tries = left
        taken.append(max(tries, key=lambda one: min(apart(one, other) for other in taken)))
    return taken


def _sku(family: Family, lead: Finish, size: str) -> str:
    colour = "".join(word[: 2 if " " in lead.colour else 3] for word in lead.colour.split())[:4]
    return "-".join(filter(None, (family.name[:3], f"{family.number:03d}", colour, size[:3]))).upper()


def _unused(sku: str, taken: dict[str, Product]) -> str:
    return next(key for key in (sku, *(f"{sku}{letter}" for letter in "BCDEFG")) if key not in taken)


def _article_number(key: str, taken: set[str]) -> str:
    """Return what is printed on the product's shelf tag."""
    for attempt in range(1000):
        digits = f"{int(sha256(f'{key} {attempt}'.encode()).hexdigest(), 16) % 10**8:08d}"
        number = f"{digits[:3]}.{digits[3:6]}.{digits[6:]}"
        if number not in taken:
            return number
    raise AssertionError("a thousand article numbers in a row are taken")
