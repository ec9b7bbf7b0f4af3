"""The floor of a room: what stands where, and whether something more fits."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

Spot = tuple[float, float]


@dataclass(frozen=True)
class Item:
    """Something in a room. The back wall is y = 0, the room reaches towards -y; a turn of 0 faces the viewer.

    Args:
        what: a product's sku, or the name of a prop.
        product: which of the two.
        at: where its middle stands.
        turn: in degrees about the upright axis, against the clock.
        size: its width, depth and height.
        seed: what a prop is drawn by.
    """

    what: str
    product: bool
    at: tuple[float, float, float]
    turn: float
    size: tuple[float, float, float]
    seed: int = 0

    @property
    def top(self) -> float:
        """How high it reaches."""
        return self.at[2] + self.size[2]

    def corners(self, more: float = 0.0) -> list[Spot]:
        """Return the corners of its footprint, widened by so much all round."""
        half_w, half_d = self.size[0] / 2 + more, self.size[1] / 2 + more
        return [
            self.point(x, y) for x, y in ((-half_w, -half_d), (half_w, -half_d), (half_w, half_d), (-half_w, half_d))
        ]

    def point(self, x: float, y: float) -> Spot:
        """Return where a point of its own lies in the room."""
        cos, sin = math.cos(math.radians(self.turn)), math.sin(math.radians(self.turn))
        return self.at[0] + x * cos - y * sin, self.at[1] + x * sin + y * cos

    @property
    def facing(self) -> Spot:
        """The way its front looks."""
        return math.sin(math.radians(self.turn)), -math.cos(math.radians(self.turn))


def overlap(one: Item, other: Item, clearance: float = 0.0) -> bool:
    """Return whether two footprints come closer than the clearance, at some common height."""
    if one.top <= other.at[2] + 0.005 or other.top <= one.at[2] + 0.005:
        return False
    first, second = one.corners(clearance), other.corners()
    for polygon in (first, second):
        for (ax, ay), (bx, by) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
            nx, ny = by - ay, ax - bx
            one_side = [nx * x + ny * y for x, y in first]
            other_side = [nx * x + ny * y for x, y in second]
            if max(one_side) <= min(other_side) or max(other_side) <= min(one_side):
                return False
    return True


@dataclass
class Floor:
    """A room being furnished."""

    width: float
    depth: float
    items: list[Item] = field(default_factory=list)

    def inside(self, item: Item, margin: float = 0.01) -> bool:
        """Return whether it stands within the walls; the side of the viewer has none."""
        return all(abs(x) <= self.width / 2 - margin and -self.depth <= y <= -margin for x, y in item.corners())

    def fits(self, item: Item, clearance: float = 0.03) -> bool:
        """Return whether it stands within the walls and touches nothing."""
        return self.inside(item) and not any(overlap(item, other, clearance) for other in self.items)

    def add(self, item: Item, clearance: float = 0.03) -> bool:
        """Add it where it fits; say whether it did."""
        fits = self.fits(item, clearance)
        if fits:
            self.items.append(item)
        return fits

    def on_wall(self, wall: str, lowest: float) -> Iterator[tuple[float, float]]:
        """Yield the stretches of a wall that things taller than `lowest` hide: back by x, left and right by y."""
        for item in self.items:
            if item.top <= lowest:
                continue
            xs, ys = zip(*item.corners(), strict=True)
            if wall == "back" and max(ys) > -0.6:
                yield min(xs), max(xs)
            elif (wall == "left" and min(xs) < -self.width / 2 + 0.6) or (
                wall == "right" and max(xs) > self.width / 2 - 0.6
            ):
                yield min(ys), max(ys)
